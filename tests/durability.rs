//! The append-only file after crashes: a server that is killed at any moment, a file that is cut anywhere, a disk that
//! is full, and files that go between this server and a genuine one.
//!
//! The moments are drawn from a seed; `DURABILITY_SEED=n` runs another one. Where such a test fails, the recordings of
//! its servers are kept and named.

#[path = "support/genuine.rs"]
mod genuine;
#[path = "support/kept.rs"]
mod kept;
#[path = "support/server.rs"]
mod server;
mod support;

use oneloop::drive::aof::start;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use genuine::Genuine;
use kept::Recordings;
use oneloop::config::Config;
use oneloop::engine::loading::LoadingStep;
use server::Server;
use support::Harness;

/// Clients that write at the same time.
const CLIENTS: usize = 6;
/// What all accounts have together, always.
const TOTAL: i64 = 1000;

fn seed() -> u64 {
    let given = std::env::var("DURABILITY_SEED");
    given.map_or(1, |seed| seed.parse().expect("a number"))
}

#[test]
fn a_test_that_fails_leaves_recordings_of_its_servers() {
    let path = std::panic::catch_unwind(|| {
        let mut recordings = Recordings::new("failing", seed());
        let mut server = recordings.start(&[]);
        server.connect().ask("SET key value", "+OK\r\n");
        server.signal("TERM");
        server.wait();
        std::panic::panic_any(recordings.paths()[0].clone());
    });
    let path = path.expect_err("it fails").downcast::<PathBuf>().expect("its recording");
    let program = std::env::var_os("ONELOOP_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_oneloop").into());
    let replayed = std::process::Command::new(program).args(["replay", "--run", "GET key"]).arg(&*path).output();
    let printed = String::from_utf8(replayed.expect("it runs").stdout).expect("text");
    assert!(printed.contains("identical") && printed.contains("$5\r\nvalue"), "{printed}");
    fs::remove_file(&*path).expect("it was kept");
    let mut recordings = Recordings::new("passing", seed());
    drop(recordings.start(&[]));
    let path = recordings.paths()[0].clone();
    assert!(path.exists());
    drop(recordings);
    assert!(!path.exists());
}

/// What a client was told is done: the last number that it has pushed.
fn write_until_killed(mut client: redis::Connection, number: usize, ends: &AtomicBool) -> i64 {
    let mut acknowledged = 0;
    let (list, from, to) =
        (format!("list:{number}"), format!("account:{number}"), format!("account:{}", (number + 1) % CLIENTS));
    while !ends.load(Ordering::Relaxed) {
        let next = acknowledged + 1;
        let pushed: redis::RedisResult<i64> = redis::cmd("RPUSH").arg(&list).arg(next).query(&mut client);
        match pushed {
            Ok(length) => assert_eq!(length, next),
            Err(_) => break,
        }
        acknowledged = next;
        let moved: redis::RedisResult<()> = redis::pipe()
            .atomic()
            .cmd("DECRBY")
            .arg(&from)
            .arg(next % 7)
            .ignore()
            .cmd("INCRBY")
            .arg(&to)
            .arg(next % 7)
            .ignore()
            .query(&mut client);
        if moved.is_err() {
            break;
        }
    }
    acknowledged
}

/// Checks what is there after a restart: nothing that was acknowledged is lost, nothing is there that was not written,
/// and what belongs together is there as a whole.
fn verify(server: &Server, acknowledged: &[i64], story: &str) {
    let mut client = server.client();
    let mut sum = 0;
    for (number, acknowledged) in acknowledged.iter().enumerate() {
        let list: Vec<i64> = redis::cmd("LRANGE")
            .arg(format!("list:{number}"))
            .arg(0)
            .arg(-1)
            .query(&mut client)
            .expect("the server replies");
        let expected: Vec<i64> = (1..=list.len() as i64).collect();
        assert_eq!(list, expected, "{story}: list {number} is out of order");
        let found = list.len() as i64;
        assert!(found >= *acknowledged, "{story}: {found} of {acknowledged}");
        assert!(found <= acknowledged + 1, "{story}: {found} is invented");
        let account: i64 =
            redis::cmd("GET").arg(format!("account:{number}")).query(&mut client).expect("the server replies");
        sum += account;
    }
    assert_eq!(sum, TOTAL * CLIENTS as i64, "{story}: half of a transfer");
}

