//! CONFIG GET and CONFIG SET against the answers of a genuine server.

use super::{folder, value};
use crate::config::{Config, ProtectedAction, SetContext, SetError};

const ANSWERS: &str = include_str!("../../../tests/data/config-set.tsv");
/// Values that came after Redis 7.2, behind its own in an answer.
const LATER_WORDS: &str = ", volatile-lrm, allkeys-lrm";

fn set(config: &mut Config, pairs: &[(&str, &str)]) -> Result<Vec<&'static str>, String> {
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let changed = config.set(&pairs, SetContext::default()).map_err(|error| error.to_string())?;
    Ok(changed.iter().map(|directive| directive.name).collect())
}

#[test]
fn answers_set_as_redis_does() {
    // The server's answers build on one another.
    let mut config = Config { enable_protected_configs: ProtectedAction::Yes, ..Config::default() };
    for line in ANSWERS.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, given, outcome, expected] = columns[..] else { panic!("{line}") };
        let answer = set(&mut config, &[(name, given)]);
        if outcome == "OK" {
            assert_eq!(answer.err(), None, "{line}");
            assert_eq!(value(&config, name), expected, "{line}");
        } else {
            let answer = answer.map_err(|error| error.replace(LATER_WORDS, ""));
            assert_eq!(answer, Err(format!("ERR {expected}")), "{line}");
        }
    }
}

#[test]
fn sets_all_or_nothing_and_names_what_changed() {
    let mut config = Config::default();
    let before = config.clone();
    let error = set(&mut config, &[("maxmemory", "1mb"), ("hz", "x")]);
    let reason = "argument couldn't be parsed into an integer";
    assert_eq!(error, Err(format!("ERR CONFIG SET failed (possibly related to argument 'hz') - {reason}")));
    assert_eq!(config, before);
    let changed = set(&mut config, &[("MAXMEMORY", "1mb"), ("timeout", "0"), ("slave-priority", "7")]);
    assert_eq!(changed, Ok(vec!["maxmemory", "replica-priority"]));
    assert_eq!((config.maxmemory, config.replica_priority), (1 << 20, 7));
}

#[test]
fn refuses_names_as_redis_does() {
    for (pairs, expected) in [
        (
            &[("hz", "1"), ("HZ", "2")][..],
            "ERR CONFIG SET failed (possibly related to argument 'HZ') - duplicate parameter",
        ),
        (
            &[("hz", "1"), ("foo", "2"), ("daemonize", "x")],
            "ERR Unknown option or number of arguments for CONFIG SET - 'foo'",
        ),
        (
            &[("Daemonize", "x")],
            "ERR CONFIG SET failed (possibly related to argument 'Daemonize') - can't set immutable config",
        ),
        (
            &[("slave-priority", "x")],
            "ERR CONFIG SET failed (possibly related to argument 'slave-priority') - argument couldn't be parsed into an \
             integer",
        ),
        (&[("dir", "/")], "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config"),
    ] {
        assert_eq!(set(&mut Config::default(), pairs), Err(expected.to_owned()));
    }
    assert!(set(&mut Config::default(), &[("SLAVE-priority", "1"), ("replica-priority", "2")]).is_ok());
}

#[test]
fn guards_protected_directives() {
    let local = SetContext { is_local_client: true, is_loading: false };
    let pairs: [(&[u8], &[u8]); 1] = [(b"dbfilename", b"x.rdb")];
    for (action, is_allowed_locally, is_allowed_remotely) in
        [(ProtectedAction::No, false, false), (ProtectedAction::Local, true, false), (ProtectedAction::Yes, true, true)]
    {
        let mut config = Config { enable_protected_configs: action, ..Config::default() };
        assert_eq!(config.set(&pairs, local).is_ok(), is_allowed_locally, "{action:?}");
        assert_eq!(config.set(&pairs, SetContext::default()).is_ok(), is_allowed_remotely, "{action:?}");
    }
}

#[test]
fn refuses_some_while_loading() {
    let loading = SetContext { is_local_client: false, is_loading: true };
    let mut config = Config::default();
    assert_eq!(config.set(&[(b"appendonly", b"yes")], loading).err(), Some(SetError::Loading));
    assert!(config.set(&[(b"hz", b"20")], loading).is_ok());
}

#[test]
fn keeps_dir_absolute() {
    let folder = folder("dir");
    std::fs::create_dir(folder.join("inner")).expect("a folder can be made");
    let mut config = Config { enable_protected_configs: ProtectedAction::Yes, ..Config::default() };
    let folder = folder.to_str().expect("a plain path");
    assert_eq!(set(&mut config, &[("dir", folder)]), Ok(vec!["dir"]));
    assert_eq!(set(&mut config, &[("dir", "inner")]), Ok(vec!["dir"]));
    assert_eq!(value(&config, "dir"), format!("{folder}/inner"));
    assert_eq!(set(&mut config, &[("dir", "..")]), Ok(vec!["dir"]));
    assert_eq!(config.dir, folder);
}

#[test]
fn gets_by_pattern_and_by_name() {
    let config = Config::default();
    let get = |patterns: &[&str]| {
        let patterns: Vec<&[u8]> = patterns.iter().map(|pattern| pattern.as_bytes()).collect();
        let mut names: Vec<String> = config.get(&patterns).into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    };
    assert_eq!(get(&["Slave-Priority", "REPLICA-p*", "*-priority"]), ["Slave-Priority", "replica-priority"]);
    assert_eq!(get(&["hz", "HZ", "h?"]), ["hz"]);
    assert_eq!(get(&["\\hz"]), [""; 0]);
    assert_eq!(get(&["use-exit*"]), [""; 0]);
    assert_eq!(get(&["use-exit-on-panic"]), ["use-exit-on-panic"]);
    assert_eq!(get(&["maxmemory", "maxmemory-policy"]), ["maxmemory", "maxmemory-policy"]);
    assert_eq!(get(&["nothing-like-it", "n[o]thing"]), [""; 0]);
}

#[test]
fn keeps_passwords_byte_for_byte() {
    let mut config = Config::default();
    config.set(&[(b"requirepass", b"\xff\0 x")], SetContext::default()).expect("any bytes are a password");
    assert_eq!(config.get(&[b"requirepass"]), [("requirepass".to_owned(), b"\xff\0 x".to_vec())]);
    assert!(config.set(&[(b"unixsocket", b"\xff")], SetContext::default()).is_err());
}

#[test]
fn client_memory_may_be_a_share() {
    let mut config = Config::default();
    set(&mut config, &[("maxmemory-clients", "5%")]).expect("valid");
    assert_eq!(config.maxmemory_clients.bytes(1000), 50);
    assert_eq!(config.maxmemory_clients.bytes(u64::MAX), u64::MAX / 20);
    set(&mut config, &[("maxmemory-clients", "1kb")]).expect("valid");
    assert_eq!(config.maxmemory_clients.bytes(1000), 1024);
}
