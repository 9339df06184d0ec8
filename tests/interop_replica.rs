//! Genuine servers as primaries, and chains of both: whatever happens, all have the same data in the end, and what could
//! be gone on with was not sent anew.
//!
//! With `redis-server` on the PATH, and with those whose paths `GENUINE_SERVERS` lists, parted by colons.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/genuine.rs"]
mod genuine;
#[path = "support/server.rs"]
mod server;

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use certificates::Authority;
use genuine::{Genuine, field, wait_until};
use server::{Raw, Server};

type Client = Raw<TcpStream>;

/// Lets servers be compared, and full copies begin at once.
const OPTIONS: &[&str] = &["--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"];

/// The genuine servers that are at hand.
fn programs() -> Vec<String> {
    let listed = std::env::var("GENUINE_SERVERS").unwrap_or_default();
    let others = listed.split(':').filter(|path| !path.is_empty()).map(str::to_string);
    std::iter::once("redis-server".to_string()).chain(others).collect()
}

fn genuine(program: &str, more: &[&str]) -> Option<Genuine> {
    let started = Genuine::start(program, &[OPTIONS, more].concat());
    if started.is_none() {
        eprintln!("SKIPPED: there is no {program}");
    }
    started
}

fn ours(more: &[&str]) -> Server {
    Server::start(&[OPTIONS, more].concat())
}

/// Waits until a replica has applied everything, and checks that it has the same data.
#[track_caller]
fn expect_same(primary: &mut Client, replica: &mut Client) {
    let mut last = (String::new(), String::new());
    wait_until("the replica catches up", || {
        last = (field(primary, "master_repl_offset"), field(replica, "slave_repl_offset"));
        last.0 == last.1 && field(replica, "master_link_status") == "up"
    });
    // A key whose time is over may go between the two.
    wait_until("the data are the same", || {
        let digests = [&mut *primary, &mut *replica].map(|client| {
            client.send("DEBUG DIGEST\r\n");
            client.line()
        });
        digests[0] == digests[1]
    });
}

#[track_caller]
fn follow(client: &mut Client, port: u16) {
    client.ask(&format!("REPLICAOF 127.0.0.1 {port}"), "+OK\r\n");
}

/// Runs commands, whatever their replies but for errors.
#[track_caller]
fn run(client: &mut Client, commands: &str) {
    let lines: Vec<&str> = commands.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    client.send(lines.iter().map(|line| format!("{line}\r\n")).collect::<String>());
    client.send("ECHO done\r\n");
    loop {
        let line = client.line();
        assert!(!line.starts_with('-'), "{line}: {commands}");
        if line == "done" {
            return;
        }
    }
}

/// Values of each type, small and large.
fn fill(client: &mut Client) {
    let mut commands = String::new();
    for number in 0..300 {
        let key = number % 20;
        commands += &format!(
            "SET text:{number} {}\nRPUSH list:{key} {number} x{number}\nSADD set:{key} {number} m{number}\n\
             HSET hash:{key} f{number} {number}\nZADD scores:{key} {number} m{number}\nXADD stream:{key} {}-1 f {number}\n\
             SET short:{number} {number} EX {}\n",
            "v".repeat(number + 1),
            number + 1,
            1000 + number
        );
    }
    run(client, &commands);
    run(client, "SELECT 3\nSET elsewhere 1\nSELECT 0\nXGROUP CREATE stream:1 readers 0\nPFADD loglog a b c");
    let library =
        "#!lua name=lib\\nredis.register_function('f', function(k, a) return redis.call('set', k[1], a[1]) end)";
    run(client, &format!("FUNCTION LOAD \"{library}\""));
}

