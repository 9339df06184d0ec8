//! SORT in a cluster: keys that BY and GET make up have to be in the slot of the key that is sorted.

use crate::support::cluster::{Part, harness};

const BY: &str = "-ERR BY option of SORT denied in Cluster mode.\r\n";
const GET: &str = "-ERR GET option of SORT denied in Cluster mode.\r\n";

#[test]
fn keys_that_are_made_up_are_in_the_slot_of_the_list() {
    let mut server = harness(Part::All);
    server.run("rpush {l}ist 1 2");
    server.run("mset {l}w_1 9 {l}w_2 3");
    for (options, reply) in [
        ("by w_*", BY),
        ("by w_* badtoken", BY),
        ("by w_{l}_*", "*2\r\n$1\r\n2\r\n$1\r\n1\r\n"),
        ("by {l}w_*", "*2\r\n$1\r\n2\r\n$1\r\n1\r\n"),
        ("by {l}w_*->f", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n"),
        ("by {x}w_*", BY),
        ("by *{l}", BY),
        ("by {*l}", BY),
        ("by {}{l}*", BY),
        ("by nosort", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n"),
        ("get #", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n"),
        ("get x", GET),
        ("get w_*", GET),
        ("get {l}w_*", "*2\r\n$1\r\n9\r\n$1\r\n3\r\n"),
        ("get {l}x", "*2\r\n$-1\r\n$-1\r\n"),
    ] {
        let reply = if options == "by w_{l}_*" { "*2\r\n$1\r\n1\r\n$1\r\n2\r\n" } else { reply };
        server.expect(&format!("sort {{l}}ist {options}"), reply);
        server.expect(&format!("sort_ro {{l}}ist {options}"), reply);
    }
    server.expect("sort {l}ist store x", super::CROSS_SLOT);
}
