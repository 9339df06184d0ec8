//! Sets of genuine servers and ours: chains whose middle is promoted, and pairs of which both sides are stopped, killed
//! and started again, all under writes. They have the same data in the end, and nothing was sent anew that could be gone
//! on with.
//!
//! With `redis-server` on the PATH, and with those whose paths `GENUINE_SERVERS` lists, parted by colons.

#[path = "support/sentinel.rs"]
mod sentinel;

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use redis::Connection;
use sentinel::{Node, connect, is_linked, lasting_port, our_program, request};

/// Written to a primary while its replica is away, in bytes of the stream.
const MEANWHILE: u64 = 200_000;

/// The genuine servers that are at hand. `scripts/test` installs one, and fetches others where that is possible.
fn programs() -> Vec<OsString> {
    let listed = std::env::var("GENUINE_SERVERS").unwrap_or_default();
    let others = listed.split(':').filter(|path| !path.is_empty()).map(OsString::from);
    std::iter::once("redis-server".into()).chain(others).collect()
}

/// Starts a server that follows another one, if one is given. None: there is no such program, and the output says so.
fn start(name: &str, program: &OsString, primary: Option<&Node>) -> Option<Node> {
    let mut lines: Vec<String> =
        ["save \"\"", "enable-debug-command yes", "repl-diskless-sync-delay 0", "repl-backlog-size 64mb"]
            .map(String::from)
            .to_vec();
    if name == "Oneloop" {
        lines.push("appendonly yes".into());
    }
    lines.extend(primary.map(|primary| format!("replicaof 127.0.0.1 {}", primary.port)));
    let node = Node::start(name, program, lasting_port(), &lines);
    if node.is_none() {
        println!("SKIPPED: there is no {}", program.to_string_lossy());
    }
    node
}

/// A server of ours, or a genuine one of this program.
fn one_of(is_ours: bool, program: &OsString, primary: Option<&Node>) -> Option<Node> {
    match is_ours {
        true => start("Oneloop", &our_program(), primary),
        false => start("genuine", program, primary),
    }
}

/// Writes values of all types until the test stops it.
struct Load {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Load {
    fn begin(port: u16) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut connection = connect(port, Duration::from_secs(60)).expect("it accepts");
            prepare(&mut connection);
            let mut random = fastrand::Rng::with_seed(7);
            let mut commands = 0;
            while !told.load(Ordering::Relaxed) {
                let mut pipeline = redis::pipe();
                for _ in 0..30 {
                    commands += 1;
                    add_change(&mut pipeline, &mut random, commands);
                }
                let reply: redis::RedisResult<redis::Value> = pipeline.query(&mut connection);
                reply.expect("they are run");
                std::thread::sleep(Duration::from_millis(1));
            }
            commands
        });
        Load { stop, thread }
    }

    /// Ends it; gives how many commands there were.
    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it writes to its end")
    }
}

fn prepare(connection: &mut Connection) {
    let library = "#!lua name=mine\nredis.register_function('mine', function(keys, args)\n\
                   redis.call('INCRBY', keys[1], args[1])\nreturn redis.call('SADD', keys[2], args[1])\nend)";
    let () = request(&["FUNCTION", "LOAD", "REPLACE", library]).query(connection).expect("a library");
    let () = request(&["XGROUP", "CREATE", "stream:0", "readers", "0", "MKSTREAM"])
        .query(connection)
        .or_else(|error| if error.to_string().contains("BUSYGROUP") { Ok(()) } else { Err(error) })
        .expect("a group");
}

/// A command, or several, that change something.
fn add_change(pipeline: &mut redis::Pipeline, random: &mut fastrand::Rng, number: u64) {
    let key = random.u32(..500);
    let few = key % 20;
    let text = "x".repeat(random.usize(..200));
    let words: Vec<String> = match random.u32(..14) {
        0 => vec!["SET".into(), format!("text:{key}"), text],
        1 => vec!["SET".into(), format!("passing:{key}"), text, "EX".into(), "1000".into()],
        2 => vec!["RPUSH".into(), format!("list:{few}"), text],
        3 => vec!["LPOP".into(), format!("list:{few}")],
        4 => vec!["SADD".into(), format!("set:{few}"), key.to_string(), text],
        5 => vec!["SPOP".into(), format!("set:{few}")],
        6 => vec!["HSET".into(), format!("hash:{few}"), key.to_string(), text],
        7 => vec!["HINCRBYFLOAT".into(), format!("floats:{few}"), key.to_string(), "0.5".into()],
        8 => vec!["ZADD".into(), format!("scores:{few}"), key.to_string(), format!("m{key}")],
        9 => vec!["XADD".into(), format!("stream:{}", few % 3), "*".into(), "f".into(), text],
        10 => vec!["DEL".into(), format!("text:{key}")],
        11 => vec!["EXPIRE".into(), format!("text:{key}"), "5000".into()],
        12 => {
            let script = "redis.call('SET', KEYS[1], ARGV[1]); return redis.call('INCR', KEYS[2])";
            [&["EVAL", script, "2"], &[format!("text:{key}").as_str(), "scripts"][..], &[text.as_str()]]
                .concat()
                .iter()
                .map(ToString::to_string)
                .collect()
        }
        _ => vec!["FCALL".into(), "mine".into(), "2".into(), "sum".into(), "parts".into(), number.to_string()],
    };
    let mut command = redis::cmd(&words[0]);
    command.arg(&words[1..]);
    if number.is_multiple_of(10) {
        pipeline.cmd("MULTI").cmd("INCR").arg("transactions").add_command(command).cmd("EXEC");
    } else {
        pipeline.add_command(command);
    }
}