/// One server after the other on the same folder, each killed while everybody writes.
fn crash_again_and_again(policy: &str, rewrites: bool) {
    let mut random = fastrand::Rng::with_seed(seed());
    let options = ["--appendonly", "yes", "--appendfsync", policy];
    let mut recordings = Recordings::new(&format!("crashes-{policy}-{rewrites}"), seed());
    let mut server = recordings.start(&options);
    let mut client = server.client();
    for number in 0..CLIENTS {
        let account = format!("account:{number}");
        let set: redis::RedisResult<()> = redis::cmd("SET").arg(account).arg(TOTAL).query(&mut client);
        set.expect("the server replies");
    }
    let mut done = vec![0; CLIENTS];
    for round in 0..4 {
        let story = format!("{policy}, seed {}, round {round}", seed());
        // The lists go on where they were.
        let mut client = server.client();
        for number in 0..CLIENTS {
            let list = format!("list:{number}");
            let removed: redis::RedisResult<()> = redis::cmd("DEL").arg(list).query(&mut client);
            removed.expect("the server replies");
        }
        let ends = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (client, ends) = (server.client(), Arc::clone(&ends));
                std::thread::spawn(move || write_until_killed(client, number, &ends))
            })
            .collect();
        let deadline = Instant::now() + Duration::from_millis(random.u64(20..400));
        while Instant::now() < deadline {
            if rewrites {
                let begun: redis::RedisResult<String> = redis::cmd("BGREWRITEAOF").query(&mut client);
                // One may still be going on.
                drop(begun);
            }
            std::thread::yield_now();
        }
        server.signal("KILL");
        ends.store(true, Ordering::Relaxed);
        for (number, writer) in writers.into_iter().enumerate() {
            done[number] = writer.join().expect("a writer does not panic");
        }
        server = recordings.restart(server, &options);
        verify(&server, &done, &story);
    }
}

/// Saves a snapshot again and again while money goes to and fro, by transactions and by scripts, and dies.
#[test]
fn a_snapshot_is_the_state_of_one_instant() {
    const TRANSFER: &str = "redis.call('decrby',KEYS[1],ARGV[1]) redis.call('incrby',KEYS[2],ARGV[1])";
    let mut random = fastrand::Rng::with_seed(seed());
    let options = ["--snapshot-loop-share", "20"];
    let mut recordings = Recordings::new("snapshots", seed());
    let mut server = recordings.start(&options);
    let mut client = server.client();
    for number in 0..CLIENTS {
        let account = format!("account:{number}");
        let mut request = redis::cmd("SET");
        let set: redis::RedisResult<()> = request.arg(account).arg(TOTAL).query(&mut client);
        set.expect("the server replies");
    }
    let saved: redis::RedisResult<()> = redis::cmd("SAVE").query(&mut client);
    saved.expect("it is saved");
    for round in 0..4 {
        let writers: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let mut client = server.client();
                std::thread::spawn(move || {
                    let (from, to) = (number, (number + 1) % CLIENTS);
                    let keys = [from, to].map(|number| format!("account:{number}"));
                    for amount in 0i64.. {
                        let (one, other, amount) = (&keys[0], &keys[1], amount % 7);
                        let mut script = redis::cmd("EVAL");
                        script.arg(TRANSFER).arg(2).arg(one).arg(other).arg(amount);
                        let mut pipe = redis::pipe();
                        pipe.atomic().cmd("DECRBY").arg(one).arg(amount).ignore();
                        pipe.cmd("INCRBY").arg(other).arg(amount).ignore();
                        let done: redis::RedisResult<redis::Value> = match amount % 2 {
                            0 => script.query(&mut client),
                            _ => pipe.query(&mut client),
                        };
                        if done.is_err() {
                            return;
                        }
                    }
                })
            })
            .collect();
        let mut client = server.client();
        let deadline = Instant::now() + Duration::from_millis(random.u64(50..300));
        while Instant::now() < deadline {
            // One may still be going on.
            let _: redis::RedisResult<String> = redis::cmd("BGSAVE").query(&mut client);
            std::thread::yield_now();
        }
        server.signal("KILL");
        for writer in writers {
            writer.join().expect("a writer does not panic");
        }
        server = recordings.restart(server, &options);
        let mut client = server.client();
        let accounts = (0..CLIENTS).map(|number| -> i64 {
            let account = format!("account:{number}");
            let found = redis::cmd("GET").arg(account).query(&mut client);
            found.expect("the account is there")
        });
        let sum: i64 = accounts.sum();
        assert_eq!(sum, TOTAL * CLIENTS as i64, "seed {}, round {round}", seed());
    }
}

