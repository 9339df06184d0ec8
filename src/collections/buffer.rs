//! Owns a run of bytes of a fixed length in the heap of small blocks, whose classes are finer than those of the general
//! allocator. Never grows: a caller that needs more takes another one.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;

use super::heap;

/// Bytes in a block of their own. Sixteen bytes besides.
pub struct Buffer {
    block: NonNull<u8>,
    len: usize,
    _not_send: PhantomData<*const ()>,
}

impl Buffer {
    /// So many zeros. O(length).
    pub fn zeroed(len: usize) -> Buffer {
        let block = heap::allocate(len);
        // SAFETY: the block is new and has room for that many bytes.
        unsafe { block.write_bytes(0, len) };
        Buffer { block, len, _not_send: PhantomData }
    }

    /// Bytes of the block: the length, rounded up to its size class. O(1).
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        heap::class_size(self.len)
    }

    /// The length of a block that has room for so many bytes, without a rest. O(1).
    #[inline]
    pub fn full_length(len: usize) -> usize {
        heap::class_size(len)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the block is owned, and its bytes were initialised when it was made.
        unsafe { slice::from_raw_parts(self.block.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; the block has no other owner, and this one is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.block.as_ptr(), self.len) }
    }
}

impl From<&[u8]> for Buffer {
    fn from(bytes: &[u8]) -> Buffer {
        let block = heap::allocate(bytes.len());
        // SAFETY: the block is new and has room for that many bytes.
        unsafe { block.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        Buffer { block, len: bytes.len(), _not_send: PhantomData }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Buffer {
        Buffer::from(&**self)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the block was allocated with this size, and is owned.
        unsafe { heap::free(self.block, self.len) };
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::Buffer;

    #[test]
    fn buffers_of_all_sizes_hold_their_bytes() {
        let lengths = [0, 1, 7, 8, 9, 1000, 1025, 8192, 16_384, 16_385, 100_000];
        // Miri takes a second for some thousand bytes.
        for len in lengths.into_iter().filter(|len| !cfg!(miri) || *len <= 1000 || *len == 16_385) {
            let mut buffer = Buffer::zeroed(len);
            assert!(buffer.iter().all(|byte| *byte == 0) && buffer.len() == len);
            assert!(buffer.memory_bytes() >= len);
            assert!(Buffer::full_length(len) >= len);
            buffer.fill(7);
            let copy = buffer.clone();
            buffer.fill(9);
            assert!(copy.iter().all(|byte| *byte == 7) && copy.len() == len);
            assert_eq!(&*Buffer::from(&buffer[..]), &buffer[..]);
        }
    }
}
