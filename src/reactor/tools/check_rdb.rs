//! `oneloop check-rdb FILE`, also under the name redis-check-rdb: tells whether a snapshot is sound, and where it is
//! not.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use crate::collections::hash::HashSeed;
use crate::config::{Config, system_reason};
use crate::keyspace::Keyspace;
use crate::storage::rdb::{Fault, FormatError, SanitizeLevel};
use crate::storage::snapshot::{Duplicates, LoadStep, Loader, LoaderSettings, Purpose};
use crate::storage::values::LoadSettings;

use crate::base::clock;

pub(super) const USAGE: &str = "\
Usage: oneloop check-rdb FILE

Checks a snapshot as redis-check-rdb does, and names the first place where it is not sound. The exit status is 0 if it
is sound, else 1.
";

/// Read at a time, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// Checks the file that the arguments name; they begin with the program's name.
pub fn main(program: &str, arguments: &[String]) -> ExitCode {
    let [path] = arguments else {
        eprintln!("Usage: {program} <rdb-file-name>");
        return ExitCode::FAILURE;
    };
    if matches!(path.as_str(), "-v" | "--version") {
        println!("redis-check-rdb {}", crate::REDIS_VERSION);
        return ExitCode::SUCCESS;
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => {
            eprintln!("Cannot open file '{path}': {}", system_reason(&error));
            return ExitCode::FAILURE;
        }
    };
    println!("[offset 0] Checking RDB file {path}");
    let mut loader = Loader::new(settings());
    let result = check(file, &mut loader);
    for (offset, remark) in &loader.notes.remarks {
        println!("[offset {offset}] {remark}");
    }
    match result {
        Ok(()) => {
            let offset = loader.offset();
            if loader.has_checksum() {
                println!("[offset {offset}] Checksum OK");
            } else {
                println!("[offset {offset}] RDB file was saved with checksum disabled: no check performed.");
            }
            println!("[offset {offset}] \\o/ RDB looks OK! \\o/");
            print_counts(&loader);
            ExitCode::SUCCESS
        }
        Err(Unsound::Damaged(error)) => {
            println!("--- RDB ERROR DETECTED ---");
            print_damage(&error, &loader);
            print_counts(&loader);
            ExitCode::FAILURE
        }
        Err(Unsound::Unreadable(error)) => {
            let path = Path::new(path).display();
            println!("Cannot read {path}: {}", system_reason(&error));
            ExitCode::FAILURE
        }
    }
}

/// Why nothing good can be said of a file.
enum Unsound {
    Damaged(FormatError),
    Unreadable(io::Error),
}

/// Looks closer than a server does that trusts its own files.
fn settings() -> LoaderSettings {
    let now_ms = clock::wall_clock().as_millis();
    LoaderSettings {
        values: LoadSettings::of(&Config::default()),
        scrutiny: SanitizeLevel::Full,
        checks_sum: true,
        expires_before_ms: i64::try_from(now_ms).ok(),
        duplicates: Duplicates::Refuse,
        keys_per_step: 0,
        purpose: Purpose::Check,
        input_bytes: 0,
    }
}

fn check(mut file: File, loader: &mut Loader) -> Result<(), Unsound> {
    let mut keyspace = Keyspace::new(0, HashSeed::from_seed(0));
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match loader.step(&mut keyspace).map_err(Unsound::Damaged)? {
            LoadStep::More => {}
            LoadStep::Done => return Ok(()),
            LoadStep::NeedsInput => match file.read(&mut chunk).map_err(Unsound::Unreadable)? {
                0 => loader.end_input(),
                count => loader.feed(&chunk[..count]),
            },
        }
    }
}

fn print_damage(error: &FormatError, loader: &Loader) {
    match error.fault {
        // The words of Redis's tool, which takes such a value for none.
        Fault::Empty => println!("[offset {}] Unexpected EOF reading RDB file", error.offset),
        _ => println!("[offset {}] {}", error.offset, error.reason()),
    }
    if let Some((key, kind)) = loader.failed_key() {
        let (number, name) = (kind.number(), kind.tool_name());
        println!("[additional info] While doing: read-object-value");
        println!("[additional info] Reading key '{}'", String::from_utf8_lossy(key));
        println!("[additional info] Reading type {number} ({name})");
    }
    if error.fault == Fault::Empty {
        println!("[additional info] A collection without elements: a server leaves such a key out");
    }
}

fn print_counts(loader: &Loader) {
    let stats = loader.stats;
    let failed = u64::from(loader.failed_key().is_some());
    println!("[info] {} keys read", stats.keys + stats.expired + failed);
    println!("[info] {} expires", stats.volatile);
    println!("[info] {} already expired", stats.expired);
}