/// `everysec` promises the disk within about a second; WAITAOF tells when.
#[test]
fn what_was_written_is_on_the_disk_within_the_time_that_is_promised() {
    for policy in ["everysec", "always"] {
        let server = Server::start(&["--appendonly", "yes", "--appendfsync", policy]);
        let mut client = server.connect();
        // Who has written nothing need not wait.
        client.ask("WAITAOF 1 0 0", "*2\r\n:1\r\n:0\r\n");
        for _ in 0..2 {
            client.ask("SET a b", "+OK\r\n");
            client.ask("WAITAOF 1 0 3000", "*2\r\n:1\r\n:0\r\n");
        }
        client.ask("WAITAOF 1 1 1", "*2\r\n:1\r\n:0\r\n");
        let mut other = server.connect();
        other.send("WAITAOF 1 1 0\r\n");
        while !client.text("INFO clients").contains("blocked_clients:1") {}
        client.ask("CONFIG SET appendonly no", "+OK\r\n");
        let error = "WAITAOF cannot be used when numlocal is set but appendonly is disabled.";
        other.expect(format!("-ERR {error}\r\n"));
    }
    let server = Server::start(&["--appendonly", "yes", "--appendfsync", "no"]);
    for commands in ["SET a b\r\n", "MULTI\r\nSET a b\r\nEXEC\r\n"] {
        let mut client = server.connect();
        client.send(commands);
        client.send("WAITAOF 1 0 10\r\n");
        while client.line() != "*2" {}
        client.expect(":0\r\n:0\r\n");
    }
}

/// What is found in the folder besides what the manifest lists is what a crash left behind.
#[test]
fn what_a_rewrite_left_behind_when_it_died_does_no_harm() {
    let options = ["--appendonly", "yes"];
    let mut server = Server::start(&options);
    server.connect().ask("SET a b", "+OK\r\n");
    server.signal("KILL");
    let folder = server.folder.join("appendonlydir");
    for (name, text) in [
        ("temp-appendonly.aof.manifest", "file append"),
        ("appendonly.aof.2.incr.aof", "*1\r\n$8\r\nFLUSH"),
        ("appendonly.aof.2.base.rdb", "REDIS0011"),
        ("temp-appendonly.aof.incr", "garbage"),
    ] {
        fs::write(folder.join(name), text).expect("it is writable");
    }
    server = server.restart(&options);
    let mut client = server.connect();
    client.ask("GET a", "$1\r\nb\r\n");
    client.ask("BGREWRITEAOF", "+Background append only file rewriting started\r\n");
    client.ask("SET c d", "+OK\r\n");
    while client.text("INFO persistence").contains("aof_rewrite_in_progress:1") {}
    server.signal("KILL");
    server = server.restart(&options);
    let mut client = server.connect();
    client.ask("MGET a c", "*2\r\n$1\r\nb\r\n$1\r\nd\r\n");
    // Half a manifest can only be somebody's doing: it is replaced as a whole. It is refused rather than guessed at.
    server.signal("KILL");
    let manifest = folder.join("appendonly.aof.manifest");
    let text = fs::read_to_string(&manifest).expect("it is there");
    fs::write(&manifest, &text[..text.len() / 2 + 3]).expect("it is writable");
    let (status, log) = server.relaunch(&options).wait();
    assert!(!status.success());
    let log = log.join("\n");
    assert!(log.contains("AOF manifest"), "{log}");
}

