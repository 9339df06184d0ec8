//! Giant strings that nobody needs any more. Freeing one at once would hold the loop for as long as
//! the system takes to tear its pages down (some ten milliseconds for half a gigabyte), wherever it
//! happens: on DEL, when overwritten, expired or flushed. So a record that goes leaves its giant
//! here, and a job gives the pages back a piece at a time before the then empty range is freed.

use std::cell::RefCell;

use bytes::Bytes;

use crate::sys::memory;

/// Strings shorter than this are freed on the spot, in bytes.
const GIANT_BYTES: usize = 1 << 20;
/// What one step gives back, in bytes.
const STEP_BYTES: usize = 1 << 20;

struct Condemned {
    /// Emptied: only its room is left.
    room: Vec<u8>,
    /// How much of it is given back already, from the start.
    released_bytes: usize,
}

thread_local! {
    /// Records are dropped in many places, and every one of them belongs to the loop's thread.
    static QUEUE: RefCell<Vec<Condemned>> = const { RefCell::new(Vec::new()) };
}

/// Lets go of a string: at once, or in steps if it is large and nobody else holds it.
pub fn dispose(string: Bytes) {
    if string.len() >= GIANT_BYTES && string.is_unique() {
        let mut room = Vec::from(string);
        room.clear();
        QUEUE.with_borrow_mut(|queue| {
            queue.push(Condemned {
                room,
                released_bytes: 0,
            })
        });
    }
}

/// Whether anything waits.
pub fn is_empty() -> bool {
    QUEUE.with_borrow(Vec::is_empty)
}

/// Gives a piece back; tells whether there is more.
pub fn step() -> bool {
    QUEUE.with_borrow_mut(|queue| {
        let Some(last) = queue.last_mut() else {
            return false;
        };
        let end = (last.released_bytes + STEP_BYTES).min(last.room.capacity());
        memory::give_back_spare(&mut last.room, last.released_bytes..end);
        last.released_bytes = end;
        if end == last.room.capacity() {
            queue.pop();
        }
        !queue.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_giant_goes_in_steps_and_a_small_string_at_once() {
        dispose(Bytes::from(vec![1; 100]));
        assert!(is_empty());
        let shared = Bytes::from(vec![1; 2 * GIANT_BYTES]);
        dispose(shared.clone());
        assert!(is_empty(), "somebody still reads it");
        drop(shared);
        dispose(Bytes::from(vec![1; 2 * GIANT_BYTES + 1]));
        assert!(step() && step() && !step());
        assert!(is_empty());
    }
}
