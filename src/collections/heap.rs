//! Owns the memory of small blocks. Never hands a block to another thread.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

fn layout(size: usize) -> Layout {
    match Layout::from_size_align(size, 64) {
        Ok(layout) => layout,
        Err(_) => panic!("no block is that large"),
    }
}

/// A block of memory, 8-byte aligned; 64-byte aligned if the size is a multiple of 64.
pub fn allocate(size: usize) -> NonNull<u8> {
    assert!(size > 0);
    // SAFETY: the size is not zero.
    let block = unsafe { alloc(layout(size)) };
    NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout(size)))
}

/// Gives a block back.
///
/// # Safety
/// `allocate` must have given the block for this size, and nobody may use it any more.
pub unsafe fn free(block: NonNull<u8>, size: usize) {
    // SAFETY: the caller vouches for it.
    unsafe { dealloc(block.as_ptr(), layout(size)) };
}

/// Stub.
pub fn class_size(size: usize) -> usize {
    size.next_multiple_of(8)
}

/// Stub.
pub fn allocated_bytes() -> usize {
    0
}
