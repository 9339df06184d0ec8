//! Files and command lines: what is read, and how Redis words what it refuses.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::{folder, load, value};
use crate::config::{Config, ConfigError, PrimaryAddress, StartInfo};

fn command_line(arguments: &[&str]) -> Result<(Config, StartInfo), ConfigError> {
    let arguments: Vec<OsString> =
        std::iter::once("oneloop").chain(arguments.iter().copied()).map(OsString::from).collect();
    Config::parse_command_line(&arguments)
}

/// What Redis prints for a refused line.
fn refusal(number: usize, line: &str, reason: &str) -> String {
    format!(
        "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.6) ***\nReading the configuration file, at line {number}\n>>> \
         '{line}'\n{reason}"
    )
}

/// Lines with the reasons that Redis 7.0.15 printed for them.
const REFUSED_LINES: &[(&str, &str)] = &[
    ("port x", "argument couldn't be parsed into an integer"),
    ("port 1 2", "wrong number of arguments"),
    ("port", "wrong number of arguments"),
    ("foo bar", "Bad directive or wrong number of arguments"),
    ("daemonize maybe", "argument must be 'yes' or 'no'"),
    ("loglevel foo", "argument(s) must be one of the following: debug, verbose, notice, warning, nothing"),
    ("port \"1", "Unbalanced quotes in configuration line"),
    ("port \"1\"2", "Unbalanced quotes in configuration line"),
    ("maxmemory 10xb", "argument must be a memory value"),
    ("save 1", "Invalid save parameters"),
    ("save \"3600 1\" \"60 100\"", "Invalid save parameters"),
    ("unixsocketperm 999", "argument couldn't be parsed as an octal number"),
    ("unixsocketperm 1777", "argument must be between 0 and 777 inclusive"),
    ("appendfilename a/b", "appendfilename can't be a path, just a filename"),
    ("appendfilename \"\"", "appendfilename can't be empty"),
    ("appenddirname a/b", "appenddirname can't be a path, just a dirname"),
    ("appenddirname \"\"", "appenddirname can't be empty"),
    ("dbfilename a/b", "dbfilename can't be a path, just a filename"),
    ("dir /nonexistent", "No such file or directory"),
    ("dir /etc/passwd", "Not a directory"),
    ("dir /a /b", "wrong number of arguments"),
    ("include", "Bad directive or wrong number of arguments"),
    ("include a b", "Bad directive or wrong number of arguments"),
    ("user", "Bad directive or wrong number of arguments"),
    ("rename-command", "Bad directive or wrong number of arguments"),
    ("foo.bar", "Module config specified without value"),
    ("sentinel monitor x", "sentinel directive while not in sentinel mode"),
    ("replicaof 1.2.3.4 70000", "Invalid master port"),
    ("replicaof localhost x", "Invalid master port"),
    ("replicaof a", "wrong number of arguments"),
    ("timeout 10 # comment", "wrong number of arguments"),
    ("maxclients 10000000000", "argument must be between 1 and 4294967295 inclusive"),
    ("notify-keyspace-events Q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
    ("notify-keyspace-events K E", "wrong number of arguments"),
    ("oom-score-adj-values 1 2", "wrong number of arguments"),
    ("oom-score-adj-values 1 2 99999", "Invalid oom-score-adj-values, elements must be between -2000 and 2000."),
    ("client-output-buffer-limit normal 1 2", "Wrong number of arguments in buffer limit configuration."),
    ("latency-tracking-info-percentiles x", "Invalid latency-tracking-info-percentiles parameters"),
    ("proc-title-template {foo}", "template format is invalid or contains unknown variables"),
    ("proc-title-template {title}", "template format is invalid or contains unknown variables"),
    ("proc-title-template {server-mode}", "template format is invalid or contains unknown variables"),
    ("proc-title-template \" \"", "template format is invalid or contains unknown variables"),
    ("maxmemory-clients 200%", "percentage argument must be less or equal to 100"),
    ("\"\" x", "Bad directive or wrong number of arguments"),
    ("enable-debug-command maybe", "argument(s) must be one of the following: no, yes, local"),
    ("supervised foo", "argument(s) must be one of the following: upstart, systemd, auto, no"),
    ("io-threads 129", "argument must be between 1 and 128 inclusive"),
    ("databases 0", "argument must be between 1 and 2147483647 inclusive"),
    ("shutdown-on-sigterm save nosave", "shutdown options SAVE and NOSAVE can't be used simultaneously"),
    ("loadmodule x.so", "Modules are not supported"),
];

#[test]
fn refuses_lines_in_the_words_of_redis() {
    for (line, reason) in REFUSED_LINES {
        let error = load(&format!("hz 20\n\n  {line}  \r\nhz 30\n")).expect_err(line);
        assert_eq!(error.to_string(), refusal(3, line, reason));
    }
    let many = format!("bind{}", " 127.0.0.1".repeat(17));
    let error = load(&many).expect_err("too many").to_string();
    assert_eq!(error, refusal(1, &many, "Too many bind addresses specified."));
}

#[test]
fn refuses_settings_that_contradict_one_another() {
    let head = "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.6) ***\n";
    for (text, reason) in [
        ("cluster-enabled yes\nreplicaof localhost 1", "replicaof directive not allowed in cluster mode"),
        ("logfile /nonexistent/x", "Can't open the log file: No such file or directory"),
    ] {
        assert_eq!(load(text).expect_err(text).to_string(), format!("{head}{reason}"));
    }
    assert!(load("aclfile x\nuser a on").is_err());
}

#[test]
fn reads_the_syntax_of_the_file() {
    let text = "# comment\r\n\r\n  HZ 20 \r\n\tpidfile '/tmp/x y'\nsyslog-ident \"a\\x41\\n\"\nhz 0\nmaxmemory 1Gb\n\
                unixsocketperm 770\nlist-max-ziplist-entries 1\nlua-replicate-commands yes\nsentinel\n";
    let config = load(text).expect("valid").0;
    assert_eq!((config.hz, config.pidfile.as_str(), config.syslog_ident.as_str()), (1, "/tmp/x y", "aA\n"));
    assert_eq!((config.maxmemory, config.unixsocketperm), (1 << 30, 0o770));
    assert!(config.dir.starts_with('/'));
}

#[test]
fn keeps_statements_for_other_parts() {
    let text = "\nuser bob on >\"x y\"\nrename-command FLUSHALL \"\"\nUSER eve off\n";
    let statements = load(text).expect("valid").1;
    let users: Vec<(usize, usize)> = statements.users.iter().map(|user| (user.number, user.arguments.len())).collect();
    assert_eq!(users, [(2, 3), (4, 2)]);
    assert_eq!(statements.users[0].arguments[2], b">x y");
    assert_eq!(statements.renamed_commands[0].arguments, [b"FLUSHALL".to_vec(), Vec::new()]);
    let error = statements.renamed_commands[0].refused("No such command in rename-command").to_string();
    assert_eq!(error, refusal(3, "rename-command FLUSHALL \"\"", "No such command in rename-command"));
}

#[test]
fn save_lines_add_up_after_the_first() {
    for (text, expected) in [
        ("", "3600 1 300 100 60 10000"),
        ("save 1 2", "1 2"),
        ("save 1 2\nsave 3 4", "1 2 3 4"),
        ("save 1 2\nsave \"\"", ""),
        ("save 1 2\nsave ''\nsave 5 6", "5 6"),
        ("save \"1 2\"", "1 2"),
        ("save '1 2 3 4'", "1 2 3 4"),
        ("save  1   2  ", "1 2"),
    ] {
        assert_eq!(value(&load(text).expect(text).0, "save"), expected, "{text}");
    }
}

#[test]
fn replicaof_takes_an_address_or_no_one() {
    let config = load("slaveof localhost 1").expect("valid").0;
    assert_eq!(config.replicaof, Some(PrimaryAddress { host: "localhost".into(), port: 1 }));
    assert_eq!(value(&config, "slaveof"), "localhost 1");
    assert_eq!(load("replicaof a 1\nreplicaof NO one").expect("valid").0.replicaof, None);
}

#[test]
fn reads_command_lines_as_redis_does() {
    for (arguments, name, expected) in [
        (&["--save", "3600 1 60 100"][..], "save", "3600 1 60 100"),
        (&["--save", "3600", "1", "60", "100"], "save", "3600 1 60 100"),
        (&["--save", ""], "save", ""),
        (&["--save"], "save", ""),
        (&["--save", "--hz", "20"], "save", ""),
        (&["--save", "--hz", "20"], "hz", "20"),
        (&["--save", "1", "2", "--save", "3", "4"], "save", "1 2 3 4"),
        (&["--save", "1", "2", "--save", ""], "save", ""),
        (&["--save", "", "--save", "3", "4"], "save", "3 4"),
        (&["--bind", "127.0.0.1 -::1"], "bind", "127.0.0.1 -::1"),
        (&["--bind", "127.0.0.1", "-::1"], "bind", "127.0.0.1 -::1"),
        (&["--oom-score-adj-values", "1 2 3"], "oom-score-adj-values", "1 2 3"),
        (&["--shutdown-on-sigterm", "now force"], "shutdown-on-sigterm", "now force"),
        (&["--shutdown-on-sigterm", "now", "force"], "shutdown-on-sigterm", "now force"),
        (&["--port 7", "--hz 20"], "hz", "20"),
        (&["--requirepass", "--abc"], "requirepass", "--abc"),
        (&["--proc-title-template", "--my"], "proc-title-template", "--my"),
        (&["--hz", "20", "--hz", "30"], "hz", "30"),
        (&[], "hz", "10"),
    ] {
        let config = command_line(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}")).0;
        assert_eq!(value(&config, name), expected, "{arguments:?}");
    }
}

#[test]
fn refuses_command_lines_as_redis_does() {
    for (arguments, number, line, reason) in [
        (&["--hz", "20", "--port=1"][..], 3, "port=1", "Bad directive or wrong number of arguments"),
        (&["--hz", "20", "--port"], 3, "port", "wrong number of arguments"),
        (&["--hz", "--foo"], 2, "hz \"--foo\"", "argument couldn't be parsed into an integer"),
        (&["--foo", "bar"], 2, "foo \"bar\"", "Bad directive or wrong number of arguments"),
        (&["--port", "1", "hz", "20"], 2, "port \"1\" \"hz\" \"20\"", "wrong number of arguments"),
    ] {
        let error = command_line(arguments).expect_err(line).to_string();
        assert_eq!(error, refusal(number, line, reason));
    }
}

#[test]
fn options_follow_the_file() {
    let folder = folder("options");
    let file = folder.join("a.conf");
    fs::write(&file, "hz 20\nsave 1 2\nsave 3 4\n").expect("the folder is ours");
    let path = file.to_str().expect("a plain path");
    let (config, info) = command_line(&[path, "--save", "9", "9"]).expect("valid");
    assert_eq!((value(&config, "save"), config.hz), ("1 2 3 4 9 9".to_owned(), 20));
    assert_eq!(info.config_file.as_deref(), Some(file.as_path()));
    assert_eq!(info.arguments[1], file.as_os_str());
    assert!(!info.has_read_standard_input);
    // Right after the file a name needs no dashes.
    let config = command_line(&[path, "hz", "30", "--save", ""]).expect("valid").0;
    assert_eq!((value(&config, "save"), config.hz), (String::new(), 30));
    let error = command_line(&[path, "--hz", "x"]).expect_err("no number").to_string();
    assert_eq!(error, refusal(5, "hz \"x\"", "argument couldn't be parsed into an integer"));
}

#[test]
fn makes_the_file_name_absolute() {
    let error = command_line(&["nonexistent/../absent.conf"]).expect_err("there is no such file").to_string();
    let path = std::env::current_dir().expect("there is one").join("absent.conf");
    let expected = format!("Fatal error, can't open config file '{}': No such file or directory", path.display());
    assert_eq!(error, expected);
}

#[test]
fn includes_files_and_patterns() {
    let folder = folder("include");
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("the folder is ours");
    let include = |what: &str| format!("dir {}\ninclude {what}\ntimeout 5\n", folder.display());
    write("a.part", "hz 20\nmaxclients 50\n");
    write("b.part", "hz 30");
    write("self", "include self\n");
    write("bad", "\nhz x\n");
    let config = load(&include("*.part")).expect("valid").0;
    assert_eq!((config.hz, config.maxclients, config.timeout), (30, 50, 5));
    assert_eq!(load(&include("none*")).expect("no file is fine").0.timeout, 5);
    let error = load(&include("bad")).expect_err("bad value").to_string();
    assert_eq!(error, refusal(2, "hz x", "argument couldn't be parsed into an integer"));
    let error = load(&include("self")).expect_err("endless").to_string();
    assert_eq!(error, refusal(1, "include self", "Files include one another too deeply"));
    let error = load(&include("absent")).expect_err("no file");
    let path = folder.join("absent");
    assert_eq!(error, ConfigError::Unreadable { path, reason: "No such file or directory".into() });
}

/// The settings that Redis's own test suite starts its servers with.
#[test]
fn takes_what_the_suite_of_redis_needs() {
    let text = "always-show-logo yes\ndaemonize no\npidfile /var/run/redis.pid\nport 6379\ntimeout 0\nloglevel verbose\n\
                logfile ''\ndatabases 16\nlatency-monitor-threshold 1\nrepl-diskless-sync-delay 0\nsave ''\n\
                rdbcompression yes\ndbfilename dump.rdb\ndir ./\nslave-serve-stale-data yes\nappendonly no\n\
                appendfsync everysec\nno-appendfsync-on-rewrite no\nactiverehashing yes\nenable-protected-configs yes\n\
                enable-debug-command yes\nenable-module-command yes\npropagation-error-behavior panic\n\
                shutdown-on-sigterm force\n";
    let long_socket = format!("/tmp/{}", "x".repeat(120));
    let config = load(&format!("{text}unixsocket {long_socket}\n")).expect("valid").0;
    assert_eq!((config.unixsocket, config.save.len()), (long_socket, 0));
    assert!(config.shutdown_on_sigterm.force && Path::new(&config.dir).is_absolute());
}
