//! Owns large blocks of the heap that wait to be freed. Never frees more than a piece at a time.
//!
//! To free a block of half a gigabyte takes the system some ten milliseconds, in which it tears the pages down. So whoever lets
//! go of a large block leaves it here, and a job gives its pages back a piece at a time, before the then empty range.

use std::cell::RefCell;
use std::ptr::NonNull;

use super::heap;
use crate::sys::memory;

/// Smaller blocks are freed on the spot, in bytes: a step of the job that frees collections may come upon some hundreds of them.
const LARGE_BYTES: usize = 32 << 10;
/// What one step gives back, in bytes.
const STEP_BYTES: usize = 1 << 20;

struct Waiting {
    block: NonNull<u8>,
    size: usize,
    /// How much of it is given back already, from the start.
    released_bytes: usize,
}

thread_local! {
    /// The blocks of a heap belong to its thread.
    static QUEUE: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
}

/// Frees a block: at once, or in steps if it is large. O(1).
///
/// # Safety
/// As for [`heap::free`].
#[inline]
pub unsafe fn free(block: NonNull<u8>, size: usize) {
    if size < LARGE_BYTES {
        // SAFETY: the caller vouches for the block.
        unsafe { heap::free(block, size) };
    } else {
        put_off(block, size);
    }
}

#[cold]
fn put_off(block: NonNull<u8>, size: usize) {
    QUEUE.with_borrow_mut(|queue| {
        queue.push(Waiting {
            block,
            size,
            released_bytes: 0,
        });
    });
}

/// Number of blocks that wait.
pub fn pending() -> usize {
    QUEUE.with_borrow(Vec::len)
}

/// Frees about a MiB. Tells whether there is more.
pub fn step() -> bool {
    QUEUE.with_borrow_mut(|queue| {
        let mut left = STEP_BYTES;
        while left > 0
            && let Some(waiting) = queue.last_mut()
        {
            let bytes = (waiting.size - waiting.released_bytes).min(left);
            left -= bytes;
            if waiting.size > STEP_BYTES {
                // SAFETY: the range lies within the block, which nobody uses any more.
                unsafe {
                    let start = waiting.block.add(waiting.released_bytes);
                    memory::give_back_within(start, bytes);
                }
            }
            waiting.released_bytes += bytes;
            if waiting.released_bytes == waiting.size
                && let Some(waiting) = queue.pop()
            {
                // SAFETY: whoever put it in vouched for the block; it is freed once.
                unsafe { heap::free(waiting.block, waiting.size) };
            }
        }
        !queue.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_block_goes_in_steps_and_a_small_one_at_once() {
        let before = heap::allocated_bytes();
        let sizes = [100, 10_000, 3 << 20, 40_000, (2 << 20) + 17];
        for size in sizes {
            let block = heap::allocate(size);
            // SAFETY: the block has that many bytes and is given up.
            unsafe {
                block.write_bytes(7, size);
                free(block, size);
            }
        }
        assert_eq!(pending(), 3);
        let mut steps = 1;
        while step() {
            steps += 1;
        }
        assert_eq!(steps, 6, "5 MiB and a little");
        assert_eq!((pending(), heap::allocated_bytes()), (0, before));
    }
}
