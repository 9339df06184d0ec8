//! The tools in the same binary: `oneloop check-rdb`, `oneloop check-aof`, `oneloop check-backup`,
//! `oneloop check-config`, `oneloop ping` and `oneloop replay`. Their table gives the usage of the program, the manual
//! page and the completions of shells.
//!
//! Never starts a server.

pub mod check_aof;
pub mod check_backup;
pub mod check_config;
pub mod check_rdb;
pub mod ping;
pub mod replay;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// A tool in the same binary.
pub struct Tool {
    /// Its name: the program's first argument.
    pub name: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What `oneloop NAME --help` prints. The first paragraph holds the forms of its command line, as
    /// `Usage: oneloop NAME …`; lines that begin with two blanks describe an option or a word each.
    pub usage: &'static str,
    /// Does what the arguments behind its name ask for. It is given the name under which it was called, too.
    run: fn(&str, &[OsString]) -> ExitCode,
}

/// All tools.
pub const TOOLS: [Tool; 6] = [
    Tool { name: "ping", summary: "ask a server whether it serves", usage: ping::USAGE, run: run_ping },
    Tool {
        name: "check-config",
        summary: "look over a configuration file, and the host",
        usage: check_config::USAGE,
        run: run_check_config,
    },
    Tool { name: "check-rdb", summary: "check a snapshot", usage: check_rdb::USAGE, run: run_check_rdb },
    Tool { name: "check-aof", summary: "check an append-only file", usage: check_aof::USAGE, run: run_check_aof },
    Tool { name: "check-backup", summary: "check a backup", usage: check_backup::USAGE, run: run_check_backup },
    Tool { name: "replay", summary: "run a recording again", usage: replay::USAGE, run: run_replay },
];

impl Tool {
    /// The forms of its command line, without `Usage: `.
    pub fn forms(&self) -> impl Iterator<Item = &'static str> {
        let forms = self.usage.split("\n\n").next().unwrap_or_default();
        forms.lines().map(|line| line.trim_start_matches("Usage: ").trim_start())
    }
}

/// Does the work of the tool that the program's name or the first argument asks for, if it is one. `arguments` begins
/// with the program's name.
pub fn run(arguments: &[OsString]) -> Option<ExitCode> {
    let (program, rest) = arguments.split_first()?;
    if Path::new(program).ends_with("redis-check-rdb") {
        return Some(run_check_rdb(&program.to_string_lossy(), rest));
    }
    if Path::new(program).ends_with("redis-check-aof") {
        return Some(run_check_aof(&program.to_string_lossy(), rest));
    }
    let (name, rest) = rest.split_first()?;
    let tool = TOOLS.iter().find(|tool| name == tool.name)?;
    if matches!(rest.first().and_then(|word| word.to_str()), Some("-h" | "--help")) {
        print!("{}", tool.usage);
        return Some(ExitCode::SUCCESS);
    }
    Some((tool.run)(&format!("{} {}", program.to_string_lossy(), tool.name), rest))
}

fn texts(arguments: &[OsString]) -> Vec<String> {
    arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn run_ping(_: &str, arguments: &[OsString]) -> ExitCode {
    ExitCode::from(ping::main(&texts(arguments), &mut io::stdout().lock()))
}

fn run_check_config(_: &str, arguments: &[OsString]) -> ExitCode {
    ExitCode::from(check_config::main(&texts(arguments), &mut io::stdout().lock()))
}

fn run_check_rdb(name: &str, arguments: &[OsString]) -> ExitCode {
    check_rdb::main(name, &texts(arguments))
}

fn run_check_aof(name: &str, arguments: &[OsString]) -> ExitCode {
    let (mut input, mut out) = (io::stdin().lock(), io::stdout().lock());
    match check_aof::run(name, arguments, &mut input, &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run_check_backup(_: &str, arguments: &[OsString]) -> ExitCode {
    check_backup::main(&texts(arguments), &mut io::stdout().lock())
}

fn run_replay(_: &str, arguments: &[OsString]) -> ExitCode {
    ExitCode::from(replay::main(&texts(arguments), &mut io::stdout().lock()))
}
