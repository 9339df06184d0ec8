//! The outside as a test writes it: sockets, their readiness, names and signals, without a kernel.
//!
//! ```text
//! the test        World, Peer     what peers send, take, close and break; names; signals; which event is reported next
//!                     ↓
//! World           sockets, with the edges that were not reported yet
//!                     ↓
//! the server      Poller, Registrar, Stream, Listeners, Lookup: each has a scripted variant
//! ```
//!
//! Readiness is edge-triggered as with epoll: a socket is reported once after something has *become* possible (bytes
//! have come, a full socket has room again, the peer has closed), and not again while it stays possible. So a loop that
//! forgets a socket which it has not drained hangs here as it would in reality. `World::undrained` names what is left.
//!
//! Everything that happens follows from what the test does, in that order. Never waits: where a poll would, the virtual
//! clock moves on.

pub mod peer;
pub mod server_end;
mod socket;
pub mod world;
