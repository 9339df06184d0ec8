//! `oneloop check-config FILE`: what is wrong in a configuration file, what has no effect here, what differs from
//! Redis's default, and what of the host costs latency, each with what to do.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::acl::{self, AclContext};
use crate::base::sys::host::{Advice, Host, Wants};
use crate::config::{Config, ConfigError, Examination, Finding, StartInfo, Verdict, examine, system_reason};
use crate::net::listener::{check_exposure, check_tls, check_unix_path};
use crate::reactor::declared::{Declared, declared};
use crate::reactor::startup::{self, RESERVED_DESCRIPTORS};

pub(super) const USAGE: &str = "\
Usage: oneloop check-config FILE

Looks over FILE, and the files that it includes, without starting a server:
  error      the server would refuse to start with this line, or with the file or folder that it names
  no effect  the line is accepted, and this server has no use for it
  differs    the line sets another value than the default
Then the traits of this host that cost latency, each with what to do.
The exit status is 0 if there is no error, else 1.
";

/// Exit status: a line would keep the server from starting, or the file cannot be read.
const REFUSED: u8 = 1;
/// Exit status: the arguments are not those of this tool.
const MISUSED: u8 = 2;

/// Does what `arguments`, without the program's name and the tool's, ask for; gives the exit status.
pub fn main(arguments: &[String], out: &mut dyn Write) -> u8 {
    let (text, status) = match arguments {
        [path] if !path.starts_with("--") => report(Path::new(path), &Host::of_process()),
        _ => (USAGE.to_string(), MISUSED),
    };
    // A reader that has gone wants to hear nothing.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    status
}

/// The report on a file, and the exit status.
fn report(path: &Path, host: &Host) -> (String, u8) {
    let mut examination = match examine(path) {
        Ok(examination) => examination,
        Err(error) => return (format!("{error}\n"), REFUSED),
    };
    match carried_out(&examination) {
        Ok(declared) => check_places(&mut examination, declared),
        Err(error) => examination.refuse(&error),
    }
    let mut text = String::new();
    for finding in &examination.findings {
        text.push_str(&line_of(finding, path));
    }
    let config = &examination.config;
    let wants = Wants { open_files: u64::from(config.maxclients) + RESERVED_DESCRIPTORS, backlog: config.tcp_backlog };
    let advice = [host.limits(wants), host.latency()].concat();
    for Advice { finding, remedy } in &advice {
        text.push_str(&format!("host: {finding}: {remedy}\n"));
    }
    let count = |verdict| examination.findings.iter().filter(|finding| finding.verdict == verdict).count();
    let wrong = count(Verdict::Wrong);
    text.push_str(&format!(
        "{}: {} wrong, {} without effect, {} other than the default; {} of the host\n",
        path.display(),
        wrong,
        count(Verdict::NoEffect),
        count(Verdict::Differs),
        advice.len()
    ));
    (text, if wrong == 0 { 0 } else { REFUSED })
}

/// Carries the statements out that declare users and rename commands, on tables that nobody uses.
fn carried_out(examination: &Examination) -> Result<Declared, ConfigError> {
    let start = StartInfo { statements: examination.statements.clone(), ..StartInfo::default() };
    declared(&examination.config, &start)
}

/// Looks at the files and folders that the settings name, as the server does at its start.
fn check_places(examination: &mut Examination, mut declared: Declared) {
    let config = with_whole_paths(&examination.config);
    let mut blame = |directive: &str, checked: Result<(), String>| {
        if let Err(reason) = checked {
            examination.blame(directive, &reason);
        }
    };
    blame("dir", startup::check_data_folder(&config, Path::new(&config.dir)));
    blame("logfile", check_log_file(&config.logfile));
    blame("http-bind", check_exposure(&config));
    blame(if config.tls_port == 0 { "http-tls" } else { "tls-port" }, check_tls(&config));
    if !config.unixsocket.is_empty() {
        blame("unixsocket", check_unix_path(&config.unixsocket).map_err(|error| system_reason(&error)));
    }
    if !config.aclfile.is_empty() {
        let context = AclContext::new(&declared.commands, &config);
        blame("aclfile", acl::file::load(&mut declared.users, &config.aclfile, context).map(|_| ()));
    }
}

