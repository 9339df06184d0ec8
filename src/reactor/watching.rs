//! What looks on while a loop turns: the tools that replay recordings. A loop of a server has no watcher, and pays one
//! branch a turn and one a batch of requests for that.

use slab::Slab;

use crate::engine::session::Session;
use crate::engine::state::ServerState;
use crate::net::connection::Connection;
use crate::resp::{Args, Reply};

/// A request that has just run. Its session is on loan: the state's clients do not have it.
pub struct Ran<'a> {
    pub session: &'a Session,
    pub args: Args<'a>,
    /// Replies of the client that were not sent yet, this request's among them.
    pub reply: &'a Reply,
    /// Where in the replies that of this request begins.
    pub reply_start: usize,
}

/// Looks on. Must not ask for anything that passes through the tape (`base::tape`), nor change what commands see.
pub trait Watcher {
    /// The server is there, without data; nothing has happened yet.
    fn begun(&mut self, _state: &mut ServerState) {}

    /// What is in the files was loaded, or is being replicated.
    fn loaded(&mut self, _state: &mut ServerState) {}

    /// A client has come.
    fn connected(&mut self, _session: &Session) {}

    /// A client is gone.
    fn closed(&mut self, _client: u64) {}

    /// A request of a client has run.
    fn ran(&mut self, _state: &mut ServerState, _ran: &Ran<'_>) {}

    /// A turn is over.
    fn turned(&mut self, _state: &mut ServerState, _connections: &Slab<Connection>) {}
}
