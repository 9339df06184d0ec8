//! `oneloop replay --redact`: recordings that can be given away.

#[path = "support/recorded.rs"]
mod recorded;
#[path = "support/server.rs"]
mod server;

use std::fs;
use std::path::{Path, PathBuf};

use recorded::{check, exercise, recording, redact, replay, start};

/// Redacts a recording, which is removed then. The other one is a recording too, and holds none of these words.
#[track_caller]
fn check_redacted(path: &Path, words: &[&str], run: &[&str]) -> String {
    let other: PathBuf = format!("{}-redacted", path.display()).into();
    let _ = fs::remove_file(&other);
    let (status, text) = redact(path, &other);
    assert_eq!((status, text.contains("turns were redacted")), (0, true), "{text}");
    let (before, after) = (fs::read(path).expect("it is there"), fs::read(&other).expect("it is there"));
    for word in words {
        assert!(memchr::memmem::find(&before, word.as_bytes()).is_some(), "{word} was in the recording");
        assert!(memchr::memmem::find(&after, word.as_bytes()).is_none(), "{word} is in the redacted one");
    }
    let (status, text) = replay(&other, run);
    assert_eq!((status, text.contains("all of them are identical")), (0, true), "{text}");
    let (status, again) = redact(&other, path);
    assert_eq!((status, again.contains("There is a file")), (2, true), "{again}");
    fs::remove_file(path).expect("it is there");
    fs::remove_file(other).expect("it is there");
    text
}

#[test]
fn words_go_and_what_was_done_with_them_stays() {
    let path = recording("redacted-words");
    let server = start(&path, &["--requirepass", "open sesame", "--user", "alice", "on", ">98765", "~app:*", "+@all"]);
    let mut client = server.connect();
    client.ask("AUTH default \"open sesame\"", "+OK\r\n");
    client.ask("CLIENT SETNAME dashboard", "+OK\r\n");
    client.ask("SET app:1000:email somebody@example.org EX 1000", "+OK\r\n");
    client.ask("INCRBY app:1000:visits 41", ":41\r\n");
    client.ask("INCR app:1000:visits", ":42\r\n");
    client.ask("SADD app:friends carol dave erin", ":3\r\n");
    client.ask("ZADD app:ranks 1.5 carol 2.5 dave", ":2\r\n");
    client.ask("ZADD app:words 0 apple 0 banana 0 cherry", ":3\r\n");
    client.send("ZRANGEBYLEX app:words [apple (cherry\r\n");
    client.expect("*2\r\n$5\r\napple\r\n$6\r\nbanana\r\n");
    client.send("SCAN 0 MATCH app:* COUNT 1000\r\n");
    client.expect("*2\r\n$1\r\n0\r\n*5\r\n");
    (0..10).for_each(|_| drop(client.line()));
    let script = "return redis.call('incrby', KEYS[1], ARGV[1]) + #redis.call('smembers', 'app:friends')";
    client.send(format!(
        "*5\r\n$4\r\nEVAL\r\n${}\r\n{script}\r\n$1\r\n1\r\n$15\r\napp:1000:visits\r\n$1\r\n8\r\n",
        script.len()
    ));
    client.expect(":53\r\n");
    client.ask("PFADD app:seen carol dave", ":1\r\n");
    client.ask("PFCOUNT app:seen", ":2\r\n");
    client.send("*3\r\n$3\r\nSET\r\n$10\r\napp:binary\r\n$6\r\n\0\x01secr\r\n");
    client.expect("+OK\r\n");
    let mut other = server.connect();
    other.ask("AUTH alice 98765", "+OK\r\n");
    other.ask("GET app:1000:email", "$20\r\nsomebody@example.org\r\n");
    other.ask("GET other", "-NOPERM No permissions to access a key\r\n");
    check(server, &path);
    let secrets = [
        "sesame",
        "98765",
        "alice",
        "app",
        "email",
        "somebody",
        "example",
        "dashboard",
        "friends",
        "carol",
        "apple",
        "visits",
        "secr",
    ];
    let run = [
        "--run",
        "EVAL \"local n = 0 for _, key in ipairs(redis.call('keys', '*:1000:*')) do n = n + #key end return n\" 0",
        "--run",
        "DBSIZE",
        "--run",
        "CLIENT LIST",
    ];
    let text = check_redacted(&path, &secrets, &run);
    // Two keys of 14 and 15 bytes, of seven in all; and the user that was logged in.
    assert!(text.contains(" 0\n:29\n") && text.contains("DBSIZE\n:7\n"), "{text}");
    assert!(text.contains("name="), "{text}");
}

/// With other words other keys are chosen and evicted, so a busy server may take another course: then there is no file.
#[track_caller]
fn check_redacted_or_refused(path: &Path) {
    let other: PathBuf = format!("{}-redacted", path.display()).into();
    let _ = fs::remove_file(&other);
    let (status, text) = redact(path, &other);
    if status == 0 {
        let (status, text) = replay(&other, &[]);
        assert_eq!((status, text.contains("all of them are identical")), (0, true), "{text}");
        fs::remove_file(other).expect("it is there");
    } else {
        assert_eq!((status, text.contains("takes another course"), other.exists()), (2, true, false), "{text}");
    }
    fs::remove_file(path).expect("it is there");
}

#[test]
fn what_clients_of_all_kinds_did_is_redacted() {
    let path = recording("redacted-clients");
    let server = start(&path, &["--hz", "50"]);
    exercise(&server, 21, 300);
    check(server, &path);
    check_redacted_or_refused(&path);
}

#[test]
fn eviction_and_the_append_only_file_are_redacted() {
    let path = recording("redacted-eviction");
    let options = ["--appendonly", "yes", "--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"];
    let server = start(&path, &options);
    server.connect().ask("DEBUG POPULATE 5000 key 300", "+OK\r\n");
    exercise(&server, 22, 200);
    check(server, &path);
    check_redacted_or_refused(&path);
}

#[test]
fn what_cannot_be_redacted_is_refused_with_the_reason() {
    let path = recording("redacted-refused");
    let server = start(&path, &[]);
    server.connect().ask("RESTORE key 0 payload", "-ERR DUMP payload version or checksum are wrong\r\n");
    server.connect().ask("SAVE", "+OK\r\n");
    server.signal("TERM");
    let again = recording("redacted-loaded");
    let name = again.to_str().expect("a name in UTF-8").to_string();
    let restarted = server.restart(&["--record", &name]);
    check(restarted, &again);
    for (path, reason) in [(&path, "what RESTORE is given cannot be redacted"), (&again, "data were loaded from files")]
    {
        let other: PathBuf = format!("{}-redacted", path.display()).into();
        let (status, text) = redact(path, &other);
        assert_eq!((status, text.contains(reason)), (2, true), "{text}");
        assert!(!other.exists());
        fs::remove_file(path).expect("it is there");
    }
}
