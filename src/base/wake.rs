//! How a helper thread tells the loop that it has done something.
//!
//! The order matters: a helper first makes visible what it has done, and wakes the loop afterwards. The other way
//! round, the loop may look in between, find nothing, and sleep on.

use std::fmt;
use std::sync::Arc;

use mio::Waker;

/// Wakes the loop, if there is one. A clone wakes the same.
#[derive(Clone, Default)]
pub enum Wake {
    /// The poll that the waker belongs to.
    Poll(Arc<Waker>),
    /// A test is told.
    Scripted(Arc<dyn Fn() + Send + Sync>),
    /// There is no loop.
    #[default]
    Nothing,
}

impl Wake {
    /// Wakes the poll that the waker belongs to.
    pub fn of(waker: Waker) -> Wake {
        Wake::Poll(Arc::new(waker))
    }

    /// Has the poll return. Where that fails the loop's own timer finds what there is, a little later.
    pub fn wake(&self) {
        match self {
            Wake::Poll(waker) => {
                let _ = waker.wake();
            }
            Wake::Scripted(told) => told(),
            Wake::Nothing => {}
        }
    }
}

impl fmt::Debug for Wake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Wake::Poll(_) => "Wake::Poll",
            Wake::Scripted(_) => "Wake::Scripted",
            Wake::Nothing => "Wake::Nothing",
        };
        formatter.write_str(name)
    }
}