/// The end of the server brings everything to the disk.
#[test]
fn the_end_of_the_server_forces_what_was_appended_to_the_disk() {
    let options = ["--appendonly", "yes", "--appendfsync", "no"];
    let mut server = Server::start(&options);
    let mut client = server.connect();
    client.ask("SET a b", "+OK\r\n");
    client.send("SHUTDOWN\r\n");
    let (status, log) = server.wait();
    assert!(status.success());
    let log = log.join("\n");
    assert!(log.contains("Calling fsync() on the AOF file."), "{log}");
    // The first base is not there yet: ending now would lose what the server has.
    let mut server = server.restart(&["--rdb-key-save-delay", "10000000"]);
    let mut client = server.connect();
    client.ask("SET a b", "+OK\r\n");
    client.ask("CONFIG SET appendonly yes", "+OK\r\n");
    client.ask("SHUTDOWN", "-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
    client.send("SHUTDOWN FORCE\r\n");
    let (status, log) = server.wait();
    assert!(status.success());
    let log = log.join("\n");
    assert!(log.contains("Writing initial AOF, can't exit."), "{log}");
    assert!(log.contains("Writing initial AOF. Exit anyway."), "{log}");
}

/// While a script runs on that has written, nothing but a lost first base would ever let the server end: who wants
/// nothing saved is heard.
#[test]
fn a_script_that_does_not_end_keeps_the_end_of_the_server_back_no_longer_than_asked() {
    let mut server = Server::start(&["--rdb-key-save-delay", "10000000", "--lua-time-limit", "50"]);
    let mut client = server.connect();
    client.ask("SET a b", "+OK\r\n");
    client.ask("CONFIG SET appendonly yes", "+OK\r\n");
    let mut script = server.connect();
    script.send("EVAL \"redis.call('set','a',1) while true do end\" 0\r\n");
    while {
        client.send("PING\r\n");
        !client.line().contains("BUSY")
    } {}
    client
        .ask("SHUTDOWN", "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n");
    client.send("SHUTDOWN NOSAVE\r\n");
    let (status, log) = server.wait();
    assert!(status.success());
    let log = log.join("\n");
    assert!(log.contains("Writing initial AOF. Exit anyway."), "{log}");
}

/// Two servers with one folder for their append-only files would remove each other's.
#[test]
fn a_second_server_does_not_touch_the_append_only_folder_of_another() {
    let options = ["--appendonly", "yes"];
    let first = Server::start(&options);
    let pid = first.process();
    first.connect().ask("SET a b", "+OK\r\n");
    let taken = format!("The append-only dir appendonlydir is in use by another server (pid {pid})");
    let (status, log) = first.launch_beside(&options).wait();
    assert!(!status.success());
    let log = log.join("\n");
    assert!(log.contains(&taken), "{log}");
    // Without the file it may share the folder, and is warned of the snapshot.
    let mut second = first.launch_beside(&[]);
    second.wait_for_any(&["uses the same dbfilename 'dump.rdb'"]);
    second.wait_for_any(&["Ready to accept"]);
    let mut client = second.connect();
    client.ask(
        "CONFIG SET appendonly yes",
        &format!("-ERR CONFIG SET failed (possibly related to argument 'appendonly') - {taken}\r\n"),
    );
    first.connect().ask("CONFIG SET appendonly no", "+OK\r\n");
    // The lock goes once the thread that removes files has come to it.
    while {
        client.send("CONFIG SET appendonly yes\r\n");
        client.line() != "+OK"
    } {}
    // What is no longer used by a server that has been killed is free.
    second.signal("KILL");
    drop(second);
    first.connect().ask("CONFIG SET appendonly yes", "+OK\r\n");
    first.connect().ask("GET a", "$1\r\nb\r\n");
}

/// Where Redis is left with what it has read up to the damage.
#[test]
fn a_damaged_snapshot_is_not_loaded_in_place_of_the_data() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    let library = "#!lua name=one\nredis.register_function('f',function()return 1 end)";
    let request = format!("*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n${}\r\n{library}", library.len());
    client.ask(&request, "$3\r\none\r\n");
    for number in 0..300 {
        let reply = ":2\r\n";
        client.ask(&format!("RPUSH list:{number} a {number}"), reply);
    }
    client.ask("SAVE", "+OK\r\n");
    client.ask("SET later 1 EX 1000", "+OK\r\n");
    client.send("DEBUG DIGEST\r\n");
    let digest = client.line();
    let path = server.folder.join("dump.rdb");
    let mut bytes = fs::read(&path).expect("it is saved");
    let place = bytes.len() - 300;
    bytes[place] ^= 1;
    fs::write(&path, bytes).expect("it is writable");
    client.ask("DEBUG RELOAD NOSAVE", "-ERR Error trying to load the RDB dump, check server logs.\r\n");
    client.ask("DEBUG DIGEST", &format!("{digest}\r\n"));
    client.ask("FCALL f 0", ":1\r\n");
    client.ask("GET later", "$1\r\n1\r\n");
    client.ask("DEBUG RELOAD", "+OK\r\n");
    client.ask("DEBUG DIGEST", &format!("{digest}\r\n"));
    client.ask("FCALL f 0", ":1\r\n");
}

