//! Owns the dense form: 16384 registers of six bits, one after the other, the lowest bits of a byte first.
//!
//! ```text
//!  +--------+--------+--------+--
//!  |11000000|22221111|33333322|     four registers in three bytes, the highest bit of a byte at the left
//!  +--------+--------+--------+--
//! ```

use super::{ENCODING_AT, Encoding, HEADER_BYTES, Place, REGISTERS};

const REGISTER_BITS: usize = 6;
const REGISTER_MASK: u8 = 0x3f;
/// Length of the whole string.
pub const TOTAL_BYTES: usize = HEADER_BYTES + REGISTERS * REGISTER_BITS / 8;

/// The dense form with this header and all registers zero.
pub fn empty(header: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; TOTAL_BYTES];
    bytes[..HEADER_BYTES].copy_from_slice(header);
    bytes[ENCODING_AT] = Encoding::Dense as u8;
    bytes
}

/// The value of a register, given all that is behind the header.
pub fn get(body: &[u8], index: usize) -> u8 {
    let (at, shift) = (index / 4 * 3, index % 4 * REGISTER_BITS);
    (three_bytes(&body[at..at + 3]) >> shift) as u8 & REGISTER_MASK
}

/// Sets a register, given all that is behind the header.
pub fn set(body: &mut [u8], index: usize, value: u8) {
    let (at, shift) = (index / 4 * 3, index % 4 * REGISTER_BITS);
    let four = &mut body[at..at + 3];
    let kept = three_bytes(four) & !(u32::from(REGISTER_MASK) << shift);
    let new = kept | u32::from(value & REGISTER_MASK) << shift;
    four.copy_from_slice(&new.to_le_bytes()[..3]);
}

fn three_bytes(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0])
}

/// Raises a register of the whole string to a value, and says that the cached count is out of date; tells whether it
/// was lower.
pub fn raise(bytes: &mut [u8], place: Place) -> bool {
    let body = &mut bytes[HEADER_BYTES..];
    let is_lower = get(body, place.index) < place.rank;
    if is_lower {
        set(body, place.index, place.rank);
        super::forget_count(bytes);
    }
    is_lower
}

/// The values of all registers, four at a time, given all that is behind the header.
pub fn values(body: &[u8]) -> impl Iterator<Item = [u8; 4]> + '_ {
    let threes = body.as_chunks::<3>().0;
    threes.iter().map(|[first, second, third]| {
        [
            first & REGISTER_MASK,
            (first >> 6 | second << 2) & REGISTER_MASK,
            (second >> 4 | third << 4) & REGISTER_MASK,
            third >> 2,
        ]
    })
}

/// Writes all registers of the whole string.
pub fn pack(registers: &[u8; REGISTERS], bytes: &mut [u8]) {
    let threes = bytes[HEADER_BYTES..].as_chunks_mut::<3>().0;
    for (three, [a, b, c, d]) in threes.iter_mut().zip(registers.as_chunks::<4>().0) {
        *three = [a | b << 6, b >> 2 | c << 4, c >> 4 | d << 2];
    }
}
