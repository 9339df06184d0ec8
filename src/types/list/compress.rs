//! Compression of blocks by LZF. Never keeps a block compressed that gains little by it.

use std::cell::RefCell;

use crate::collections::buffer::Buffer;
use crate::text::lzf;
use crate::text::lzf::Compressor;

/// Blocks shorter than this stay as they are, in bytes.
const PLAIN_BYTES_MIN: usize = 48;
/// What compression must gain, in bytes.
const GAIN_BYTES_MIN: usize = 8;

thread_local! {
    /// The table of the compressor, for all lists: they belong to one thread.
    static COMPRESSOR: RefCell<Compressor> = RefCell::new(Compressor::new());
}

/// The compressed form of bytes, if that is worth it. O(bytes).
pub(super) fn pack(plain: &[u8]) -> Option<Buffer> {
    if plain.len() < PLAIN_BYTES_MIN {
        return None;
    }
    let limit = plain.len() - GAIN_BYTES_MIN;
    let mut packed = Vec::with_capacity(plain.len());
    COMPRESSOR
        .with_borrow_mut(|compressor| compressor.compress(plain, limit, &mut packed))
        .then(|| Buffer::from(&packed[..]))
}

/// The bytes that were compressed. O(bytes).
pub(super) fn unpack(packed: &[u8], plain_length: usize) -> Vec<u8> {
    match lzf::decompress(packed, plain_length as u64) {
        Ok(plain) => plain,
        Err(_) => unreachable!("a block was compressed by `pack`"),
    }
}