/// The settings with whole paths, as the server finds them once it has entered its folder.
fn with_whole_paths(config: &Config) -> Config {
    let mut config = config.clone();
    let folder = std::env::current_dir().unwrap_or_default().join(&config.dir);
    config.dir = folder.to_string_lossy().into_owned();
    let paths = [
        &mut config.logfile,
        &mut config.unixsocket,
        &mut config.aclfile,
        &mut config.tls_cert_file,
        &mut config.tls_key_file,
        &mut config.tls_ca_cert_file,
        &mut config.tls_ca_cert_dir,
    ];
    for path in paths.into_iter().filter(|path| !path.is_empty()) {
        *path = folder.join(&*path).to_string_lossy().into_owned();
    }
    config
}

/// Looks whether lines can be appended to the log, without making the file.
fn check_log_file(name: &str) -> Result<(), String> {
    let path = Path::new(name);
    let checked = match OpenOptions::new().append(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => match path.parent() {
            Some(folder) => fs::metadata(folder).map(|_| ()),
            None => Ok(()),
        },
        opened => opened.map(|_| ()),
    };
    match name.is_empty() {
        true => Ok(()),
        false => checked.map_err(|error| format!("Can't open the log file: {}", system_reason(&error))),
    }
}

fn line_of(finding: &Finding, path: &Path) -> String {
    let word = match finding.verdict {
        Verdict::Wrong => "error",
        Verdict::NoEffect => "no effect",
        Verdict::Differs => "differs",
    };
    let file = if finding.file.as_os_str().is_empty() { path } else { &finding.file };
    match finding.line {
        0 => format!("{}: {word}: {}\n", file.display(), finding.text),
        line => format!("{}:{line}: {word}: {}\n", file.display(), finding.text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// What is said of a file with this text, without its path, and the exit status.
    fn checked(name: &str, text: &str) -> (Vec<String>, u8) {
        let folder = std::env::temp_dir().join(format!("oneloop-check-config-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("it can be made");
        let path = folder.join("a.conf");
        fs::write(&path, text).expect("it can be written");
        fs::write(folder.join("more.conf"), "# more\n\nmaxmemory 10mb\nnonsense 1\n").expect("it can be written");
        let mut out = Vec::new();
        let status = main(&[path.to_string_lossy().into_owned()], &mut out);
        let folder_text = format!("{}/", folder.display());
        let _ = fs::remove_dir_all(&folder);
        let out = String::from_utf8(out).expect("it is text").replace(&folder_text, "");
        (out.lines().filter(|line| !line.starts_with("host: ")).map(str::to_string).collect(), status)
    }

    fn summary(lines: &[String]) -> &str {
        lines.last().and_then(|line| line.split("; ").next()).unwrap_or_default()
    }

    #[test]
    fn a_file_of_defaults_has_nothing_to_say() {
        let (lines, status) = checked("defaults", "# a comment\nport 6379\nsave 3600 1 300 100 60 10000\n");
        assert_eq!(
            (summary(&lines), lines.len(), status),
            ("a.conf: 0 wrong, 0 without effect, 0 other than the default", 1, 0)
        );
    }

    #[test]
    fn a_setting_is_judged_by_the_last_line_that_sets_it() {
        let example = include_str!("../../../redis.conf.example");
        let (lines, status) = checked("example", example);
        assert_eq!(status, 0);
        assert!(lines.iter().all(|line| !line.contains(": differs: ")), "{lines:?}");
        let (lines, _) = checked("again", "maxmemory 1mb\nsave 5 1\nsave 6 1\nmaxmemory 0\n");
        assert_eq!(lines[0], "a.conf:3: differs: 'save' is 5 1 6 1, the default is 3600 1 300 100 60 10000");
        assert_eq!(summary(&lines), "a.conf: 0 wrong, 0 without effect, 1 other than the default");
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let (lines, status) = checked(
            "mistakes",
            "port 1\nmaxmemory lots\nnot-there 5\n\nport 99999\nrequirepass secret\nuser a on nopass +nosuch\nrename-command NOPE X\n",
        );
        assert_eq!(status, 1);
        let starts = [
            "a.conf:1: differs: 'port' is 1, the default is 6379",
            "a.conf:2: error: ",
            "a.conf:3: error: Bad directive",
        ];
        for (line, start) in lines.iter().zip(starts) {
            assert!(line.starts_with(start), "{line}");
        }
        assert!(lines.iter().any(|line| line.starts_with("a.conf:5: error: ")), "{lines:?}");
        assert!(
            lines.iter().any(|line| line == "a.conf:6: differs: 'requirepass' is set, the default is empty"),
            "{lines:?}"
        );
        // One statement that cannot be carried out is named; the server would stop there too.
        assert!(lines.iter().any(|line| line == "a.conf:8: error: No such command in rename-command"), "{lines:?}");
        assert_eq!(summary(&lines), "a.conf: 4 wrong, 0 without effect, 2 other than the default");
    }

    #[test]
    fn files_and_folders_that_the_server_would_stop_at_are_named_with_the_line() {
        let folder = std::env::temp_dir().join(format!("oneloop-check-config-places-{}", std::process::id()));
        let folder = folder.display();
        let (lines, status) = checked(
            "places",
            &format!(
                "dir {folder}\nlogfile nowhere/log\nunixsocket more.conf\naclfile nowhere.acl\ntls-port 7000\n\
                 tls-cert-file more.conf\ntls-key-file more.conf\nhttp-port 8080\nhttp-bind 0.0.0.0\n"
            ),
        );
        assert_eq!(status, 1);
        let errors: Vec<&str> = lines.iter().filter(|line| line.contains(": error: ")).map(String::as_str).collect();
        let wanted = [
            "a.conf:2: error: 'logfile': Can't open the log file: No such file or directory",
            "a.conf:9: error: 'http-bind': ",
            "a.conf:5: error: 'tls-port': Failed to load certificate: more.conf: it holds no certificate",
            "a.conf:3: error: 'unixsocket': what is there is no socket",
            "a.conf:4: error: 'aclfile': ",
        ];
        assert_eq!(errors.len(), wanted.len(), "{errors:?}");
        for (line, start) in errors.iter().zip(wanted) {
            assert!(line.starts_with(start), "{line}");
        }
        let (lines, status) = checked("folder", "dir /proc\n");
        assert_eq!(status, 1);
        assert!(
            lines[1].starts_with("a.conf:1: error: 'dir': Can't write to the working directory /proc: "),
            "{lines:?}"
        );
        let (lines, status) = checked("unsaved", "dir /proc\nsave \"\"\nunixsocket /proc/nowhere/socket\n");
        assert_eq!(status, 1);
        assert_eq!(lines[3], "a.conf:3: error: 'unixsocket': No such file or directory");
    }

    #[test]
    fn lines_without_effect_are_told_from_settings() {
        let (lines, status) = checked("effect", "io-threads 4\nlist-max-ziplist-entries 5\nhz 50\n");
        assert_eq!(status, 0);
        assert_eq!(
            lines[..3],
            [
                "a.conf:1: no effect: 'io-threads' is kept and reported, but this design has no use for it",
                "a.conf:2: no effect: 'list-max-ziplist-entries' is of an older Redis, and is passed over",
                "a.conf:3: differs: 'hz' is 50, the default is 10",
            ]
        );
    }

    #[test]
    fn included_files_are_looked_over_under_their_own_names() {
        let folder = std::env::temp_dir().join(format!("oneloop-check-config-includes-{}", std::process::id()));
        let (lines, status) =
            checked("includes", &format!("include {}/more.conf\ninclude nowhere.conf\n", folder.display()));
        assert_eq!(status, 1);
        assert_eq!(lines[0], "more.conf:3: differs: 'maxmemory' is 10485760, the default is 0");
        assert!(lines[1].starts_with("more.conf:4: error: "), "{lines:?}");
        assert!(lines[2].starts_with("a.conf:2: error: "), "{lines:?}");
    }

    #[test]
    fn a_file_that_cannot_be_read_and_arguments_that_are_none_end_with_a_status() {
        let mut out = Vec::new();
        assert_eq!(main(&["/nowhere/at/all.conf".to_string()], &mut out), 1);
        assert!(String::from_utf8_lossy(&out).contains("can't open config file '/nowhere/at/all.conf'"));
        assert_eq!(main(&[], &mut out), 2);
    }
}
