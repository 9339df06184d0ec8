//! Giant values that are no longer needed. Freeing one at once would hold the loop for as long as the system takes to
//! tear the pages of a string down (some ten milliseconds for half a gigabyte), or the server to visit ten million
//! elements, wherever it happens: on DEL, when overwritten, expired or flushed. So a record that goes leaves its giant
//! here, and a job frees it a piece at a time: the pages of a string before the then empty range, a collection block by
//! block. Large blocks of the collections' own wait in `deferred_free`, for the same job.

use std::cell::{Cell, RefCell};

use bytes::Bytes;

use crate::base::sys::memory;
use crate::collections::deferred_free;
use crate::types::object::Object;

/// Strings shorter than this are freed on the spot, in bytes.
const GIANT_BYTES: usize = 1 << 20;
/// What one step gives back, in bytes.
const STEP_BYTES: usize = 1 << 20;

/// Collections with fewer elements are freed on the spot.
const GIANT_ELEMENTS: usize = 256;

enum LazyFreeValue {
    String {
        /// Emptied: only its room is left.
        room: Vec<u8>,
        /// How much of it is given back already, from the start.
        released_bytes: usize,
    },
    Object(Box<Object>),
}

thread_local! {
    /// Records are dropped in many places, and every one of them belongs to the loop's thread.
    static QUEUE: RefCell<Vec<LazyFreeValue>> = const { RefCell::new(Vec::new()) };
    /// Values freed in steps since the last `take_freed`.
    static FREED: Cell<u64> = const { Cell::new(0) };
}

/// Lets go of a string: at once, or in steps if it is large and not shared.
pub fn free_lazily(string: Bytes) {
    if string.len() >= GIANT_BYTES && string.is_unique() {
        let mut room = Vec::from(string);
        room.clear();
        QUEUE.with_borrow_mut(|queue| queue.push(LazyFreeValue::String { room, released_bytes: 0 }));
    }
}

/// Lets go of a collection: at once, or in steps if it is large.
pub fn free_object_lazily(object: Box<Object>) {
    if object.free_effort() >= GIANT_ELEMENTS {
        QUEUE.with_borrow_mut(|queue| queue.push(LazyFreeValue::Object(object)));
    }
}

/// Whether anything waits.
pub fn is_empty() -> bool {
    pending() == 0
}

/// Number of values, and of large blocks, that wait.
pub fn pending() -> usize {
    QUEUE.with_borrow(Vec::len) + deferred_free::pending()
}

/// Number of values freed in steps since this was asked last.
pub fn take_freed() -> u64 {
    FREED.take()
}

/// Frees a piece: so many elements of a collection, or some pages of a string. Tells whether there is more.
pub fn step(elements: usize) -> bool {
    if deferred_free::step() {
        return true;
    }
    QUEUE.with_borrow_mut(|queue| {
        let is_done = match queue.last_mut() {
            None => return false,
            Some(LazyFreeValue::Object(object)) => !object.reclaim_step(elements),
            Some(LazyFreeValue::String { room, released_bytes }) => {
                let end = (*released_bytes + STEP_BYTES).min(room.capacity());
                memory::give_back_spare(room, *released_bytes..end);
                *released_bytes = end;
                end == room.capacity()
            }
        };
        if is_done {
            queue.pop();
            FREED.set(FREED.get() + 1);
        }
        !queue.is_empty()
    }) || deferred_free::pending() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_giant_goes_in_steps_and_a_small_string_at_once() {
        free_lazily(Bytes::from(vec![1; 100]));
        assert!(is_empty());
        let shared = Bytes::from(vec![1; 2 * GIANT_BYTES]);
        free_lazily(shared.clone());
        assert!(is_empty(), "somebody still reads it");
        drop(shared);
        free_lazily(Bytes::from(vec![1; 2 * GIANT_BYTES + 1]));
        assert!(step(1) && step(1) && !step(1));
        assert!(is_empty());
    }
}
