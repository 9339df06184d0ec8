//! Owns which hash slot a key belongs to: CRC16 (XMODEM) of the key, or of its hash tag. Never knows the owner of a
//! slot.
//!
//! A server that is a node of a cluster needs the slot of every key it looks up, so this is worth a table. With an
//! initial value of 0 the checksum of up to sixteen bytes is a sum (of bits, without carries) of one term for each
//! byte, and the term depends on the byte and its distance from the end. So no lookup waits for another one:
//!
//! ```text
//! TERMS[distance][byte]      bits 0..16: the byte's term, its bits in reverse order
//!                            bit 16 + distance: the byte is a `{`
//! ```
//!
//! The bits of `{` tell for nothing whether there may be a hash tag. The order of bits is reversed because the place of
//! a slot in the table of keys is the slot with its bits reversed (`key_hash.rs`), which is what most callers want.
//! Crates for checksums were measured: they take two to four times as long for a key of sixteen bytes or less.

/// Number of hash slots.
pub const SLOTS: u16 = 16384;

const SLOT_BITS: u32 = SLOTS.trailing_zeros();

/// Bytes whose terms are added at a time.
const BLOCK: usize = 16;

/// The polynomial of the checksum, without its highest term.
const POLYNOMIAL: u16 = 0x1021;

type Terms = [u32; 256];

static TERMS: [Terms; BLOCK] = terms();

/// What a checksum, each half of it, adds to that of a block of `BLOCK` bytes behind it.
static CARRIED: [Terms; 2] = carried();

/// The checksum that follows from one byte, after one that is `before`.
const fn next(before: u16, byte: u8) -> u16 {
    let mut checksum = before ^ (byte as u16) << 8;
    let mut bit = 0;
    while bit < 8 {
        let carry = checksum & 0x8000 != 0;
        checksum = checksum << 1 ^ if carry { POLYNOMIAL } else { 0 };
        bit += 1;
    }
    checksum
}

/// The checksum after so many zero bytes more.
const fn advance(mut checksum: u16, bytes: usize) -> u16 {
    let mut done = 0;
    while done < bytes {
        checksum = next(checksum, 0);
        done += 1;
    }
    checksum
}

/// Digits of a tag: the fewest with which every slot has one.
const TAG_DIGITS: usize = 6;
/// Bits of a digit that may differ from those of `0`, so that it is an octal digit.
const DIGIT_BITS: usize = 3;

/// For each bit of a slot, the bits of a tag's digits to turn so that the slot differs in that bit alone.
static TURNS: [u32; SLOT_BITS as usize] = turns();

/// By elimination: a checksum is a sum, so turning several bits of the digits adds what each of them does.
const fn turns() -> [u32; SLOT_BITS as usize] {
    const ROWS: usize = TAG_DIGITS * DIGIT_BITS;
    let (mut effects, mut masks) = ([0; ROWS], [0; ROWS]);
    let mut row = 0;
    while row < ROWS {
        effects[row] = advance(next(0, 1 << (row % DIGIT_BITS)), TAG_DIGITS - 1 - row / DIGIT_BITS);
        masks[row] = 1 << row;
        row += 1;
    }
    let mut turns = [0; SLOT_BITS as usize];
    let mut bit = 0;
    while bit < SLOT_BITS as usize {
        let mut found = bit;
        while effects[found] >> bit & 1 == 0 {
            found += 1;
        }
        let (effect, mask) = (effects[found], masks[found]);
        (effects[found], masks[found]) = (effects[bit], masks[bit]);
        (effects[bit], masks[bit]) = (effect, mask);
        let mut other = 0;
        while other < ROWS {
            if other != bit && effects[other] >> bit & 1 == 1 {
                effects[other] ^= effect;
                masks[other] ^= mask;
            }
            other += 1;
        }
        bit += 1;
    }
    let mut bit = 0;
    while bit < SLOT_BITS as usize {
        turns[bit] = masks[bit];
        bit += 1;
    }
    turns
}

/// A hash tag of the slot: octal digits. O(1).
pub fn tag_of_slot(slot: u16) -> String {
    let missing = slot ^ key_slot(&[b'0'; TAG_DIGITS]);
    let bits = (0..SLOT_BITS as usize).filter(|bit| missing >> bit & 1 == 1);
    let turned = bits.fold(0, |turned, bit| turned ^ TURNS[bit]);
    let digit = |place: usize| turned >> (place * DIGIT_BITS) & ((1 << DIGIT_BITS) - 1);
    (0..TAG_DIGITS).map(|place| char::from(b'0' + digit(place) as u8)).collect()
}

const fn terms() -> [Terms; BLOCK] {
    let mut terms = [[0; 256]; BLOCK];
    let mut byte = 0;
    while byte < 256 {
        let mut checksum = next(0, byte as u8);
        let mut distance = 0;
        while distance < BLOCK {
            let brace = if byte == b'{' as usize { 1 << (u16::BITS as usize + distance) } else { 0 };
            terms[distance][byte] = checksum.reverse_bits() as u32 | brace;
            checksum = next(checksum, 0);
            distance += 1;
        }
        byte += 1;
    }
    terms
}

const fn carried() -> [Terms; 2] {
    let mut carried = [[0; 256]; 2];
    let mut byte = 0;
    while byte < 256 {
        let low = advance((byte as u16).reverse_bits(), BLOCK);
        let high = advance(((byte as u16) << 8).reverse_bits(), BLOCK);
        carried[0][byte] = low.reverse_bits() as u32;
        carried[1][byte] = high.reverse_bits() as u32;
        byte += 1;
    }
    carried
}

