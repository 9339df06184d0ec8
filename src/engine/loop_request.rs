//! What commands ask of the loop, which fulfils it once they are over.

use crate::net::token::Token;

/// What a command asks the loop to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoopRequest {
    /// SHUTDOWN, and the client that asked for it.
    Shutdown { options: ShutdownOptions, requester: Option<Token> },
    /// SHUTDOWN ABORT: the next signal is a fresh request.
    ForgetShutdown,
    /// CLIENT UNPAUSE, or the end of a pause.
    ServePaused,
    /// A client has become a replica, and what it is sent may be gathered for a moment (`repl-disable-tcp-nodelay`).
    GatherWrites(Token),
}

/// The options of SHUTDOWN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownOptions {
    pub save: bool,
    pub no_save: bool,
    pub now: bool,
    pub force: bool,
    /// Stay where the end would do harm.
    pub safe: bool,
    /// A replica is to take over.
    pub failover: bool,
}
