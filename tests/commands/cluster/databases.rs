//! Databases of a node: one, as Redis's nodes have, or as many as `cluster-databases` says.

use oneloop::config::Config;

use super::MOVED;
use crate::support::cluster::{Part, harness, harness_with};

const OUT_OF_RANGE: &str = "-ERR DB index is out of range\r\n";

#[test]
fn a_node_has_one_database() {
    const ELSEWHERE: &str = "-ERR Copying to another database is not allowed in cluster mode\r\n";
    const SELECT: &str = "-ERR SELECT is not allowed in cluster mode\r\n";
    const MOVE: &str = "-ERR MOVE is not allowed in cluster mode\r\n";
    let mut server = harness(Part::Half);
    assert_eq!(server.state.keyspace.count(), 1);
    for (request, reply) in [
        ("select 0", "+OK\r\n"),
        ("select 1", SELECT),
        ("select 99", SELECT),
        ("select x", "-ERR value is not an integer or out of range\r\n"),
        ("swapdb 0 0", "-ERR SWAPDB is not allowed in cluster mode\r\n"),
        ("move b 1", MOVE),
        ("move b x", MOVE),
        ("move a 1", MOVED),
        ("copy b {b}2 db 1", ELSEWHERE),
        ("copy b {b}2 db 15", ELSEWHERE),
        ("copy b {b}2 db 16", OUT_OF_RANGE),
        ("copy b {b}2 db -1", OUT_OF_RANGE),
        ("copy b {b}2 db x", "-ERR value is not an integer or out of range\r\n"),
        ("copy b {b}2 db 0", ":0\r\n"),
    ] {
        server.expect(request, reply);
    }
}

#[test]
fn a_node_may_have_several_databases() {
    let mut server = harness_with(Part::Half, Config { cluster_databases: 4, ..Config::default() });
    server.run("set b 1");
    for (request, reply) in [
        ("copy b {b}2 db 3", ":1\r\n"),
        ("move b 2", ":1\r\n"),
        ("move {b}x 4", OUT_OF_RANGE),
        ("swapdb 0 1", "-ERR SWAPDB is not allowed in cluster mode\r\n"),
        ("select 4", OUT_OF_RANGE),
        ("select 3", "+OK\r\n"),
        ("get {b}2", "$1\r\n1\r\n"),
        ("get a", MOVED),
        ("select 2", "+OK\r\n"),
        ("get b", "$1\r\n1\r\n"),
    ] {
        server.expect(request, reply);
    }
}