#[test]
fn nothing_acknowledged_is_lost_with_always() {
    crash_again_and_again("always", false);
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_alone_dies() {
    crash_again_and_again("everysec", false);
}

#[test]
fn a_crash_during_rewrites_loses_nothing() {
    crash_again_and_again("always", true);
}

/// Requests whose replies tell of the key that was written last, and those.
const READS_OF_UNWRITTEN: [(&str, &str); 5] = [
    ("GET k0", "$1\r\nv\r\n"),
    ("EXISTS before k0", ":2\r\n"),
    ("EVAL \"return redis.call('get','k0')\" 0", "$1\r\nv\r\n"),
    ("DUMP k0\r\nGET before", "$"),
    ("MULTI\r\nGET k0\r\nEXEC", "+OK\r\n+QUEUED\r\n*1\r\n$1\r\nv\r\n"),
];

/// A limit on the size of files stands for a full disk.
#[test]
fn a_full_disk_refuses_writes_and_nothing_is_half_applied() {
    for policy in ["everysec", "always"] {
        let options = ["--appendonly", "yes", "--appendfsync", policy];
        let mut server = Server::start(&options);
        let mut client = server.connect();
        client.ask("SET before 1", "+OK\r\n");
        let log = server.folder.join("appendonlydir/appendonly.aof.1.incr.aof");
        let length = fs::metadata(&log).expect("it is there").len();
        server.limit_files(Some(length + 10));
        // The first write finds out. With `always` it stays without a reply for as long as it is not on the disk.
        client.send("SET k0 v\r\n");
        let mut other = server.connect();
        loop {
            other.send("SET other v\r\n");
            let line = other.line();
            if line.starts_with("-MISCONF Errors writing to the AOF file: ") {
                break;
            }
            assert_eq!((line.as_str(), policy), ("+OK", "everysec"));
        }
        other.ask("GET before", "$1\r\n1\r\n");
        // Who reads what is in no file waits for that, however it is read.
        let readers: Vec<_> = READS_OF_UNWRITTEN
            .iter()
            .map(|(words, reply)| {
                let mut reader = server.connect();
                reader.send(format!("{words}\r\n"));
                (reader, words, reply)
            })
            .collect();
        // What they sent is there before these.
        for _ in 0..2 {
            other.ask("GET before", "$1\r\n1\r\n");
        }
        for (reader, words, _) in &readers {
            assert!(reader.is_silent(), "{words}: told of what may be lost");
        }
        assert_eq!(fs::metadata(&log).expect("it is there").len(), length, "torn");
        assert!(other.text("INFO persistence").contains("aof_last_write_status:err"));
        server.limit_files(None);
        client.expect("+OK\r\n");
        for (mut reader, _, reply) in readers {
            reader.expect(reply);
        }
        loop {
            other.send("SET after v\r\n");
            if other.line() == "+OK" {
                break;
            }
        }
        server.signal("KILL");
        server = server.restart(&options);
        let mut client = server.connect();
        client.ask("MGET before k0 after", "*3\r\n$1\r\n1\r\n$1\r\nv\r\n$1\r\nv\r\n");
    }
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let path = path.join(format!("durability-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    /// Makes an append-only file of these bytes the only part.
    fn write(&self, bytes: &[u8]) {
        let list = "file appendonly.aof.1.incr.aof seq 1 type i\n";
        fs::write(self.0.join("appendonly.aof.manifest"), list).expect("it is writable");
        fs::write(self.0.join("appendonly.aof.1.incr.aof"), bytes).expect("it is writable");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server that has loaded the append-only file in a folder. Errors: what it says about it.
fn loaded(folder: &Path, cuts: bool) -> Result<Harness, String> {
    let mut server = Harness::with_config(Config {
        appenddirname: folder.to_string_lossy().into_owned(),
        aof_load_truncated: cuts,
        enable_debug_command: oneloop::config::ProtectedAction::Yes,
        ..Config::default()
    });
    server.set_clock_to_now();
    if start::begin_replay(&mut server.state)? {
        while start::replay_step(&mut server.state)? != LoadingStep::Done {}
    }
    Ok(server)
}

/// Runs commands on a server in-process; gives what it appends.
fn appended(commands: &[&str]) -> (Harness, Vec<u8>) {
    let mut server = Harness::with_debug();
    server.set_clock_to_now();
    server.propagate();
    for command in commands {
        let reply = server.run(command);
        assert!(!reply.starts_with('-'), "{command}: {reply}");
    }
    let bytes = server.take_propagated();
    (server, bytes)
}

#[test]
fn a_file_cut_anywhere_gives_what_was_whole() {
    let commands = [
        "RPUSH list 1",
        "RPUSH list 2",
        "MULTI",
        "RPUSH list 3",
        "INCR three",
        "EXEC",
        "SELECT 1",
        "RPUSH list 4",
        "SELECT 0",
        "RPUSH list 5",
    ];
    let (_, bytes) = appended(&commands);
    let folder = Folder::new("cut");
    let mut last = 0;
    for cut in 0..=bytes.len() {
        folder.write(&bytes[..cut]);
        let mut server = loaded(&folder.0, true).expect("it is cut and loaded");
        let list = server.run("LRANGE list 0 -1");
        let three = server.run("GET three");
        // The transaction is there as a whole, or not at all.
        assert_eq!(list.contains("\r\n3\r\n"), three == "$1\r\n1\r\n", "cut at {cut}");
        let length: usize = list[1..].split("\r\n").next().and_then(|text| text.parse().ok()).expect("a length");
        assert!(length >= last, "cut at {cut}: less than before");
        last = length;
        // Two servers cannot have one folder.
        drop(server);
        let left = fs::metadata(folder.0.join("appendonly.aof.1.incr.aof")).expect("it is there");
        folder.write(&bytes[..left.len() as usize]);
        assert!(loaded(&folder.0, false).is_ok(), "cut at {cut}: what is left is whole");
    }
    assert_eq!(last, 4);
    for cut in [1, bytes.len() - 1, bytes.len() - 20] {
        folder.write(&bytes[..cut]);
        let error = loaded(&folder.0, false).err().expect("it is not allowed");
        assert!(error.contains("Unexpected end of file"), "{error}");
    }
}

/// Bytes that are not what was written are refused, or change a value: they never do more harm.
#[test]
fn a_damaged_file_does_no_harm() {
    let (_, bytes) = appended(&["SET key value", "RPUSH list a b c", "HSET hash f v", "XADD s 1-1 a b"]);
    let folder = Folder::new("damaged");
    let mut random = fastrand::Rng::with_seed(seed());
    for _ in 0..300 {
        let mut damaged = bytes.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..damaged.len());
            damaged[at] = random.u8(..);
        }
        folder.write(&damaged);
        if let Ok(mut server) = loaded(&folder.0, true) {
            server.run("DEBUG DIGEST");
        }
    }
}

const EVERYTHING: [&str; 26] = [
    "SET string value EX 1000",
    "SET number 17",
    "INCRBYFLOAT float 1.5",
    "APPEND string more",
    "SETRANGE range 5 x",
    "RPUSH list a b c 1 2 3",
    "LPOP list",
    "SADD set a b c",
    "SADD integers 1 2 3",
    "SPOP integers 1",
    "ZADD sorted 1 a 2.5 b -inf c",
    "ZPOPMIN sorted",
    "HSET hash a 1 b 2",
    "HINCRBYFLOAT hash a 0.5",
    "XADD stream * a 1 b 2",
    "XADD stream * c 3",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group me COUNT 1 STREAMS stream >",
    "PFADD loglog a b c",
    "GEOADD geo 13.361389 38.115556 Palermo",
    "SETBIT bits 7 1",
    "EXPIRE hash 1000",
    "SELECT 3",
    "SET other database",
    "COPY other copied DB 0",
    "SELECT 0",
];

#[test]
fn what_was_appended_is_the_same_data() {
    let (mut before, bytes) = appended(&EVERYTHING);
    let folder = Folder::new("same");
    folder.write(&bytes);
    let mut after = loaded(&folder.0, false).expect("it is whole");
    assert_eq!(after.run("DEBUG DIGEST"), before.run("DEBUG DIGEST"));
}

/// A genuine server that has loaded an append-only file and run commands; its digest of the data. None: there is no
/// such program.
fn digest_of_genuine(program: &str, folder: &Path, commands: &[String]) -> Option<String> {
    let parent = folder.parent().expect("it is in another");
    let name = folder.file_name().and_then(|name| name.to_str());
    let name = name.expect("it has a name");
    let options = [
        "--appendonly",
        "yes",
        "--appenddirname",
        name,
        // While a sync goes on every second, Redis puts its writes off, and still replies.
        "--appendfsync",
        "no",
        "--enable-debug-command",
        "yes",
    ];
    let mut genuine = Genuine::launch(program, Some(parent), &options)?;
    if let Err(log) = genuine.wait_until_ready() {
        panic!("{program} does not load {}:\n{log}", folder.display());
    }
    let address = format!("redis://127.0.0.1:{}/", genuine.port);
    let client = redis::Client::open(address).expect("an address");
    let mut connection = client.get_connection().expect("it listens");
    run_all(&mut connection, commands);
    let digest = redis::cmd("DEBUG").arg("DIGEST").query(&mut connection);
    // Ends it without asking: what it has appended is in the file.
    drop(genuine);
    Some(digest.expect("a digest"))
}

/// Runs commands, each words with spaces between; after BGREWRITEAOF it waits until that is done.
fn run_all(connection: &mut redis::Connection, commands: &[String]) {
    for command in commands {
        let mut request = redis::Cmd::new();
        command.split(' ').for_each(|word| {
            request.arg(word);
        });
        let done: redis::RedisResult<redis::Value> = request.query(connection);
        done.expect(command);
        let is_rewriting = |connection: &mut redis::Connection| {
            let info: redis::RedisResult<String> = redis::cmd("INFO").arg("persistence").query(connection);
            let info = info.expect("a reply");
            info.contains("aof_rewrite_in_progress:1") || info.contains("aof_rewrite_scheduled:1")
        };
        while command == "BGREWRITEAOF" && is_rewriting(connection) {
            std::thread::yield_now();
        }
    }
}

/// Values of all types in all their encodings, a part of them written before the file is written anew.
fn all_encodings() -> Vec<String> {
    let mut commands: Vec<String> = EVERYTHING.iter().map(|text| text.to_string()).collect();
    let numbers = |from: u32, to: u32| {
        let words = (from..to).map(|number| number.to_string());
        words.collect::<Vec<_>>().join(" ")
    };
    let pairs = |count: u32| {
        let words = (0..count).map(|number| format!("{number} member:{number}"));
        words.collect::<Vec<_>>().join(" ")
    };
    let long = "long text ".repeat(300).replace(' ', "_");
    for range in [(0, 600), (600, 700)] {
        let (from, to) = range;
        commands.push(format!("SADD intset:{from} {}", numbers(from, from + 100)));
        commands.push(format!("SADD bigset {}", numbers(from, to)));
        commands.push(format!("SADD textset:{from} a {long}"));
        commands.push(format!("RPUSH biglist {}", numbers(from, to)));
        commands.push(format!("RPUSH longlist:{from} {long} {long} {long} b"));
        commands.push(format!("HSET bighash:{from} {}", pairs(to - from)));
        commands.push(format!("HSET longhash:{from} {long} {long} f v"));
        commands.push(format!("ZADD bigzset:{from} {}", pairs(to - from)));
        commands.push(format!("ZADD longzset:{from} 1.5 {long} -7 x"));
        commands.push(format!("SET text:{from} {long}"));
        commands.push(format!("SETBIT bits:{from} 100000 1"));
        commands.push(format!("PFADD hll:{from} {}", numbers(from, to)));
        for number in from..to.min(from + 300) {
            commands.push(format!("XADD bigstream {}-{number} field value:{number} g {number}", number + 5));
        }
        commands.push(format!("XGROUP CREATE bigstream group:{from} 0"));
        for consumer in ["one", "two"] {
            commands.push(format!("XREADGROUP GROUP group:{from} {consumer} COUNT 120 STREAMS bigstream >"));
        }
        commands.push(format!("XACK bigstream group:{from} 10-5 20-15"));
        commands.push("XDEL bigstream 30-25".into());
        commands.push(format!("PEXPIREAT text:{from} 4102444800123"));
        if from == 0 {
            commands.push("FUNCTION LOAD #!lua\tname=one\nredis.register_function('f',function()return(1)end)".into());
            commands.push("BGREWRITEAOF".into());
        }
    }
    commands
}

/// Genuine servers at hand.
fn programs() -> Vec<(String, bool)> {
    let newer = ["NEWER_REDIS_SERVER", "VALKEY_SERVER"].map(std::env::var);
    let newer = newer.into_iter().flatten().map(|program| (program, true));
    [("redis-server".to_string(), false)].into_iter().chain(newer).collect()
}

/// With a base that is a snapshot for those who read its version, one of commands for all.
#[test]
fn genuine_servers_load_whole_folders_and_the_other_way_round() {
    let commands = all_encodings();
    for (program, is_newer) in programs() {
        for preamble in ["no", "yes"] {
            if preamble == "yes" && !is_newer {
                // 7.0 refuses snapshots of 7.2's version, its own are loaded below.
                continue;
            }
            let options = ["--appendonly", "yes", "--aof-use-rdb-preamble", preamble, "--enable-debug-command", "yes"];
            let mut server = Server::start(&options);
            let mut client = server.client();
            run_all(&mut client, &commands);
            let digest: redis::RedisResult<String> = redis::cmd("DEBUG").arg("DIGEST").query(&mut client);
            server.signal("TERM");
            server.wait();
            let folder = server.folder.join("appendonlydir");
            let Some(theirs) = digest_of_genuine(&program, &folder, &[]) else {
                eprintln!("SKIPPED: no {program}, nothing was exchanged");
                return;
            };
            assert_eq!(digest.expect("a digest"), theirs, "{program}, {preamble}");
        }
        for preamble in ["no", "yes"] {
            let folder = Folder::new(&format!("theirs-{preamble}"));
            fs::create_dir_all(&folder.0).expect("a folder");
            let set = format!("CONFIG SET aof-use-rdb-preamble {preamble}");
            let all: Vec<String> = [set].into_iter().chain(commands.iter().cloned()).collect();
            let digest = digest_of_genuine(&program, &folder.0, &all).expect("it ran a moment ago");
            let mut loaded = loaded(&folder.0, false).expect("it is whole");
            assert_eq!(loaded.run("DEBUG DIGEST"), format!("+{digest}\r\n"), "{program}, {preamble}");
            assert!(loaded.run("FUNCTION LIST").contains("one"));
        }
    }
}

#[test]
fn a_genuine_server_loads_what_this_one_appends_and_the_other_way_round() {
    let (mut ours, bytes) = appended(&EVERYTHING);
    let folder = Folder::new("exchange");
    folder.write(&bytes);
    let Some(digest) = digest_of_genuine("redis-server", &folder.0, &[]) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "redis-server is not on the PATH");
        eprintln!("SKIPPED: redis-server is not on the PATH, nothing was exchanged");
        return;
    };
    assert_eq!(ours.run("DEBUG DIGEST"), format!("+{digest}\r\n"));
    folder.write(b"");
    let everything = EVERYTHING.map(String::from);
    let digest = digest_of_genuine("redis-server", &folder.0, &everything);
    let digest = digest.expect("it ran a moment ago");
    let mut loaded = loaded(&folder.0, false).expect("it is whole");
    assert_eq!(loaded.run("DEBUG DIGEST"), format!("+{digest}\r\n"));
}
