//! Owns large blocks of the heap that wait to be freed. Never frees more than a piece at a time.
//!
//! To free a block of half a gigabyte takes the system some ten milliseconds, in which it tears the pages down. So code
//! that lets go of a large block leaves it here, and a job gives its pages back a piece at a time, before the then
//! empty range.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::heap;
use crate::base::sys::memory;

/// Smaller blocks are freed on the spot, in bytes: a step of the job that frees collections may come upon some hundreds
/// of them.
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
    /// The blocks of a heap belong to its thread. Has no destructor: what other destructors let go of at the thread's
    /// end must still find it.
    static QUEUE: ManuallyDrop<RefCell<Vec<Waiting>>> =
        const { ManuallyDrop::new(RefCell::new(Vec::new())) };
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
    let waiting = Waiting { block, size, released_bytes: 0 };
    QUEUE.with(|queue| queue.borrow_mut().push(waiting));
}

/// Number of blocks that wait.
pub fn pending() -> usize {
    QUEUE.with(|queue| queue.borrow().len())
}

/// Frees about a MiB. Tells whether there is more.
pub fn step() -> bool {
    QUEUE.with(|queue| {
        let queue = &mut *queue.borrow_mut();
        let mut left = STEP_BYTES;
        while left > 0
            && let Some(waiting) = queue.last_mut()
        {
            let bytes = (waiting.size - waiting.released_bytes).min(left);
            left -= bytes;
            if waiting.size > STEP_BYTES {
                // SAFETY: the range lies within the block, which is no longer used.
                unsafe {
                    let start = waiting.block.add(waiting.released_bytes);
                    memory::give_back_within(start, bytes);
                }
            }
            waiting.released_bytes += bytes;
            if waiting.released_bytes == waiting.size
                && let Some(waiting) = queue.pop()
            {
                // SAFETY: the caller of `free` vouched for the block; it is freed once.
                unsafe { heap::free(waiting.block, waiting.size) };
            }
        }
        !queue.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test that fails by the end of its process.
    #[test]
    fn a_destructor_at_the_end_of_a_thread_may_let_go_of_a_block() {
        struct Late(NonNull<u8>);
        impl Drop for Late {
            fn drop(&mut self) {
                // SAFETY: the block has that size and is given up.
                unsafe { free(self.0, LARGE_BYTES) };
            }
        }
        thread_local! {
            static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
        }
        let thread = std::thread::spawn(|| {
            assert_eq!(pending(), 0);
            LATE.set(Some(Late(heap::allocate(LARGE_BYTES))));
        });
        assert!(thread.join().is_ok());
    }

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
