//! Which keys are looked up and changed, for tests that compare this with the keys that a request names. Without debug
//! assertions nothing is noted, and nothing of this is left in the program.

#[cfg(debug_assertions)]
use std::cell::RefCell;

/// A key and what was done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    pub key: Vec<u8>,
    /// Whether it was changed rather than looked up.
    pub is_change: bool,
}

#[cfg(debug_assertions)]
thread_local! {
    static SEEN: RefCell<Option<Vec<Touch>>> = const { RefCell::new(None) };
}

/// Notes all that is done to keys while `work` runs on this thread.
#[cfg(debug_assertions)]
pub fn watch<R>(work: impl FnOnce() -> R) -> (R, Vec<Touch>) {
    SEEN.set(Some(Vec::new()));
    let result = work();
    (result, SEEN.take().unwrap_or_default())
}

#[cfg(debug_assertions)]
pub(super) fn note(key: &[u8], is_change: bool) {
    SEEN.with_borrow_mut(|seen| {
        if let Some(seen) = seen {
            let key = key.to_vec();
            seen.push(Touch { key, is_change });
        }
    });
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub(super) fn note(_key: &[u8], _is_change: bool) {}
