//! Clusters of whole servers, which speak the bus to each other: slots, replicas that take over, hostile frames.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/encrypted.rs"]
mod encrypted;
#[path = "support/genuine.rs"]
mod genuine;
#[path = "support/nodes.rs"]
mod nodes;
#[path = "support/server.rs"]
mod server;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use certificates::{Authority, Identity};
use encrypted::{BOTH, client_config, encrypted};
use nodes::{Node, ask, make_cluster, port_with_bus, views, wait_until, wait_until_up};
use oneloop::cluster::key_slot;
use server::{Server, free_port};

/// The end of a server that cannot start: its status is no success, and its last line says why.
#[track_caller]
fn expect_refusal(mut server: Server, reason: &str) {
    let (status, log) = server.wait();
    assert!(!status.success());
    let last = log.last().expect("it has said why");
    assert!(last.contains(reason), "{last}");
}

fn launch(port: u16, more: &[&str]) -> Server {
    Server::launch(port, &[&["--cluster-enabled", "yes"], more].concat())
}

#[test]
fn a_server_that_cannot_be_a_node_says_why() {
    expect_refusal(launch(60_000, &[]), "would be above 65535");
    expect_refusal(launch(0, &[]), "needs a port");
    expect_refusal(launch(port_with_bus(), &["--tls-cluster", "yes"]), "set tls-port");
    let port = port_with_bus();
    let taken = TcpListener::bind(("127.0.0.1", port + 10_000)).expect("it was free");
    expect_refusal(launch(port, &[]), "(cluster bus)");
    drop(taken);
    let missing = ["--cluster-config-file", "/nowhere/nodes.conf"];
    expect_refusal(launch(port_with_bus(), &missing), "Can't open the cluster configuration file");
}

#[test]
fn the_file_of_a_node_belongs_to_one_process_and_has_to_be_whole() {
    let node = Node::ours(&[]);
    let folder = node.folder().to_string_lossy().into_owned();
    let beside = launch(port_with_bus(), &["--dir", &folder]);
    expect_refusal(beside, "is already used by a different Redis Cluster node");
    let id = node.id();
    node.expect("CLUSTER ADDSLOTSRANGE 0 99", "+OK");
    let stopped = node.kill();
    let file = stopped.folder().join("nodes.conf");
    let whole = fs::read_to_string(&file).expect("it was saved before the reply left");
    assert!(whole.starts_with(&id) && whole.contains(" 0-99\n"), "{whole}");
    fs::write(&file, &whole[..whole.len() - 10]).expect("the file can be damaged");
    let damaged = launch(port_with_bus(), &["--dir", &folder]);
    expect_refusal(damaged, "corrupted cluster config file \"nodes.conf\"");
    fs::write(&file, &whole).expect("the file can be mended");
    assert_eq!(stopped.restart().id(), id);
}

#[test]
fn without_cluster_mode_its_commands_say_so() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for request in ["INFO", "NODES", "SLOTS", "SHARDS", "MYID", "LINKS", "HELP", "KEYSLOT a", "ADDSLOTS 1", "RESET"] {
        client.ask(&format!("CLUSTER {request}"), "-ERR This instance has cluster support disabled\r\n");
    }
}

#[test]
fn nodes_that_meet_serve_their_slots() {
    let nodes = [Node::ours(&[]), Node::ours(&[]), Node::ours(&[])];
    let all: Vec<&Node> = nodes.iter().collect();
    make_cluster(&all, 3);
    for name in ["foo", "bar", "hello"] {
        let owner = usize::from(key_slot(name.as_bytes())) * 3 / 16384;
        for (number, node) in nodes.iter().enumerate() {
            let reply = node.ask(&format!("SET {name} 1"));
            match number == owner {
                true => assert_eq!(reply, "+OK"),
                false => {
                    let place = format!("{} 127.0.0.1:{}", key_slot(name.as_bytes()), nodes[owner].port);
                    assert_eq!(reply, format!("-MOVED {place}"));
                }
            }
        }
    }
    let slots = nodes[1].ask("CLUSTER NODES");
    for range in ["0-5460", "5461-10921", "10922-16383"] {
        assert!(slots.contains(&format!(" {range}\n")), "{slots}");
    }
    assert_eq!(nodes[0].field("redis_mode"), "cluster");
    assert_eq!(nodes[0].field("cluster_enabled"), "1");
    assert_eq!(nodes[0].field("cluster_connections"), "4");
}

