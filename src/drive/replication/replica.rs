//! The replica's side: following a primary.

use crate::engine::state::ServerState;
use crate::resp::Reply;

/// Follows nobody any more: the data are this server's own from here on.
pub fn promote(_state: &mut ServerState) {}

/// Replies to ROLE if this server is a replica; says whether it is.
pub fn write_role(_state: &ServerState, _reply: &mut Reply) -> bool {
    false
}

/// The lines of INFO that only a replica has.
pub fn info(_state: &ServerState) -> Vec<(String, String)> {
    Vec::new()
}

/// Follows a replica of this server, which is asked to take over: the last step of a FAILOVER. The history stays the same.
pub fn take_second_place(_state: &mut ServerState, _host: &str, _port: u16) {}
