//! Saving and loading in the built program: files, signals, the end, damaged files, and the tool that checks them.

#[path = "support/server.rs"]
mod server;

use std::fs;
use std::path::Path;
use std::process::Command;

use server::{Server, free_port};

/// Starts a server on the files of a folder.
fn start_in(folder: &Path, options: &[&str]) -> Server {
    let folder = folder.to_str().expect("a plain path");
    Server::start(&[&["--dir", folder], options].concat())
}

fn folder(name: &str) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("saving-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Asks for a field of INFO until it is as wanted.
#[track_caller]
fn wait_for(client: &mut redis::Connection, field: &str, wanted: &str) {
    let deadline = std::time::Instant::now() + server::PATIENCE;
    loop {
        let text: String = redis::cmd("INFO").arg("persistence").query(client).expect("INFO");
        let line = format!("{field}:{wanted}\r\n");
        if text.contains(&line) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{text}");
        std::thread::yield_now();
    }
}

fn run(client: &mut redis::Connection, words: &str) -> redis::RedisResult<redis::Value> {
    let mut words = words.split(' ');
    let mut command = redis::cmd(words.next().expect("a name"));
    for word in words {
        command.arg(word);
    }
    command.query(client)
}

#[track_caller]
fn expect(client: &mut redis::Connection, words: &str, text: &str) {
    let reply = run(client, words);
    let reply: String =
        reply.and_then(|value| redis::from_redis_value(&value)).unwrap_or_else(|error| error.to_string());
    assert!(reply.contains(text), "{words}: {reply}");
}

#[test]
fn flushall_saves_where_saving_is_on_and_then_nothing_is_unsaved() {
    let folder = folder("flushed");
    let server = start_in(&folder, &[]);
    let mut client = server.client();
    expect(&mut client, "SET key value", "OK");
    expect(&mut client, "FLUSHALL", "OK");
    wait_for(&mut client, "rdb_changes_since_last_save", "2");
    assert!(!folder.join("dump.rdb").exists());
    run(&mut client, "SET key value").expect("it is set");
    let setting: redis::RedisResult<()> = redis::cmd("CONFIG").arg(&["SET", "save", "3600 1"]).query(&mut client);
    setting.expect("it is a setting");
    expect(&mut client, "FLUSHALL", "OK");
    wait_for(&mut client, "rdb_changes_since_last_save", "0");
    assert!(folder.join("dump.rdb").exists());
}

#[test]
fn data_survive_a_background_save_and_a_restart() {
    let folder = folder("background");
    let server = start_in(&folder, &[]);
    let mut client = server.client();
    for number in 0..1000 {
        expect(&mut client, &format!("SET key:{number} {number}"), "OK");
    }
    expect(&mut client, "RPUSH list a b c", "3");
    expect(&mut client, "BGSAVE", "Background saving started");
    wait_for(&mut client, "rdb_bgsave_in_progress", "0");
    wait_for(&mut client, "rdb_last_bgsave_status", "ok");
    wait_for(&mut client, "rdb_changes_since_last_save", "0");
    expect(&mut client, "SET later x", "OK");
    expect(&mut client, "BGSAVE CANCEL", "not in progress");
    expect(&mut client, "BGSAVE SOON", "syntax");
    let names: Vec<_> = fs::read_dir(&folder).expect("it is there").collect();
    assert_eq!(names.len(), 1, "only the snapshot is left");
    drop(server);
    let server = start_in(&folder, &[]);
    let mut client = server.client();
    expect(&mut client, "DBSIZE", "1001");
    expect(&mut client, "GET key:77", "77");
    wait_for(&mut client, "rdb_last_load_keys_loaded", "1001");
}

#[test]
fn the_end_saves_as_it_is_told() {
    let folder = folder("end");
    let mut server = start_in(&folder, &["--save", "1000 1000"]);
    let mut client = server.client();
    expect(&mut client, "SET key first", "OK");
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success());
    assert!(log.iter().any(|line| line.contains("Saving the final RDB snapshot")));
    let mut server = start_in(&folder, &["--save", "1000 1000"]);
    let mut client = server.client();
    expect(&mut client, "GET key", "first");
    expect(&mut client, "SET key second", "OK");
    assert!(run(&mut client, "SHUTDOWN NOSAVE").is_err(), "no reply");
    assert!(server.wait().0.success());
    let mut server = start_in(&folder, &[]);
    let mut client = server.client();
    expect(&mut client, "GET key", "first");
    expect(&mut client, "SET key third", "OK");
    assert!(run(&mut client, "SHUTDOWN SAVE").is_err(), "no reply");
    assert!(server.wait().0.success());
    let server = start_in(&folder, &[]);
    expect(&mut server.client(), "GET key", "third");
}

