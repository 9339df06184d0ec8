//! How a helper thread tells the loop that it has done something.

use std::sync::Arc;

use mio::Waker;

/// Wakes the loop, if there is one. A clone wakes the same.
#[derive(Clone, Debug, Default)]
pub struct Wake(Option<Arc<Waker>>);

impl Wake {
    /// Wakes the poll that the waker belongs to.
    pub fn of(waker: Waker) -> Wake {
        Wake(Some(Arc::new(waker)))
    }

    /// Has the poll return. Where that fails the loop's own timer finds what there is, a little later.
    pub fn wake(&self) {
        if let Some(waker) = &self.0 {
            let _ = waker.wake();
        }
    }
}