#[test]
fn a_message_reaches_the_subscribers_of_all_nodes() {
    let nodes = [Node::ours(&[]), Node::ours(&[])];
    make_cluster(&[&nodes[0], &nodes[1]], 2);
    let mut subscriber = nodes[1].connect();
    subscriber.ask("SUBSCRIBE news", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    nodes[0].expect("PUBLISH news hello", ":0");
    subscriber.expect("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
    // A frame that is longer than a link reads at once.
    let long = "x".repeat(3 << 20);
    let request = format!("*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n${}\r\n{long}\r\n", long.len());
    let mut publisher = nodes[0].connect();
    publisher.send(request);
    publisher.expect(":0\r\n");
    subscriber.expect(format!("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n${}\r\n{long}\r\n", long.len()));
}

#[test]
fn a_sharded_message_reaches_the_replicas_of_the_shard() {
    let nodes = [Node::ours(&[]), Node::ours(&[])];
    make_cluster(&[&nodes[0], &nodes[1]], 1);
    let mut subscriber = nodes[1].connect();
    subscriber.ask("SSUBSCRIBE news", "*3\r\n$10\r\nssubscribe\r\n$4\r\nnews\r\n:1\r\n");
    nodes[0].expect("SPUBLISH news hello", ":0");
    subscriber.expect("*3\r\n$8\r\nsmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
}

/// Three primaries, of which the first has a replica.
fn with_replica() -> Vec<Node> {
    let nodes: Vec<Node> = (0..4).map(|_| Node::ours(&[])).collect();
    make_cluster(&nodes.iter().collect::<Vec<_>>(), 3);
    nodes
}

#[test]
fn a_replica_takes_the_place_of_a_primary_that_dies() {
    let mut nodes = with_replica();
    nodes[0].expect("SET {06S}key value", "+OK");
    wait_until(|| views(&[&nodes[3]]), || nodes[3].ask("DBSIZE") == ":1");
    let (old, id) = (nodes.remove(0), nodes[2].id());
    let old_id = old.id();
    let stopped = old.kill();
    wait_until(|| views(&[&nodes[0], &nodes[2]]), || nodes[2].is_primary());
    nodes[2].expect("GET {06S}key", "value");
    let rest: Vec<&Node> = nodes.iter().collect();
    wait_until(|| views(&rest), || rest.iter().all(|node| node.cluster_field("cluster_state") == "ok"));
    // The election's epoch was on the disk before the votes were asked for.
    let file = fs::read_to_string(nodes[2].folder().join("nodes.conf")).expect("it is saved");
    assert!(file.contains("currentEpoch 5 "), "{file}");
    let old = stopped.restart();
    assert_eq!(old.id(), old_id);
    wait_until(|| views(&[&old]), || !old.is_primary() && old.is_synced());
    assert!(old.line_at(&old).contains(&format!(" myself,slave {id} ")), "{}", views(&[&old]));
    let mut client = old.connect();
    client.ask("READONLY", "+OK\r\n");
    assert_eq!(ask(&mut client, "GET {06S}key"), "value");
}

#[test]
fn a_replica_that_is_asked_to_takes_over_with_every_write() {
    let nodes = with_replica();
    let mut writer = nodes[0].connect();
    let (mut written, mut seen) = (0, String::new());
    nodes[3].expect("CLUSTER FAILOVER", "+OK");
    // Writes wait while the replica catches up, and are redirected then.
    while !seen.starts_with("-MOVED") {
        seen = ask(&mut writer, "INCR {06S}counter");
        written += i64::from(seen.starts_with(':'));
    }
    wait_until(|| views(&[&nodes[3]]), || nodes[3].is_primary());
    assert_eq!(nodes[3].ask("GET {06S}counter").parse::<i64>().unwrap_or(0), written);
    wait_until(|| views(&[&nodes[0]]), || !nodes[0].is_primary() && nodes[0].is_synced());
    wait_until_up(&nodes.iter().collect::<Vec<_>>());
    // The way back needs no votes.
    nodes[0].expect("CLUSTER FAILOVER TAKEOVER", "+OK");
    assert!(nodes[0].is_primary());
    wait_until(|| views(&[&nodes[3]]), || !nodes[3].is_primary() && nodes[3].is_synced());
    nodes[0].expect("INCR {06S}counter", &format!(":{}", written + 1));
}

#[test]
fn a_slot_moves_with_its_keys() {
    let nodes = [Node::ours(&[]), Node::ours(&[])];
    make_cluster(&[&nodes[0], &nodes[1]], 2);
    let slot = key_slot(b"{06S}");
    for number in 0..20 {
        nodes[0].expect(&format!("SET {{06S}}{number} {number}"), "+OK");
    }
    nodes[0].expect(&format!("CLUSTER COUNTKEYSINSLOT {slot}"), ":20");
    nodes[1].expect(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", nodes[0].id()), "+OK");
    nodes[0].expect(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", nodes[1].id()), "+OK");
    let refused =
        format!("-ERR Can't assign hashslot {slot} to a different node while I still hold keys for this hash slot.");
    nodes[0].expect(&format!("CLUSTER SETSLOT {slot} NODE {}", nodes[1].id()), &refused);
    let port = nodes[1].port;
    for number in 0..20 {
        nodes[0].expect(&format!("MIGRATE 127.0.0.1 {port} {{06S}}{number} 0 5000"), "+OK");
    }
    nodes[0].expect("GET {06S}1", &format!("-ASK {slot} 127.0.0.1:{port}"));
    let mut client = nodes[1].connect();
    client.ask("ASKING", "+OK\r\n");
    assert_eq!(ask(&mut client, "GET {06S}1"), "1");
    for node in [&nodes[1], &nodes[0]] {
        node.expect(&format!("CLUSTER SETSLOT {slot} NODE {}", nodes[1].id()), "+OK");
    }
    assert_eq!(ask(&mut client, "GET {06S}1"), "1");
    nodes[0].expect("GET {06S}1", &format!("-MOVED {slot} 127.0.0.1:{port}"));
    nodes[1].expect(&format!("CLUSTER COUNTKEYSINSLOT {slot}"), ":20");
}

#[test]
fn a_node_deletes_the_keys_of_slots_that_another_one_takes() {
    let nodes = [Node::ours(&[]), Node::ours(&[])];
    make_cluster(&[&nodes[0], &nodes[1]], 2);
    let slot = key_slot(b"{06S}");
    let mut client = nodes[0].connect();
    for number in 0..3000 {
        client.ask(&format!("SET {{06S}}{number} 1"), "+OK\r\n");
    }
    drop(client);
    // An administrator gives the slot to the other node without its keys.
    nodes[1].expect(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", nodes[0].id()), "+OK");
    nodes[1].expect(&format!("CLUSTER SETSLOT {slot} NODE {}", nodes[1].id()), "+OK");
    wait_until(|| views(&[&nodes[0]]), || nodes[0].ask("DBSIZE") == ":0");
    nodes[0].expect("GET {06S}1", &format!("-MOVED {slot} 127.0.0.1:{}", nodes[1].port));
}

#[test]
fn hostile_frames_cost_their_link_alone() {
    let nodes = [Node::ours(&[]), Node::ours(&[])];
    make_cluster(&[&nodes[0], &nodes[1]], 2);
    let head = |length: u32, kind: u16| {
        let mut frame = b"RCmb".to_vec();
        frame.extend(length.to_be_bytes());
        frame.extend([0, 1, 0, 0]);
        frame.extend(kind.to_be_bytes());
        frame
    };
    // Bytes of another protocol, an impossible length, a length that no frame of its kind has.
    let broken = [b"GET / HTTP/1.1\r\n\r\n".to_vec(), head(0, 0), head(u32::MAX, 0), head(100, 2)];
    for bytes in broken {
        let mut link = nodes[0].connect_to_bus();
        link.send(bytes);
        link.expect_end();
    }
    // A whole frame of zeros is ignored, as is one that says that it comes from a stranger.
    let mut link = nodes[0].connect_to_bus();
    let mut frame = head(2256, 0);
    frame.resize(2256, 0);
    link.send(&frame);
    frame[40..80].fill(b'a');
    frame[12..14].copy_from_slice(&3_u16.to_be_bytes());
    frame.extend(nodes[1].id().into_bytes());
    let length = u32::try_from(frame.len()).expect("a short frame");
    frame[4..8].copy_from_slice(&length.to_be_bytes());
    link.send(&frame);
    // And one that is cut off.
    let mut cut = nodes[0].connect_to_bus();
    cut.send(&frame[..1000]);
    drop(cut);
    wait_until_up(&[&nodes[0], &nodes[1]]);
    assert!(link.is_silent(), "a stranger is told nothing");
    assert!(nodes[1].line_at(&nodes[0]).contains(" master - "), "{}", views(&[&nodes[0]]));
}

#[test]
fn a_node_that_is_forgotten_or_reset_is_alone() {
    let nodes = [Node::ours(&[]), Node::ours(&[]), Node::ours(&[])];
    make_cluster(&[&nodes[0], &nodes[1], &nodes[2]], 2);
    let id = nodes[2].id();
    assert!(!nodes[2].is_primary());
    nodes[2].expect("CLUSTER RESET HARD", "+OK");
    assert_ne!(nodes[2].id(), id, "it has another name");
    assert!(nodes[2].is_primary() && nodes[2].cluster_field("cluster_known_nodes") == "1");
    for node in &nodes[..2] {
        let reply = node.ask(&format!("CLUSTER FORGET {id}"));
        assert!(reply == "+OK" || reply == format!("-ERR Unknown node {id}"), "{reply}");
    }
    wait_until_up(&[&nodes[0], &nodes[1]]);
    let file = fs::read_to_string(nodes[2].folder().join("nodes.conf")).expect("it is saved");
    assert!(file.starts_with(&nodes[2].id()) && file.lines().count() == 2, "{file}");
}

#[test]
fn metrics_tell_of_the_cluster() {
    let http = free_port().to_string();
    let nodes = [Node::ours(&["--http-port", &http]), Node::ours(&[])];
    make_cluster(&[&nodes[0], &nodes[1]], 2);
    nodes[0].expect(&format!("CLUSTER SETSLOT 0 MIGRATING {}", nodes[1].id()), "+OK");
    let mut port = TcpStream::connect(format!("127.0.0.1:{http}")).expect("it listens");
    port.write_all(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").expect("it is taken");
    let mut text = String::new();
    port.read_to_string(&mut text).expect("a text");
    let figures = ["enabled 1", "state 1", "slots_assigned 16384", "slots_ok 16384", "slots_fail 0", "known_nodes 2"];
    for figure in figures.iter().chain(&["size 2", "current_epoch 2", "my_epoch 1"]) {
        assert!(text.contains(&format!("\nredis_cluster_{figure}\n")), "{figure}:\n{text}");
    }
    let own = [
        "links_over_limit_total 0",
        "links{direction=\"to\"} 1",
        "links{direction=\"from\"} 1",
        "links_pending_bytes{direction=\"to\"} ",
        "suspected_nodes 0",
        "failed_nodes 0",
        "failure_reports 0",
        "slots_migrating 1",
        "slots_importing 0",
        "slot_migrations{side=\"export\"} 0",
        "slot_migrations_pending_bytes 0",
    ];
    for figure in own {
        assert!(text.contains(&format!("\noneloop_cluster_{figure}")), "{figure}:\n{text}");
    }
}

#[test]
fn settings_are_told_to_other_nodes() {
    let nodes = [Node::ours(&[]), Node::ours(&[])];
    make_cluster(&[&nodes[0], &nodes[1]], 2);
    for (name, value) in [("cluster-announce-hostname", "host.example"), ("cluster-announce-port", "1234")] {
        nodes[0].expect(&format!("CONFIG SET {name} {value}"), "+OK");
    }
    let told = || nodes[0].line_at(&nodes[1]);
    wait_until(told, || told().contains(":1234@") && told().contains(",host.example "));
    nodes[1].expect("CONFIG SET cluster-preferred-endpoint-type hostname", "+OK");
    let slot = key_slot(b"{06S}");
    nodes[1].expect("GET {06S}1", &format!("-MOVED {slot} host.example:1234"));
}

/// A node whose bus is encrypted, and its port for clients that encrypt.
fn encrypted_node(identity: &Identity, authority: &Authority, more: &[&str]) -> (Node, u16) {
    let tls_port = port_with_bus();
    let port = tls_port.to_string();
    let own = identity.options(authority);
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let uses = ["--tls-port", &port, "--tls-cluster", "yes", "--tls-replication", "yes"];
    (Node::ours(&[&own[..], &uses, more].concat()), tls_port)
}

#[test]
fn the_bus_may_be_encrypted() {
    let authority = Authority::new("nodes");
    let identity = authority.issue("node");
    let nodes = [(); 3].map(|()| encrypted_node(&identity, &authority, &["--tls-auth-clients", "no"]));
    for (number, (node, port)) in (1..).zip(&nodes) {
        node.expect(&format!("CLUSTER SET-CONFIG-EPOCH {number}"), "+OK");
        nodes[0].0.expect(&format!("CLUSTER MEET 127.0.0.1 {port}"), "+OK");
    }
    let all: Vec<&Node> = nodes.iter().map(|(node, _)| node).collect();
    nodes[0].0.expect("CLUSTER ADDSLOTSRANGE 0 8191", "+OK");
    nodes[1].0.expect("CLUSTER ADDSLOTSRANGE 8192 16383", "+OK");
    wait_until_up(&all);
    nodes[2].0.expect(&format!("CLUSTER REPLICATE {}", nodes[0].0.id()), "+OK");
    wait_until(|| views(&all), || nodes[2].0.is_synced());
    // Clients are sent to the port of their own kind.
    let slot = key_slot(b"{06S}");
    nodes[1].0.expect("GET {06S}", &format!("-MOVED {slot} 127.0.0.1:{}", nodes[0].0.port));
    let line = nodes[0].0.line_at(&nodes[1].0);
    assert!(line.contains(&format!(":{}@{} ", nodes[0].0.port, nodes[0].1 + 10_000)), "{line}");
    // Who shows no certificate is not heard, though clients need none.
    let mut stranger = TcpStream::connect(("127.0.0.1", nodes[0].1 + 10_000)).expect("it listens");
    stranger.write_all(&[0x16, 3, 1, 0, 1, 0]).expect("it is taken");
    let mut rest = Vec::new();
    let end = stranger.read_to_end(&mut rest);
    assert!(end.is_ok() || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    let anonymous = TcpStream::connect(("127.0.0.1", nodes[0].1 + 10_000)).expect("it listens");
    anonymous.set_read_timeout(Some(server::PATIENCE)).expect("a timeout");
    let config = client_config(&authority, None, BOTH);
    let mut anonymous = encrypted(anonymous, config);
    let mut byte = [0];
    let read = anonymous.stream.read(&mut byte);
    assert!(!matches!(read, Ok(count) if count > 0), "{read:?}");
    wait_until_up(&all);
}

/// SHUTDOWN SAFE and SHUTDOWN FAILOVER.
#[test]
fn a_primary_that_ends_has_its_replica_take_over() {
    let nodes = [Node::ours(&[]), Node::ours(&[]), Node::ours(&[]), Node::ours(&[])];
    let all: Vec<&Node> = nodes.iter().collect();
    make_cluster(&all, 3);
    let [mut first, second, third, mut replica] = nodes;
    wait_until(|| views(&[&replica]), || replica.is_synced());
    first.expect("SET {06S}key value", "+OK");
    let id = replica.id();
    first.expect("SHUTDOWN SAFE NOSAVE", "-ERR Errors trying to SHUTDOWN. Check logs.");
    first
        .server()
        .wait_for_any(&["This is a voting primary. Shutting down may cause the cluster to go down. Can't exit."]);
    wait_until(|| views(&[&first]), || first.field("slave0").contains("state=online"));
    let mut client = first.connect();
    client.send("SHUTDOWN NOSAVE FAILOVER\r\n");
    first.server().wait_for_any(&[&format!("Perform auto failover to replica {id} on shutdown.")]);
    let (status, _) = first.server().wait();
    assert!(status.success());
    // It need not find out that its primary has failed.
    replica.server().wait_for_any(&["Forced failover user request accepted."]);
    wait_until(|| views(&[&replica]), || replica.is_primary());
    let is_up = |node: &&Node| node.cluster_field("cluster_state") == "ok";
    wait_until(|| views(&[&replica]), || [&second, &third, &replica].iter().all(is_up));
    replica.expect("GET {06S}key", "value");
    // A replica and a primary without slots are safe to end.
    let mut spare = Node::ours(&[]);
    let mut client = spare.connect();
    client.send("SHUTDOWN SAFE NOSAVE FAILOVER\r\n");
    assert!(spare.server().wait().0.success());
}

#[test]
fn a_replica_may_become_an_empty_primary() {
    let nodes = [Node::ours(&[]), Node::ours(&[])];
    let [first, replica] = &nodes;
    make_cluster(&[first, replica], 1);
    first.expect("SET key value", "+OK");
    wait_until(|| views(&[replica]), || replica.ask("DBSIZE") == ":1");
    for request in ["NO TWO", "NO ONE X", "FOO ONE"] {
        let error = "-ERR unknown subcommand or wrong number of arguments for 'replicate'. Try CLUSTER HELP.";
        replica.expect(&format!("cluster replicate {request}"), error);
    }
    replica.expect("CLUSTER REPLICATE NO", "-ERR Unknown node NO");
    let shard = replica.ask("CLUSTER MYSHARDID");
    replica.expect("CLUSTER REPLICATE NO ONE", "+OK");
    replica.expect("DBSIZE", ":0");
    assert!(replica.is_primary() && replica.field("role") == "master");
    assert_ne!(replica.ask("CLUSTER MYSHARDID"), shard);
    replica.expect("CLUSTER REPLICATE NO ONE", "+OK");
    let knows = |node: &Node| node.line_at(first).contains(" master ");
    wait_until(|| views(&[first]), || knows(replica));
    first.expect("GET key", "value");
    replica.expect(&format!("CLUSTER REPLICATE {}", first.id()), "+OK");
    wait_until(|| views(&[replica]), || replica.ask("DBSIZE") == ":1");
}

/// CLUSTER SETSLOT with TIMEOUT.
#[test]
fn replicas_make_a_change_of_a_slot_first() {
    let nodes = [Node::ours(&[]), Node::ours(&[]), Node::ours(&[])];
    let [first, second, replica] = &nodes;
    make_cluster(&[first, second, replica], 2);
    wait_until(|| views(&[first]), || first.field("slave0").contains("state=online"));
    let other = second.id();
    for (words, error) in [
        ("STABLE TIMEOUT", "-ERR Missing timeout value"),
        ("STABLE TIMEOUT x", "-ERR timeout is not an integer or out of range"),
        ("STABLE TIMEOUT -1", "-ERR timeout is negative"),
        ("FOO TIMEOUT 5", "-ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP"),
        ("NODE x TIMEOUT 5", "-ERR Unknown node x"),
    ] {
        first.expect(&format!("CLUSTER SETSLOT 0 {words}"), error);
    }
    let migrating = format!("[0->-{other}]");
    first.expect(&format!("CLUSTER SETSLOT 0 MIGRATING {other} TIMEOUT 60000"), "+OK");
    // The replica knows by the time of the reply.
    assert!(replica.line_at(replica).contains(&migrating));
    assert!(first.line_at(first).contains(&migrating));
    first.expect("CLUSTER SETSLOT 0 STABLE TIMEOUT 0", "+OK");
    assert!(!replica.line_at(replica).contains(&migrating));
    // Without TIMEOUT it is as in Redis: the replicas are not told.
    first.expect(&format!("CLUSTER SETSLOT 0 MIGRATING {other}"), "+OK");
    first.expect("CLUSTER SETSLOT 0 STABLE", "+OK");
    // A replica that does not answer in time keeps the change from being made.
    let mut asleep = replica.connect();
    asleep.send("DEBUG SLEEP 2\r\n");
    let error = "-NOREPLICAS Not enough good replicas to write.";
    first.expect(&format!("CLUSTER SETSLOT 0 MIGRATING {other} TIMEOUT 100"), error);
    assert!(!first.line_at(first).contains(&migrating));
    // What a client no longer waits for does not keep its next change from being made, which cannot wait.
    let mut client = first.connect();
    let change = format!("CLUSTER SETSLOT 1 MIGRATING {other} TIMEOUT 60000\r\n");
    client.send("CLIENT ID\r\n");
    let id = client.line().replace(':', "");
    client.send(&change);
    wait_until(|| views(&[first]), || first.ask(&format!("CLIENT UNBLOCK {id} ERROR")) == ":1");
    client.expect("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    client.send(format!("MULTI\r\n{change}EXEC\r\n"));
    client.expect("+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    asleep.expect("+OK\r\n");
    first.expect(&format!("CLUSTER SETSLOT 0 MIGRATING {other} TIMEOUT 60000"), "+OK");
    assert!(first.line_at(first).contains(&migrating));
    // A primary without replicas waits for none.
    second.expect(&format!("CLUSTER SETSLOT 16383 MIGRATING {} TIMEOUT 1", first.id()), "+OK");
}
