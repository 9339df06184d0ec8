//! Single stories, each named after what must not happen again.

use oneloop::config::{Config, SavePoint};
use oneloop::storage::aof::append_only::State;

use super::cluster::{Cluster, Ending};
use super::data;
use super::network::Cut;
use super::node::host;

/// Nodes of which each but the first follows the first, in sync.
fn star(count: usize, change: impl Fn(&mut Config)) -> Cluster {
    let mut config = Config { hz: 10, repl_timeout: 5, repl_ping_replica_period: 1, ..Config::default() };
    config.save.clear();
    change(&mut config);
    let mut cluster = Cluster::new(11, vec![config; count], true);
    for node in 0..count {
        if node > 0 {
            cluster.nodes[node].follow_at_start(0);
        }
        cluster.start(node).expect("it starts");
    }
    if count > 1 {
        await_sync(&mut cluster, 0);
    }
    cluster
}

#[track_caller]
fn await_sync(cluster: &mut Cluster, primary: usize) {
    let is_in_sync = cluster.run_until(30_000, |cluster| cluster.is_in_sync(primary)).expect("all holds");
    assert!(is_in_sync, "they are in sync in the end:\n{}", cluster.told.join("\n"));
    let wanted = cluster.view(primary).map(data::all);
    for node in 0..cluster.nodes.len() {
        assert_eq!(cluster.view(node).map(data::all), wanted, "node {node} has the data of node {primary}");
    }
}

#[track_caller]
fn ask(cluster: &mut Cluster, node: usize, requests: &[&str]) -> Vec<String> {
    let requests: Vec<Vec<&str>> = requests.iter().map(|request| request.split(' ').collect()).collect();
    cluster.ask(node, &requests).expect("it answers")
}

fn saves(config: &mut Config) {
    config.save = vec![SavePoint { seconds: 3600, changes: 1_000_000 }];
}

/// No packet arrives at a node, or leaves it.
fn isolate(cluster: &mut Cluster, node: usize) {
    for other in 0..cluster.nodes.len() {
        cluster.network.block(node, other, u64::MAX);
        cluster.network.block(other, node, u64::MAX);
    }
}

/// FLUSHALL saves, and its bytes are in the log only after that: whoever has the data from before it must not be told
/// to go on with a server that has loaded that snapshot.
#[test]
fn the_snapshot_of_a_flush_is_at_no_place_of_the_history() {
    let mut cluster = star(2, saves);
    ask(&mut cluster, 0, &["SET key value"]);
    await_sync(&mut cluster, 0);
    isolate(&mut cluster, 1);
    ask(&mut cluster, 0, &["FLUSHALL"]);
    cluster.end(0, Ending::Kill, false);
    cluster.start(0).expect("it starts");
    cluster.network.heal();
    await_sync(&mut cluster, 0);
}

/// The same on a replica, which counts the bytes of a batch of commands once it has run them all.
#[test]
fn a_snapshot_amid_the_stream_is_at_no_place_of_the_history() {
    let mut cluster = star(3, saves);
    ask(&mut cluster, 0, &["SET key value"]);
    await_sync(&mut cluster, 0);
    isolate(&mut cluster, 2);
    ask(&mut cluster, 0, &["INCR number", "FLUSHALL", "INCR number"]);
    cluster.run_ms(10).expect("all holds");
    cluster.end(1, Ending::Kill, true);
    cluster.start(1).expect("it starts");
    cluster.network.heal();
    for node in [0, 2] {
        ask(&mut cluster, node, &[&format!("REPLICAOF {} 6379", host(1))]);
    }
    await_sync(&mut cluster, 1);
}

/// The first base is made of the data amid the transaction, and the transaction comes to the log behind it.
#[test]
fn a_file_that_is_turned_on_amid_a_transaction_has_its_changes_once() {
    let mut cluster = star(1, |_| {});
    let turn_on = vec!["CONFIG", "SET", "appendonly", "yes"];
    let increment = vec!["INCR", "number"];
    cluster.nodes[0].send(&[vec!["MULTI"], increment.clone(), turn_on, increment, vec!["EXEC"]]);
    cluster.run_ms(3000).expect("all holds");
    let before = cluster.view(0).map(data::all).expect("it is up");
    assert!(before[0].starts_with("0 number None 2"), "{before:?}");
    assert_eq!(cluster.view(0).map(|state| state.aof.state()), Some(State::On));
    cluster.end(0, Ending::Kill, false);
    cluster.start(0).expect("it starts");
    assert_eq!(cluster.view(0).map(data::all), Some(before));
}

/// The beginning of a command that waits for its rest is no sign of life.
#[test]
fn a_primary_that_falls_silent_amid_a_command_is_given_up() {
    let mut cluster = star(2, |_| {});
    for bytes in 1..60 {
        let number = cluster.network.wire_of(1).expect("it stands").number;
        cluster.network.cut_after(number, 1, bytes, Cut::Silence);
        ask(&mut cluster, 0, &["SET key value", "APPEND key more"]);
        await_sync(&mut cluster, 0);
    }
}

/// What a client has asked for ends when it said so, also while a failover holds writes back for longer.
#[test]
fn a_pause_of_all_commands_ends_amid_a_failover() {
    let mut cluster = star(2, |_| {});
    isolate(&mut cluster, 1);
    let failing_over = ask(&mut cluster, 0, &["SET key value", "FAILOVER", "CLIENT PAUSE 300 ALL", "FAILOVER ABORT"]);
    assert_eq!(failing_over, ["+OK"; 4]);
    cluster.network.heal();
    await_sync(&mut cluster, 0);
}

/// A client that reads or claims in a group becomes a consumer even where nothing is delivered.
#[test]
fn consumers_that_got_nothing_are_there_on_replicas_and_in_the_file() {
    let mut cluster = star(2, |config| config.appendonly = true);
    let requests = [
        "XGROUP CREATE stream group $ MKSTREAM",
        "XREADGROUP GROUP group new STREAMS stream >",
        "XREADGROUP GROUP group history STREAMS stream 0",
        "XREADGROUP GROUP group unacknowledged NOACK STREAMS stream >",
        "XCLAIM stream group claiming 0 1-1",
        "XAUTOCLAIM stream group autoclaiming 0 0",
    ];
    let requests: Vec<Vec<&str>> = requests.iter().map(|request| request.split(' ').collect()).collect();
    cluster.nodes[0].send(&requests);
    cluster.run_ms(100).expect("all holds");
    let data = cluster.view(0).map(data::all).expect("it is up");
    for name in ["new", "history", "unacknowledged", "claiming", "autoclaiming"] {
        assert!(data[0].contains(&format!(" of {name}")), "{data:?}");
    }
    await_sync(&mut cluster, 0);
    cluster.end(0, Ending::Kill, false);
    cluster.start(0).expect("it starts");
    assert_eq!(cluster.view(0).map(data::all), Some(data));
}