/// Waits until all have what the first one has, and checks that they do.
#[track_caller]
fn expect_same(primary: &Node, replicas: &[&Node]) {
    for replica in replicas {
        replica.wait_until("it catches up", || {
            let offset = primary.field("master_repl_offset");
            is_linked(replica) && replica.field("slave_repl_offset") == offset
        });
    }
    let expected = primary.digest().expect("it is there");
    assert!(expected != "0".repeat(40), "there are data");
    for replica in replicas {
        assert_eq!(replica.digest().expect("it is there"), expected, "{} and {}", replica.name, primary.name);
    }
}

#[track_caller]
fn follow(node: &Node, primary: &Node) {
    let () = node.ask(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]).expect("it is there");
}

/// The stream of a server grows by so many bytes, with or without replicas.
#[track_caller]
fn wait_for_writes(primary: &Node) {
    let before = primary.number("master_repl_offset");
    primary.wait_until("it is written to", || primary.number("master_repl_offset") > before + MEANWHILE);
}

/// Genuine, ours, genuine; and ours, genuine, ours.
#[test]
fn chains_follow_the_promotion_of_their_middle() {
    for program in programs() {
        for is_ours in [true, false] {
            let Some(top) = one_of(!is_ours, &program, None) else { continue };
            let load = Load::begin(top.port);
            let middle = one_of(is_ours, &program, Some(&top)).expect("it was there");
            middle.wait_until("the link is up", || is_linked(&middle));
            let bottom = one_of(!is_ours, &program, Some(&middle)).expect("it was there");
            bottom.wait_until("the link is up", || is_linked(&bottom));
            wait_for_writes(&top);
            assert!(load.end() > 0);
            expect_same(&top, &[&middle, &bottom]);
            let () = middle.ask(&["REPLICAOF", "NO", "ONE"]).expect("it is there");
            let load = Load::begin(middle.port);
            wait_for_writes(&middle);
            follow(&top, &middle);
            wait_for_writes(&middle);
            load.end();
            expect_same(&middle, &[&top, &bottom]);
            let full = [&top, &middle, &bottom].map(|node| node.number("sync_full"));
            assert_eq!(full, [1, 1, 0], "{program:?}, ours in the middle: {is_ours}: each has sent its data once");
            assert!(middle.number("sync_partial_ok") >= 1, "the old top went on where it was");
        }
    }
}

/// The replica is stopped, and killed, while its primary is written to.
#[test]
fn a_replica_that_stood_still_or_was_killed_goes_on_where_it_was() {
    for program in programs() {
        for is_ours in [true, false] {
            let Some(primary) = one_of(!is_ours, &program, None) else { continue };
            let load = Load::begin(primary.port);
            let mut replica = one_of(is_ours, &program, Some(&primary)).expect("it was there");
            replica.wait_until("the link is up", || is_linked(&replica));
            replica.signal("STOP");
            wait_for_writes(&primary);
            replica.signal("CONT");
            replica.wait_until("the link is up", || is_linked(&replica));
            assert_eq!(primary.number("sync_partial_ok"), 0, "the link outlives a pause");
            match is_ours {
                true => replica.wait_until("its file is begun", || replica.field("aof_rewrite_in_progress") == "0"),
                // Genuine servers go on from a snapshot alone.
                false => replica.ask(&["SAVE"]).expect("it is there"),
            }
            replica.kill();
            wait_for_writes(&primary);
            replica.restart();
            replica.wait_until("the link is up", || is_linked(&replica));
            assert!(load.end() > 0);
            expect_same(&primary, &[&replica]);
            let syncs = (primary.number("sync_full"), primary.number("sync_partial_ok"));
            assert_eq!(syncs, (1, 1), "{program:?}, a replica of ours: {is_ours}");
        }
    }
}

