//! How large the blocks of a list may be. Never changes a list.

use crate::collections::listpack::Listpack;

/// Bytes of a block for each of the size classes -1 to -5 of `list-max-listpack-size`.
const SIZE_CLASS_BYTES: [usize; 5] = [4096, 8192, 16_384, 32_768, 65_536];
/// Most bytes of a block whose elements are counted instead.
const COUNTED_BYTES_MAX: usize = 8192;
/// Most elements of a block, whatever is asked for.
const COUNT_MAX: i32 = 32_767;
/// What an element is taken to need beside its text, in bytes, when it is asked whether it fits into a block.
const ELEMENT_OVERHEAD_BYTES: usize = 8;

/// How lists are stored, as the settings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of a block: elements if positive, else a size class (-1: 4 KB … -5: 64 KB).
    pub max_listpack_size: i32,
    /// Blocks at each end that stay uncompressed; 0: no compression.
    pub compress_depth: u32,
    /// From how many bytes on an element has a block of its own, if not from what a block holds.
    pub large_bytes: Option<usize>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_listpack_size: -2, compress_depth: 0, large_bytes: None }
    }
}

impl Limits {
    /// Most bytes of a block.
    #[inline]
    pub(super) fn bytes_max(&self) -> usize {
        if self.max_listpack_size >= 0 {
            return COUNTED_BYTES_MAX;
        }
        let class = (-1 - self.max_listpack_size) as usize;
        SIZE_CLASS_BYTES[class.min(SIZE_CLASS_BYTES.len() - 1)]
    }

    /// Most elements of a block.
    #[inline]
    pub(super) fn count_max(&self) -> usize {
        match self.max_listpack_size {
            ..0 => usize::MAX,
            count => count.clamp(1, COUNT_MAX) as usize,
        }
    }

    /// Whether so much is too much for one block.
    #[inline]
    pub fn exceeded_by(&self, bytes: usize, count: usize) -> bool {
        bytes > self.bytes_max() || count > self.count_max()
    }

    /// Whether so much is more than half of what one block takes: then a list does not become one block again.
    pub(super) fn half_exceeded_by(&self, bytes: usize, count: usize) -> bool {
        bytes > self.bytes_max() / 2 || count > self.count_max() / 2
    }

    /// Whether a block takes one more element, of so many bytes.
    #[inline]
    pub(super) fn admit(&self, block: Listpack<'_>, element_bytes: usize) -> bool {
        let bytes = block.byte_len() + element_bytes + ELEMENT_OVERHEAD_BYTES;
        !self.exceeded_by(bytes, block.len() + 1)
    }

    /// Whether an element of so many bytes has a block of its own.
    #[inline]
    pub(super) fn is_large(&self, element_bytes: usize) -> bool {
        match self.large_bytes {
            None => element_bytes > self.bytes_max(),
            Some(large_bytes) => element_bytes >= large_bytes,
        }
    }
}
