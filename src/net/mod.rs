//! Sockets: listening, and one connection's bytes in and out. Never looks into a request, and
//! never waits to read or write: every socket is non-blocking, and the loop knows when it is ready.

pub mod outbound;

pub mod address;
pub mod connection;
pub mod http;
pub mod listener;
pub mod lookup;
pub mod poll_target;
pub mod poller;
pub mod readiness;
pub mod scripted;
pub mod spin;
pub mod stream;
pub mod tls;
pub mod token;
mod unix_socket;