/// The sum of the terms of `N` bytes: two instructions for each.
#[inline(always)]
fn sum_of<const N: usize>(bytes: &[u8]) -> u32 {
    let Some(bytes) = bytes.first_chunk::<N>() else { return 0 };
    (0..N).fold(0, |sum, index| sum ^ TERMS[N - 1 - index][bytes[index] as usize])
}

/// The sum for at most `BLOCK` bytes, by a jump to the code for so many. (A loop takes twice as long, and so does
/// looking eight bytes up at a time whether they are there or not; with keys of many lengths too.)
#[inline(always)]
fn sum_of_head(head: &[u8]) -> u32 {
    match head.len() {
        0 => 0,
        1 => sum_of::<1>(head),
        2 => sum_of::<2>(head),
        3 => sum_of::<3>(head),
        4 => sum_of::<4>(head),
        5 => sum_of::<5>(head),
        6 => sum_of::<6>(head),
        7 => sum_of::<7>(head),
        8 => sum_of::<8>(head),
        9 => sum_of::<9>(head),
        10 => sum_of::<10>(head),
        11 => sum_of::<11>(head),
        12 => sum_of::<12>(head),
        13 => sum_of::<13>(head),
        14 => sum_of::<14>(head),
        15 => sum_of::<15>(head),
        _ => sum_of::<BLOCK>(head),
    }
}

/// The checksum of all bytes in the lower half, with its bits reversed; in the upper half zero only if there is no `{`.
#[inline(always)]
fn sum_of_all(key: &[u8]) -> u32 {
    if key.len() <= BLOCK {
        return sum_of_head(key);
    }
    let (head, blocks) = key.split_at((key.len() - 1) % BLOCK + 1);
    let (mut sum, mut braces) = (sum_of_head(head), 0);
    for block in blocks.as_chunks::<BLOCK>().0 {
        braces |= sum & !0xffff;
        let carry = CARRIED[0][(sum & 0xff) as usize] ^ CARRIED[1][(sum >> 8 & 0xff) as usize];
        sum = carry ^ sum_of::<BLOCK>(block);
    }
    sum | braces
}

/// The part of a key that its slot follows from: what is between the first `{` and the next `}`, unless it is empty.
fn hashed_part(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else { return key };
    let inner = &key[open + 1..];
    match memchr::memchr(b'}', inner) {
        Some(length) if length > 0 => &inner[..length],
        _ => key,
    }
}

#[cold]
#[inline(never)]
fn sum_of_tagged(key: &[u8]) -> u32 {
    sum_of_all(hashed_part(key))
}

/// The slot of a key with its bits reversed. O(length).
#[inline]
pub fn reversed_slot(key: &[u8]) -> u16 {
    let mut sum = sum_of_all(key);
    if sum > 0xffff {
        sum = sum_of_tagged(key);
    }
    sum as u16 >> (u16::BITS - SLOT_BITS)
}

/// A slot with its bits reversed; the same again gives the slot.
#[inline]
pub fn reverse(slot: u16) -> u16 {
    slot.reverse_bits() >> (u16::BITS - SLOT_BITS)
}

/// The slot of a key. If the key has a non-empty part between its first `{` and the next `}`, only that part counts.
#[inline]
pub fn key_slot(key: &[u8]) -> u16 {
    reverse(reversed_slot(key))
}

#[cfg(test)]
mod tests {
    use crc_fast::{CrcAlgorithm, checksum};
    use proptest::prelude::*;

    use super::*;

    /// What the specification says, with a crate's checksum.
    fn expected(key: &[u8]) -> u16 {
        (checksum(CrcAlgorithm::Crc16Xmodem, hashed_part(key)) & u64::from(SLOTS - 1)) as u16
    }

    #[test]
    fn slots_are_those_of_genuine_servers() {
        // Answers of CLUSTER KEYSLOT of Redis 7.0.15.
        for (key, slot) in [
            ("", 0),
            ("foo", 12182),
            ("bar", 5061),
            ("123456789", 12739),
            ("{foo}bar", 12182),
            ("x{foo}", 12182),
            ("{}foo", 9500),
            ("foo{bar", 15278),
            ("{a}{b}", 15495),
            ("{{a}}", 10276),
        ] {
            assert_eq!(key_slot(key.as_bytes()), slot, "{key}");
            assert_eq!(reverse(reverse(slot)), slot);
        }
    }

    #[test]
    fn every_slot_has_a_tag() {
        for slot in 0..SLOTS {
            let tag = tag_of_slot(slot);
            assert_eq!((tag.len(), key_slot(format!("0-{{{tag}}}-0").as_bytes())), (TAG_DIGITS, slot));
        }
    }

    #[test]
    fn keys_of_every_length_have_their_slot() {
        let letters: Vec<u8> = (0..100u8).map(|index| index.wrapping_mul(37).wrapping_add(5)).collect();
        for length in 0..letters.len() {
            for start in 0..letters.len() - length {
                let key = &letters[start..start + length];
                assert_eq!(key_slot(key), expected(key), "{key:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_key_has_its_slot(key in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(key_slot(&key), expected(&key));
        }

        /// With many braces, also where a checksum happens to be one.
        #[test]
        fn a_hash_tag_is_seen_wherever_it_is(
            key in proptest::collection::vec(prop_oneof![4 => any::<u8>(), 1 => Just(b'{'), 1 => Just(b'}')], 0..70)
        ) {
            prop_assert_eq!(key_slot(&key), expected(&key));
        }
    }
}
