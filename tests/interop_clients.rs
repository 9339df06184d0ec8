//! A client library that many use, redis-py, against the built program: what frameworks do with locks, transactions,
//! messages, scripts and caches.

#[path = "support/python.rs"]
mod python;
#[path = "support/server.rs"]
mod server;

use server::Server;

#[test]
fn redis_py_finds_what_it_needs() {
    let Some(python) = python::with_clients() else { return };
    let server = Server::start(&[]);
    assert_eq!(python::run_suite(&python, server.port), "locks\ntransactions\nmessages\nscripts\ncaching\n");
}