/// The primary is stopped, and started again: ours after it was killed, a genuine one after it has saved its data.
#[test]
fn replicas_go_on_when_their_primary_is_back() {
    for program in programs() {
        for is_ours in [true, false] {
            let Some(mut primary) = one_of(is_ours, &program, None) else { continue };
            let load = Load::begin(primary.port);
            let replica = one_of(!is_ours, &program, Some(&primary)).expect("it was there");
            replica.wait_until("the link is up", || is_linked(&replica));
            wait_for_writes(&primary);
            load.end();
            primary.signal("STOP");
            std::thread::sleep(Duration::from_millis(300));
            primary.signal("CONT");
            expect_same(&primary, &[&replica]);
            match is_ours {
                true => {
                    let _: Vec<u64> = request(&["WAITAOF", "1", "0", "0"])
                        .query(&mut primary.connect().expect("it is there"))
                        .expect("it is on the disk");
                    primary.kill();
                }
                false => {
                    // It ends without a reply.
                    let _ = primary.ask::<()>(&["SHUTDOWN", "SAVE"]);
                    primary.wait();
                }
            }
            primary.restart();
            replica.wait_until("the link is up", || is_linked(&replica));
            let load = Load::begin(primary.port);
            wait_for_writes(&primary);
            load.end();
            expect_same(&primary, &[&replica]);
            let syncs = (primary.number("sync_full"), primary.number("sync_partial_ok"));
            assert_eq!(syncs, (0, 1), "{program:?}, a primary of ours: {is_ours}");
        }
    }
}

/// A replica comes while the data for another one are on their way, and a third one, from servers of either kind.
#[test]
fn several_replicas_of_either_kind_come_under_load() {
    for program in programs() {
        for is_ours in [true, false] {
            let Some(primary) = one_of(is_ours, &program, None) else { continue };
            let () = primary.ask(&["DEBUG", "POPULATE", "3000", "many", "200"]).expect("it is there");
            let () = primary.ask(&["CONFIG", "SET", "rdb-key-save-delay", "200"]).expect("it is there");
            let load = Load::begin(primary.port);
            let replicas: Vec<Node> = [true, false, true]
                .into_iter()
                .map(|is_ours| one_of(is_ours, &program, Some(&primary)).expect("it was there"))
                .collect();
            for replica in &replicas {
                replica.wait_until("the link is up", || is_linked(replica));
            }
            load.end();
            expect_same(&primary, &replicas.iter().collect::<Vec<_>>());
            assert_eq!(primary.number("sync_full"), 3, "{program:?}, a primary of ours: {is_ours}");
        }
    }
}

/// Times of fields go to those that know them, each in its own form of a snapshot; others are refused.
#[test]
fn fields_that_expire_go_to_servers_that_know_them() {
    const TIMES: &[&str] = &["HPEXPIRETIME", "hash", "FIELDS", "3", "a", "b", "f400"];
    for program in programs() {
        let Some(genuine) = start("genuine", &program, None) else { continue };
        let ours = start("Oneloop", &our_program(), None).expect("it is built");
        let knows_times = genuine.ask::<Vec<i64>>(TIMES).is_ok();
        for (primary, replica) in [(&ours, &genuine), (&genuine, &ours)] {
            if !knows_times && primary.port == genuine.port {
                continue;
            }
            let () = replica.ask(&["REPLICAOF", "NO", "ONE"]).expect("it is there");
            // A small hash, and a large one.
            for count in if knows_times { vec![3, 500] } else { vec![3] } {
                let () = primary.ask(&["DEL", "hash"]).expect("it is there");
                let () = primary.ask(&["HSET", "hash", "a", "1", "b", "2", "f400", "3"]).expect("it is there");
                for field in 3..count {
                    let () = primary.ask(&["HSET", "hash", &format!("f{field}"), "value"]).expect("it is there");
                }
                let () = primary.ask(&["HEXPIRE", "hash", "1000", "FIELDS", "1", "a"]).expect("it is there");
                let () = primary.ask(&["DEBUG", "CHANGE-REPL-ID"]).expect("it is there");
                follow(replica, primary);
                if !knows_times {
                    let refused = ["version 12", "Can't handle RDB format", "compatible"];
                    replica.wait_until("it is refused, or refuses", || {
                        [primary.log(), replica.log()].iter().any(|log| refused.iter().any(|text| log.contains(text)))
                    });
                    assert!(!is_linked(replica), "{program:?}");
                    continue;
                }
                replica.wait_until("the link is up", || is_linked(replica));
                let () = primary.ask(&["HEXPIRE", "hash", "2000", "FIELDS", "1", "b"]).expect("it is there");
                expect_same_times(primary, replica, TIMES);
                let () = replica.ask(&["REPLICAOF", "NO", "ONE"]).expect("it is there");
            }
        }
    }
}

#[track_caller]
fn expect_same_times(primary: &Node, replica: &Node, times: &[&str]) {
    replica.wait_until("it catches up", || replica.field("slave_repl_offset") == primary.field("master_repl_offset"));
    let expected: Vec<i64> = primary.ask(times).expect("it is there");
    assert!(expected[0] > 0 && expected[1] > 0 && expected[2] == -1, "{expected:?}");
    assert_eq!(replica.ask::<Vec<i64>>(times).expect("it is there"), expected, "{}", replica.name);
}
