//! Owns reserving address space and giving memory back. Never keeps a record of what it reserved.

use std::ops::Range;
use std::ptr::NonNull;

use super::resources::page_size;

/// Reserves readable and writable zeroed memory; `bytes` and `alignment` are multiples of the page size, `alignment` is
/// a power of two. `None` when the system has no more.
pub fn reserve(bytes: usize, alignment: usize) -> Option<NonNull<u8>> {
    system::reserve(bytes, alignment)
}

/// Gives address space and memory back.
///
/// # Safety
/// `reserve` must have given the block with this size and alignment, and it must not be used any more.
pub unsafe fn release(block: NonNull<u8>, bytes: usize, alignment: usize) {
    // SAFETY: the caller vouches for it.
    unsafe { system::release(block, bytes, alignment) };
}

/// Gives the memory of whole pages back; the address space stays reserved and reads as zeros.
///
/// # Safety
/// The range must be part of a reserved block, and its contents must not be needed.
pub unsafe fn give_back(start: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller vouches for it.
    unsafe { system::give_back(start, bytes) };
}

/// The system's calls.
#[cfg(not(miri))]
mod system {
    use std::ptr::{self, NonNull};

    pub(super) fn reserve(bytes: usize, alignment: usize) -> Option<NonNull<u8>> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let total = bytes + alignment;
        // SAFETY: a fresh anonymous mapping touches no other memory.
        let start = unsafe { libc::mmap(ptr::null_mut(), total, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return None;
        }
        let start = start.cast::<u8>();
        let head = start.align_offset(alignment);
        let block = start.wrapping_add(head);
        let tail = total - head - bytes;
        // SAFETY: both ends belong to the mapping just made and no pointer to them exists yet.
        unsafe {
            if head > 0 {
                libc::munmap(start.cast(), head);
            }
            if tail > 0 {
                libc::munmap(block.wrapping_add(bytes).cast(), tail);
            }
        }
        NonNull::new(block)
    }

    pub(super) unsafe fn release(block: NonNull<u8>, bytes: usize, _alignment: usize) {
        // SAFETY: the caller vouches for it.
        unsafe { libc::munmap(block.as_ptr().cast(), bytes) };
    }

    pub(super) unsafe fn give_back(start: NonNull<u8>, bytes: usize) {
        // SAFETY: the caller vouches for it.
        unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_DONTNEED) };
    }
}

/// What stands for them under Miri, which knows neither mappings that are cut nor `madvise`: the global allocator.
#[cfg(miri)]
mod system {
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::ptr::NonNull;

    pub(super) fn reserve(bytes: usize, alignment: usize) -> Option<NonNull<u8>> {
        let layout = Layout::from_size_align(bytes, alignment).ok()?;
        // SAFETY: no block is empty.
        NonNull::new(unsafe { alloc_zeroed(layout) })
    }

    pub(super) unsafe fn release(block: NonNull<u8>, bytes: usize, alignment: usize) {
        if let Ok(layout) = Layout::from_size_align(bytes, alignment) {
            // SAFETY: the caller vouches that `reserve` gave the block.
            unsafe { dealloc(block.as_ptr(), layout) };
        }
    }

    pub(super) unsafe fn give_back(start: NonNull<u8>, bytes: usize) {
        // SAFETY: the caller vouches that the range is part of a block.
        unsafe { start.as_ptr().write_bytes(0, bytes) };
    }
}

/// Gives back the memory of the whole pages within a range.
///
/// # Safety
/// The range must lie within one allocation, and its contents must not be needed.
pub unsafe fn give_back_within(start: NonNull<u8>, bytes: usize) {
    let skipped = start.align_offset(page_size());
    let length = bytes.saturating_sub(skipped) / page_size() * page_size();
    if length > 0 {
        // SAFETY: the pages lie wholly within the range, for which the caller vouches.
        unsafe { give_back(start.add(skipped), length) };
    }
}

/// Gives back the memory of the whole pages within a range of a vector's room behind its elements; the room stays.
///
/// Panics when the range is not within that room.
pub fn give_back_spare(vector: &mut Vec<u8>, range: Range<usize>) {
    assert!(vector.len() <= range.start && range.start <= range.end && range.end <= vector.capacity());
    if let Some(start) = NonNull::new(vector.as_mut_ptr().wrapping_add(range.start)) {
        // SAFETY: the range lies within the vector's own room, where nothing initialised is: that it reads as zeros
        // from now on changes nothing that may be read.
        unsafe { give_back_within(start, range.len()) };
    }
}
