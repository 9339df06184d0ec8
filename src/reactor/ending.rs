//! How far the end of the server has come.

use crate::base::sys::signals::Signal;

use super::supervision::Supervisor;

/// How far the end has come.
#[derive(Default)]
pub struct Shutdown {
    pub(super) complete: bool,
    /// The signal that asked for it.
    pub(super) scheduled: Option<Signal>,
    /// Is told when the end begins.
    pub(super) supervisor: Supervisor,
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
