//! Replies of a node of a cluster to its clients. In these tests the key `b` is here and `a` is at the other node.

mod databases;
#[cfg(debug_assertions)]
mod every_command;
mod moving;
mod pubsub;
mod redirects;
mod replicas;
mod scan;
mod scripts;
mod slot_keys;
mod slot_stats;
mod sorting;
mod transactions;
mod waiting;

use oneloop::engine::session::Token;

use crate::support::Harness;

/// The redirection of a request about the key `a`.
const MOVED: &str = "-MOVED 15495 10.0.0.2:7002\r\n";
const CROSS_SLOT: &str = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
const NOT_SERVED: &str = "-CLUSTERDOWN Hash slot not served\r\n";
const DOWN: &str = "-CLUSTERDOWN The cluster is down\r\n";
const READS_ONLY: &str = "-CLUSTERDOWN The cluster is down and only accepts read commands\r\n";
const TRY_AGAIN: &str = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";
const ABORTED: &str = "-EXECABORT Transaction discarded because of previous errors.\r\n";

fn say(server: &mut Harness, client: Token, words: &str) -> String {
    let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    String::from_utf8_lossy(&server.run_as(client, &args)).into_owned()
}

fn pushed(server: &mut Harness, client: Token) -> String {
    String::from_utf8_lossy(&server.pushed(client)).into_owned()
}

/// The line of INFO that begins so.
fn info(server: &mut Harness, section: &str, start: &str) -> String {
    let text = server.run(&format!("info {section}"));
    text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_string()
}