/// Commands whose effects a primary passes on in another form, or in several commands.
const CHANGES: &str = "
    INCRBYFLOAT float 1.5
    HINCRBYFLOAT hash:1 float 2.5
    SPOP set:1
    SPOP set:2 5
    LMPOP 1 list:1 LEFT COUNT 2
    BLPOP list:2 0
    LMOVE list:3 list:4 LEFT RIGHT
    EXPIRE text:3 500
    GETEX text:4 EX 100
    PEXPIRE text:5 1
    SET text:6 x PX 1
    XADD stream:1 MAXLEN ~ 5 * f v
    XREADGROUP GROUP readers me COUNT 3 STREAMS stream:1 >
    XAUTOCLAIM stream:1 readers you 0 0
    ZPOPMIN scores:1 2
    SORT list:5 ALPHA STORE sorted
    GEOADD places 13 38 Palermo 15 37 Catania
    GEOSEARCHSTORE near places FROMLONLAT 15 37 BYRADIUS 300 km
    COPY hash:2 copied
    HSET hash:3 f 1
    RENAME hash:3 renamed
    FCALL f 1 called value
    EVAL \"redis.call('set', 'scripted', 1); return redis.call('incr', 'scripted')\" 0
    SELECT 5
    SET five 1
    MULTI
    SET a 1
    SELECT 6
    SET b 1
    EXEC
    SELECT 0
    SWAPDB 5 7
    UNLINK text:9
    PUBLISH channel message
";

#[test]
fn all_that_a_genuine_primary_does_is_done_here() {
    for program in programs() {
        let Some(primary) = genuine(&program, &[]) else { return };
        let mut theirs = primary.connect();
        fill(&mut theirs);
        for mode in ["disabled", "on-empty-db", "swapdb"] {
            let replica = ours(&["--repl-diskless-load", mode]);
            let mut here = replica.connect();
            run(&mut here, "SET old data");
            follow(&mut here, primary.port);
            run(&mut theirs, CHANGES);
            // What has expired there is removed here once the primary says so.
            wait_until("keys expire", || field(&mut theirs, "expired_keys") != "0");
            expect_same(&mut theirs, &mut here);
            run(&mut theirs, CHANGES);
            expect_same(&mut theirs, &mut here);
            here.ask("FCALL f 0", "-READONLY You can't write against a read only replica.\r\n");
            assert_eq!(field(&mut here, "unexpected_error_replies"), "0", "{program}");
        }
    }
}

/// Writes at random until it is told to stop; gives how many commands there were.
fn writer(port: u16, stop: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).expect("an address");
        let mut client = client.get_connection().expect("it accepts");
        let mut random = fastrand::Rng::with_seed(7);
        let mut commands = 0;
        while !stop.load(Ordering::Relaxed) {
            let mut pipeline = redis::pipe();
            for _ in 0..50 {
                let key = random.u32(..2000);
                match random.u32(..6) {
                    0 => pipeline.cmd("SET").arg(format!("w{key}")).arg("x".repeat(random.usize(..300))),
                    1 => pipeline.cmd("RPUSH").arg(format!("wl{}", key % 50)).arg(key),
                    2 => pipeline.cmd("HSET").arg(format!("wh{}", key % 50)).arg(key).arg(key),
                    3 => pipeline.cmd("DEL").arg(format!("w{key}")),
                    4 => pipeline.cmd("ZADD").arg(format!("wz{}", key % 50)).arg(key).arg(key),
                    _ => pipeline.cmd("SADD").arg(format!("ws{}", key % 50)).arg(key),
                };
                commands += 1;
            }
            pipeline.query::<redis::Value>(&mut client).expect("they are run");
        }
        commands
    })
}

