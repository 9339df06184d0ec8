//! Scripts and functions in a cluster: their declared keys are those of a request, the others are looked at one by one.

use oneloop::cluster::member::SlotChange;

use super::{CROSS_SLOT, MOVED, READS_ONLY};
use crate::support::Harness;
use crate::support::cluster::{Part, change_slot, delete_slot, harness};

const NOT_LOCAL: &str = "-ERR Script attempted to access a non local key in a cluster node script: ";
const OTHER_SLOT: &str = "-ERR Script attempted to access keys that do not hash to the same slot script: ";
const NO_CLUSTER: &str = "-ERR Can not run script on cluster, 'no-cluster' flag is set.\r\n";

/// Runs a script with these keys.
fn eval(server: &mut Harness, script: &str, keys: &str) -> String {
    let keys: Vec<&str> = keys.split(' ').filter(|key| !key.is_empty()).collect();
    let count = keys.len().to_string();
    let mut words: Vec<&[u8]> = vec![b"eval", script.as_bytes(), count.as_bytes()];
    words.extend(keys.iter().map(|key| key.as_bytes()));
    server.run_args(&words)
}

#[track_caller]
fn check(server: &mut Harness, script: &str, keys: &str, start: &str) {
    let reply = eval(server, script, keys);
    assert!(reply.starts_with(start), "{script} with {keys}: {reply}");
}

#[test]
fn declared_keys_are_those_of_a_request() {
    let mut server = harness(Part::Half);
    check(&mut server, "return 1", "b", ":1\r\n");
    check(&mut server, "return 1", "a", MOVED);
    check(&mut server, "return 1", "b a", CROSS_SLOT);
    check(&mut server, "#!lua flags=allow-cross-slot-keys\nreturn 1", "b a", CROSS_SLOT);
}

#[test]
fn other_keys_have_to_be_here() {
    let mut server = harness(Part::Half);
    server.run("set b 1");
    for flags in ["", "#!lua\n", "#!lua flags=allow-cross-slot-keys\n"] {
        check(&mut server, &format!("{flags}return redis.call('get', 'b')"), "", "$1\r\n1\r\n");
        check(&mut server, &format!("{flags}return redis.call('get', 'a')"), "", NOT_LOCAL);
        check(&mut server, &format!("{flags}return redis.call('mget', 'b', 'a')"), "", NOT_LOCAL);
        check(&mut server, &format!("{flags}return redis.call('mget', 'b', 'c')"), "", NOT_LOCAL);
        check(&mut server, &format!("{flags}return redis.pcall('get', 'a').err"), "", "$");
        check(&mut server, &format!("{flags}return redis.call('spublish', 'a', 'm')"), "", NOT_LOCAL);
    }
    assert_eq!(super::info(&mut server, "errorstats", "errorstat_MOVED"), "");
}

#[test]
fn a_script_with_flags_uses_keys_of_one_slot_unless_it_says_otherwise() {
    let mut server = harness(Part::All);
    let two = "redis.call('get', 'b') return redis.call('get', 'c')";
    check(&mut server, two, "", "$-1\r\n");
    check(&mut server, &format!("#!lua\n{two}"), "", OTHER_SLOT);
    check(&mut server, &format!("#!lua flags=allow-cross-slot-keys\n{two}"), "", "$-1\r\n");
    check(&mut server, "#!lua\nreturn redis.call('get', 'c')", "b", OTHER_SLOT);
    check(&mut server, "return redis.call('get', 'c')", "b", "$-1\r\n");
    check(&mut server, "#!lua\nreturn redis.call('mget', '{b}1', '{b}2')", "b", "*2\r\n");
    // In a transaction its keys are those of the script as well.
    server.run("multi");
    server.run("get b");
    eval(&mut server, "#!lua\nreturn redis.call('get', 'c')", "");
    let replies = server.run("exec");
    assert!(replies.starts_with(&format!("*2\r\n$-1\r\n{OTHER_SLOT}")), "{replies}");
    // So are those of all scripts of a transaction.
    server.run("multi");
    for key in ["b", "c", "b"] {
        eval(&mut server, &format!("#!lua\nreturn redis.call('get', '{key}')"), "");
    }
    let replies = server.run("exec");
    assert!(replies.starts_with(&format!("*3\r\n$-1\r\n{OTHER_SLOT}")), "{replies}");
    assert!(replies.ends_with("\r\n$-1\r\n"), "{replies}");
    // The next script begins anew.
    check(&mut server, "#!lua\nreturn redis.call('get', 'c')", "", "$-1\r\n");
}

#[test]
fn scripts_may_say_that_they_are_not_for_clusters() {
    const LIBRARY: &str = "#!lua name=lib\n\
        redis.register_function{function_name='no', callback=function() return 1 end, flags={'no-cluster'}}\n\
        redis.register_function('get', function(keys) return redis.call('get', 'a') end)";
    let mut server = harness(Part::Half);
    check(&mut server, "#!lua flags=no-cluster\nreturn 1", "", NO_CLUSTER);
    server.run_args(&[b"function", b"load", LIBRARY.as_bytes()]);
    server.expect("fcall no 0", NO_CLUSTER);
    server.expect("fcall_ro no 0", NO_CLUSTER);
    server.expect("fcall no 1 a", MOVED);
    assert!(server.run("fcall get 0").starts_with("-ERR Script attempted to access a non local key"));
    let mut alone = Harness::new();
    check(&mut alone, "#!lua flags=no-cluster\nreturn 1", "", ":1\r\n");
}

#[test]
fn scripts_are_told_that_the_cluster_is_down() {
    const IS_DOWN: &str = "-ERR Script attempted to execute a command while the cluster is down script: ";
    const IS_READONLY: &str =
        "-ERR Script attempted to execute a write command while the cluster is down and readonly script: ";
    let mut server = harness(Part::Half);
    delete_slot(&mut server, "a");
    check(&mut server, "return redis.call('get', 'b')", "", IS_DOWN);
    check(&mut server, "return redis.call('get', 'a')", "", NOT_LOCAL);
    check(&mut server, "return redis.call('ping')", "", "+PONG\r\n");
    server.run("config set cluster-allow-reads-when-down yes");
    check(&mut server, "return redis.call('get', 'b')", "", "$-1\r\n");
    check(&mut server, "return redis.call('set', 'b', 1)", "", IS_READONLY);
    check(&mut server, "return redis.call('set', 'b', 1)", "b", IS_READONLY);
    check(&mut server, "#!lua\nreturn redis.call('set', 'b', 1)", "b", READS_ONLY);
}

#[test]
fn a_script_has_asked_if_its_client_has() {
    let mut server = harness(Part::Half);
    change_slot(&mut server, "a", |other| SlotChange::Importing(other));
    check(&mut server, "return redis.call('get', 'a')", "", NOT_LOCAL);
    server.run("asking");
    check(&mut server, "return redis.call('set', KEYS[1], 1)", "a", "+OK\r\n");
    check(&mut server, "return redis.call('get', 'a')", "", NOT_LOCAL);
    // It cannot ask for itself.
    check(&mut server, "redis.call('asking') return redis.call('get', 'a')", "", NOT_LOCAL);
}