#[test]
fn writes_are_refused_while_saving_fails() {
    let folder = folder("fails");
    let server = start_in(&folder, &["--save", "1000 1000"]);
    let mut client = server.client();
    expect(&mut client, "SET key x", "OK");
    // A folder in the place of the snapshot cannot be replaced by a file.
    fs::create_dir_all(folder.join("dump.rdb/in-the-way")).expect("a folder");
    expect(&mut client, "SAVE", "An error was signalled");
    expect(&mut client, "SET key y", "OK");
    expect(&mut client, "BGSAVE", "started");
    wait_for(&mut client, "rdb_last_bgsave_status", "err");
    expect(&mut client, "SET key z", "MISCONF");
    expect(&mut client, "PING", "MISCONF");
    expect(&mut client, "EVAL return(redis.call('set','key','z')) 0", "MISCONF");
    expect(&mut client, "GET key", "y");
    expect(&mut client, "SHUTDOWN", "Errors trying to SHUTDOWN");
    expect(&mut client, "CONFIG SET stop-writes-on-bgsave-error no", "OK");
    expect(&mut client, "SET key z", "OK");
    expect(&mut client, "CONFIG SET stop-writes-on-bgsave-error yes", "OK");
    expect(&mut client, "SET key a", "MISCONF");
    fs::remove_dir_all(folder.join("dump.rdb")).expect("it is there");
    expect(&mut client, "BGSAVE", "started");
    wait_for(&mut client, "rdb_last_bgsave_status", "ok");
    expect(&mut client, "SET key b", "OK");
}

#[test]
fn what_is_loaded_is_not_served_before_it_is_complete() {
    let folder = folder("loading");
    let server = start_in(&folder, &["--enable-debug-command", "yes"]);
    let mut client = server.client();
    expect(&mut client, "DEBUG POPULATE 2000", "OK");
    let library = "#!lua name=lib\nredis.register_function('f', function() return 7 end)";
    let loaded: String = redis::cmd("FUNCTION").arg("LOAD").arg(library).query(&mut client).expect("it is loaded");
    assert_eq!(loaded, "lib");
    expect(&mut client, "SAVE", "OK");
    expect(&mut client, "DEBUG RELOAD", "OK");
    expect(&mut client, "FCALL f 0", "7");
    drop(server);
    let port = free_port();
    let path = folder.to_str().expect("a plain path");
    let options = ["--dir", path, "--key-load-delay", "1000"];
    let mut server = Server::launch(port, &options);
    server.wait_for_any(&["Server initialized"]);
    let mut client = server.client();
    expect(&mut client, "GET key:1", "loading");
    wait_for(&mut client, "loading", "1");
    expect(&mut client, "CONFIG SET key-load-delay 0", "OK");
    server.wait_for_any(&["Done loading RDB, keys loaded: 2000, keys expired: 0."]);
    server.wait_for_any(&["Ready to accept"]);
    expect(&mut client, "GET key:1", "value:1");
    expect(&mut client, "FCALL f 0", "7");
}

#[test]
fn a_damaged_file_ends_the_server_and_the_tool_tells_where() {
    let folder = folder("damaged");
    let server = start_in(&folder, &[]);
    let mut client = server.client();
    expect(&mut client, "SET key value EX 1000", "OK");
    expect(&mut client, "RPUSH list a b c", "3");
    expect(&mut client, "SAVE", "OK");
    drop(server);
    let path = folder.join("dump.rdb");
    let check = |program: &Path, words: &[&str]| {
        let output = Command::new(program).args(words).arg(&path).output();
        let output = output.expect("it runs");
        let text = String::from_utf8(output.stdout).expect("plain text");
        (output.status.success(), text)
    };
    let program = Path::new(env!("CARGO_BIN_EXE_oneloop"));
    let (is_sound, text) = check(program, &["check-rdb"]);
    assert!(is_sound && text.contains("\\o/ RDB looks OK! \\o/"), "{text}");
    assert!(text.contains("[info] 2 keys read\n[info] 1 expires\n"), "{text}");
    let mut bytes = fs::read(&path).expect("it is there");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, &bytes).expect("it can be written");
    let link = folder.join("redis-check-rdb");
    std::os::unix::fs::symlink(program, &link).expect("a link");
    let (is_sound, text) = check(&link, &[]);
    assert!(!is_sound && text.contains("CRC error"), "{text}");
    let dir = folder.to_str().expect("a plain path");
    let mut server = Server::launch(free_port(), &["--dir", dir]);
    let (status, log) = server.wait();
    assert!(!status.success());
    assert!(log.last().is_some_and(|line| line.contains("CRC error")), "{log:?}");
    let reason = "Terminating server after rdb file reading failure.";
    assert!(log.iter().any(|line| line.contains(reason)), "{log:?}");
}