/// The data come while the primary is written to, and the link is cut again and again.
#[test]
fn a_primary_under_load_is_followed_through_lost_links() {
    let Some(primary) = genuine("redis-server", &["--repl-backlog-size", "100mb"]) else { return };
    let mut theirs = primary.connect();
    fill(&mut theirs);
    run(&mut theirs, "DEBUG POPULATE 50000 key 100");
    let stop = Arc::new(AtomicBool::new(false));
    let writing = writer(primary.port, &stop);
    let replicas: Vec<Server> =
        ["disabled", "swapdb"].iter().map(|mode| ours(&["--repl-diskless-load", mode])).collect();
    let mut clients: Vec<Client> = replicas.iter().map(Server::connect).collect();
    for client in &mut clients {
        follow(client, primary.port);
    }
    for client in &mut clients {
        wait_until("the link is up", || field(client, "master_link_status") == "up");
    }
    for _ in 0..20 {
        for client in &mut clients {
            client.send("CLIENT KILL TYPE master\r\n");
            client.line();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writing.join().expect("it writes") > 0);
    for client in &mut clients {
        expect_same(&mut theirs, client);
    }
    assert_eq!(field(&mut theirs, "sync_full"), "2");
}

/// Genuine, ours, genuine, ours: the bytes go through, and a promotion in the middle costs nothing.
#[test]
fn chains_of_both_follow_a_promotion_without_new_copies() {
    let Some(first) = genuine("redis-server", &[]) else { return };
    let address = |port: u16| format!("127.0.0.1 {port}");
    let mut top = first.connect();
    fill(&mut top);
    let second = ours(&["--replicaof", &address(first.port)]);
    let mut middle = second.connect();
    wait_until("the second is up", || field(&mut middle, "master_link_status") == "up");
    let third = genuine("redis-server", &["--replicaof", &address(second.port)]).expect("it was there");
    let mut below = third.connect();
    wait_until("the third is up", || field(&mut below, "master_link_status") == "up");
    let fourth = ours(&["--replicaof", &address(third.port)]);
    let mut last = fourth.connect();
    run(&mut top, CHANGES);
    // What expires later, at a server that has been promoted, would be a change of its own.
    wait_until("keys expire", || field(&mut top, "expired_keys") == "2");
    for client in [&mut middle, &mut below, &mut last] {
        expect_same(&mut top, client);
    }
    middle.ask("REPLICAOF NO ONE", "+OK\r\n");
    run(&mut middle, "SET promoted 1\nSELECT 2\nSET there 1\nSELECT 0");
    for client in [&mut below, &mut last] {
        expect_same(&mut middle, client);
    }
    // The one that was first follows, and takes its place back.
    follow(&mut top, second.port);
    expect_same(&mut middle, &mut top);
    top.ask("REPLICAOF NO ONE", "+OK\r\n");
    follow(&mut middle, first.port);
    run(&mut top, "SET again 1");
    for client in [&mut middle, &mut below, &mut last] {
        expect_same(&mut top, client);
    }
    let full = [&mut top, &mut middle, &mut below].map(|client| field(client, "sync_full"));
    assert_eq!(full, ["1", "1", "1"], "each has sent its data once");
}

/// A replica that was killed goes on from its snapshot, or from its append-only file.
#[test]
fn a_replica_goes_on_after_a_restart() {
    let Some(primary) = genuine("redis-server", &[]) else { return };
    let mut theirs = primary.connect();
    fill(&mut theirs);
    let address = format!("127.0.0.1 {}", primary.port);
    for (round, file) in ["no", "yes"].iter().enumerate() {
        let options = [OPTIONS, &["--replicaof", &address, "--appendonly", file]].concat();
        let replica = Server::start(&options);
        let mut here = replica.connect();
        wait_until("the link is up", || field(&mut here, "master_link_status") == "up");
        run(&mut theirs, CHANGES);
        expect_same(&mut theirs, &mut here);
        match *file {
            "no" => here.ask("SAVE", "+OK\r\n"),
            _ => wait_until("the first base is written", || field(&mut here, "aof_rewrite_in_progress") == "0"),
        }
        if *file == "yes" {
            run(&mut theirs, CHANGES);
            expect_same(&mut theirs, &mut here);
        }
        replica.signal("KILL");
        run(&mut theirs, "SET meanwhile 1");
        let replica = replica.restart(&options);
        let mut here = replica.connect();
        expect_same(&mut theirs, &mut here);
        assert_eq!(field(&mut theirs, "sync_full"), (round + 1).to_string(), "appendonly {file}");
        assert_eq!(field(&mut theirs, "sync_partial_ok"), (round + 1).to_string(), "appendonly {file}");
    }
}

/// A primary of ours that was killed has its replicas go on, if its file has all that they have.
#[test]
fn replicas_go_on_after_a_restart_of_their_primary() {
    if genuine("redis-server", &[]).is_none() {
        return;
    }
    let options = [OPTIONS, &["--appendonly", "yes"]].concat();
    let primary = Server::start(&options);
    let mut here = primary.connect();
    fill(&mut here);
    let replica = genuine("redis-server", &[]).expect("it was there");
    let mut below = replica.connect();
    follow(&mut below, primary.port);
    wait_until("the link is up", || field(&mut below, "master_link_status") == "up");
    run(&mut here, CHANGES);
    expect_same(&mut here, &mut below);
    primary.signal("KILL");
    let primary = primary.restart(&options);
    let mut here = primary.connect();
    follow(&mut below, primary.port);
    run(&mut here, "SET after 1");
    expect_same(&mut here, &mut below);
    assert_eq!((field(&mut here, "sync_full"), field(&mut here, "sync_partial_ok")), ("0".into(), "1".into()));
}

/// A primary that has lost its data is followed all the same.
#[test]
fn a_primary_that_comes_back_empty_is_followed() {
    let Some(primary) = genuine("redis-server", &[]) else { return };
    let mut theirs = primary.connect();
    fill(&mut theirs);
    let replica = ours(&["--replicaof", &format!("127.0.0.1 {}", primary.port)]);
    let mut here = replica.connect();
    expect_same(&mut theirs, &mut here);
    run(&mut theirs, "FLUSHALL\nDEBUG CHANGE-REPL-ID\nSET only 1\nCLIENT KILL TYPE replica");
    expect_same(&mut theirs, &mut here);
    here.ask("DBSIZE", ":1\r\n");
}

/// The link is encrypted in either direction; what the wrong authority has issued is not believed.
#[test]
fn the_link_may_be_encrypted() {
    let authority = Authority::new("authority");
    let identity = authority.issue("somebody-else");
    let tls_port = server::free_port().to_string();
    let files = [
        ("--tls-ca-cert-file", authority.certificate_file.as_str()),
        ("--tls-cert-file", &identity.certificate_file),
        ("--tls-key-file", &identity.key_file),
        ("--tls-replication", "yes"),
    ];
    let files: Vec<&str> = files.iter().flat_map(|(name, value)| [*name, *value]).collect();
    let listening = [&files[..], &["--tls-port", &tls_port]].concat();
    let Some(primary) = genuine("redis-server", &listening) else { return };
    let mut theirs = primary.connect();
    fill(&mut theirs);
    let address = format!("127.0.0.1 {tls_port}");
    let own_port = server::free_port().to_string();
    let replica = ours(&[&files[..], &["--replicaof", &address, "--tls-port", &own_port]].concat());
    let mut here = replica.connect();
    run(&mut theirs, CHANGES);
    expect_same(&mut theirs, &mut here);
    let below = genuine("redis-server", &[&files[..], &["--replicaof", &format!("127.0.0.1 {own_port}")]].concat());
    let below = below.expect("it was there");
    let mut last = below.connect();
    run(&mut theirs, "SET through all");
    expect_same(&mut theirs, &mut last);
    let stranger = Authority::new("stranger");
    let mut others = files.clone();
    others[1] = &stranger.certificate_file;
    let mut suspicious = ours(&[&others[..], &["--replicaof", &address]].concat());
    suspicious.wait_for_any(&["Error of a TLS connection"]);
    suspicious.connect().ask("DBSIZE", ":0\r\n");
}
