//! The global allocator: mimalloc, with a count of the bytes handed out.
//!
//! The count is the owning thread's alone (everything of size is allocated by the loop's thread), so
//! it costs an addition, not an atomic operation.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

use mimalloc::MiMalloc;

thread_local! {
    static ALLOCATED: Cell<isize> = const { Cell::new(0) };
}

/// mimalloc that counts.
pub struct Allocator;

fn count(bytes: isize) {
    // A thread that is ending may free after its counter is gone: that is not missed.
    let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + bytes));
}

/// Bytes that this thread has allocated and not freed, as requested (without the allocator's own
/// rounding).
pub fn allocated_bytes() -> usize {
    usize::try_from(ALLOCATED.with(Cell::get)).unwrap_or(0)
}

// SAFETY: every call goes to mimalloc unchanged.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size as isize - layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.realloc(block, layout, new_size) }
    }
}
