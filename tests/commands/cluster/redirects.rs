//! MOVED, CROSSSLOT and CLUSTERDOWN: requests whose keys are elsewhere, in several places, or nowhere.

use oneloop::cluster::key_slot;
use oneloop::config::{Config, EndpointType};

use super::{CROSS_SLOT, DOWN, MOVED, NOT_SERVED, READS_ONLY, info};
use crate::support::Harness;
use crate::support::cluster::{Part, delete_slot, harness, harness_with};

#[test]
fn keys_are_looked_for_where_their_slot_is() {
    assert_eq!((key_slot(b"a"), key_slot(b"b")), (15495, 3300));
    let mut server = harness(Part::Half);
    server.expect("set b 1", "+OK\r\n");
    server.expect("get b", "$1\r\n1\r\n");
    for request in
        ["get a", "set a 1", "mget a a", "mget {a}1 {a}2", "eval return 1 a", "memory usage a", "object freq a"]
    {
        let words = request.replace("eval return 1 a", "eval 1 1 a");
        server.expect(&words, MOVED);
    }
    for request in ["mget a b", "mget b a", "mset b 1 a 2", "sunionstore b a", "copy b a", "xread streams b a 0 0"] {
        server.expect(request, CROSS_SLOT);
    }
    // No keys, or none that can be found.
    for (request, reply) in [
        ("ping", "+PONG\r\n"),
        ("dbsize", ":1\r\n"),
        ("keys *", "*1\r\n$1\r\nb\r\n"),
        ("eval return(1) 0", ":1\r\n"),
        ("zunion x a b", "-ERR value is not an integer or out of range\r\n"),
        ("get", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("foo a", "-ERR unknown command 'foo', with args beginning with: 'a' \r\n"),
    ] {
        server.expect(request, reply);
    }
}

#[test]
fn a_server_outside_a_cluster_takes_all_keys() {
    let mut server = Harness::new();
    server.expect("mset a 1 b 2", "+OK\r\n");
    server.expect("select 1", "+OK\r\n");
    for request in ["asking", "readonly", "readwrite"] {
        server.expect(request, "-ERR This instance has cluster support disabled\r\n");
    }
}

#[test]
fn clients_are_told_the_endpoint_that_the_settings_prefer() {
    let endpoint = |preferred| Config { cluster_preferred_endpoint_type: preferred, ..Config::default() };
    let mut server = harness_with(Part::Half, endpoint(EndpointType::Hostname));
    server.expect("get a", "-MOVED 15495 two.example:7002\r\n");
    let mut server = harness_with(Part::Half, endpoint(EndpointType::Unknown));
    server.expect("get a", "-MOVED 15495 :7002\r\n");
    let mut server = harness(Part::Half);
    server.expect("get a", MOVED);
    server.state.clients.get_mut(server.client).expect("a client").is_encrypted = true;
    server.expect("get a", "-MOVED 15495 10.0.0.2:7402\r\n");
}

#[test]
fn a_replica_has_no_host_name_to_tell_of_a_node_without_one() {
    let config = Config { cluster_preferred_endpoint_type: EndpointType::Hostname, ..Config::default() };
    let mut server = harness_with(Part::Replica, config);
    server.expect("get b", "-MOVED 3300 ?:7003\r\n");
}

#[test]
fn slots_without_an_owner_are_served_by_nobody() {
    let mut server = harness(Part::None);
    for request in ["get a", "mget a b", "set b 1", "spublish a m"] {
        server.expect(request, NOT_SERVED);
    }
    server.expect("ping", "+PONG\r\n");
}

#[test]
fn a_cluster_that_is_down_answers_what_the_settings_allow() {
    let mut server = harness(Part::Half);
    server.run("set b 1");
    delete_slot(&mut server, "a");
    for (request, reply) in [
        ("get b", DOWN),
        ("get a", NOT_SERVED),
        ("mget a b", NOT_SERVED),
        ("mget b a", CROSS_SLOT),
        ("ping", "+PONG\r\n"),
        ("spublish b m", ":0\r\n"),
    ] {
        server.expect(request, reply);
    }
    server.run("config set cluster-allow-reads-when-down yes cluster-allow-pubsubshard-when-down no");
    for (request, reply) in
        [("get b", "$1\r\n1\r\n"), ("set b 2", READS_ONLY), ("get a", NOT_SERVED), ("spublish b m", DOWN)]
    {
        server.expect(request, reply);
    }
}

#[test]
fn refusals_are_counted_as_redis_counts_them() {
    let mut server = harness(Part::Half);
    server.run("get a");
    server.run("get b");
    server.run("mget a b");
    assert_eq!(info(&mut server, "errorstats", "errorstat_MOVED"), "errorstat_MOVED:count=1");
    assert_eq!(info(&mut server, "errorstats", "errorstat_CROSSSLOT"), "errorstat_CROSSSLOT:count=1");
    let get = info(&mut server, "commandstats", "cmdstat_get:");
    assert!(get.contains("calls=1,") && get.ends_with("rejected_calls=1,failed_calls=0"), "{get}");
    let mget = info(&mut server, "commandstats", "cmdstat_mget:");
    assert!(mget.contains("calls=0,") && mget.ends_with("rejected_calls=1,failed_calls=0"), "{mget}");
}

#[test]
fn permissions_come_first_and_memory_comes_later() {
    let mut server = harness(Part::Half);
    server.run("acl setuser u on nopass +get ~b");
    let user = server.connect();
    let run = |server: &mut Harness, words: &str| super::say(server, user, words);
    run(&mut server, "auth u x");
    assert_eq!(run(&mut server, "get a"), "-NOPERM No permissions to access a key\r\n");
    assert_eq!(run(&mut server, "set a 1"), "-NOPERM User u has no permissions to run the 'set' command\r\n");
    server.run_args(&[b"set", b"b", &[b'x'; 100_000]]);
    server.run("config set maxmemory 1");
    server.expect("set a 1", MOVED);
    server.expect("set b 1", "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
}

#[test]
fn hello_tells_of_cluster_mode() {
    let mut server = harness(Part::Half);
    assert!(server.run("hello").contains("$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"));
    let mut replica = Harness::new();
    replica.run("replicaof 127.0.0.1 1");
    assert!(replica.run("hello").contains("$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$7\r\nreplica\r\n"));
}
