//! How far the end of the server has come.

use crate::base::sys::signals::Signal;

use crate::engine::loop_request::ShutdownOptions;
use crate::engine::session::Token;

use super::supervision::Supervisor;

/// How far the end has come.
#[derive(Default)]
pub struct Shutdown {
    pub(super) complete: bool,
    /// The signal that asked for it.
    pub(super) scheduled: Option<Signal>,
    /// The end waits for the replicas.
    pub(super) waiting: Option<Waiting>,
    /// Is told when the end begins.
    pub(super) supervisor: Supervisor,
}

/// An end that waits until the replicas have everything.
pub struct Waiting {
    pub(super) options: ShutdownOptions,
    /// The clients that have asked for it.
    pub(super) requesters: Vec<Token>,
}

impl Shutdown {
    /// Whether the loop is to end.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Notes that a signal asks for the end.
    pub fn schedule(&mut self, signal: Signal) {
        self.scheduled = Some(signal);
    }
}
