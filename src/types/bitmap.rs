//! Bitmaps as pure values: the bits of a byte string, the most significant bit of a byte first.
//!
//! Whole blocks of bytes are worked on at once, in loops that compile to vector instructions: no loop goes bit by bit.

use std::ops::Range;

use multiversion::{multiversion, target::target_cfg_f};

/// What the ends of a range count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Byte,
    Bit,
}

/// What BITOP makes of its sources, bit by bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    And,
    Or,
    Xor,
    /// Of the first source alone.
    Not,
    /// In the first source and in no other.
    Difference,
    /// In some other source and not in the first.
    ReverseDifference,
    /// In the first source and in some other.
    AndOr,
    /// In exactly one source.
    One,
}

/// Bytes that are combined at a time: they stay in the nearest cache.
const BLOCK: usize = 512;

/// Words that are added up side by side.
const LANES: usize = 4;

type Lanes = [u64; LANES];

/// Lanes in a group of the count.
const GROUP: usize = 16;
const GROUP_BYTES: usize = GROUP * size_of::<Lanes>();

/// The bit at an offset; clear beyond the end. O(1).
pub fn bit(bytes: &[u8], offset: u64) -> bool {
    let byte = usize::try_from(offset / 8).ok().and_then(|index| bytes.get(index));
    byte.is_some_and(|byte| byte & mask(offset) != 0)
}

/// Sets or clears the bit at an offset, which must lie within; gives the bit that was there. O(1).
pub fn set_bit(bytes: &mut [u8], offset: u64, on: bool) -> bool {
    let byte = &mut bytes[(offset / 8) as usize];
    let before = *byte & mask(offset) != 0;
    if on {
        *byte |= mask(offset);
    } else {
        *byte &= !mask(offset);
    }
    before
}

fn mask(offset: u64) -> u8 {
    0x80 >> (offset % 8)
}

/// The bits from `start` to `end`, both included, of a string of so many bytes. Negative ends count from the string's
/// end, all are cut to what there is. Empty when nothing is left.
pub fn range(start: i64, end: i64, unit: Unit, length: usize) -> Range<u64> {
    let bits_per_unit = match unit {
        Unit::Byte => 8,
        Unit::Bit => 1,
    };
    // A string is far shorter than 2^60 bytes, so that nothing overflows.
    let total = (length as i64) * (8 / bits_per_unit);
    let from_front = |index: i64| {
        let index = if index < 0 { index + total } else { index };
        index.max(0)
    };
    let start = from_front(start);
    let end = from_front(end).min(total - 1);
    if start > end {
        return 0..0;
    }
    (start * bits_per_unit) as u64..((end + 1) * bits_per_unit) as u64
}

/// Number of set bits in a range, which must lie within. O(length of the range).
pub fn count(bytes: &[u8], range: Range<u64>) -> u64 {
    if range.is_empty() {
        return 0;
    }
    let (first, last) = byte_ends(&range);
    let before = bytes[first] & !(0xff >> (range.start % 8));
    let after = bytes[last] & (0x7f >> ((range.end - 1) % 8));
    count_all(&bytes[first..=last]) - u64::from(before.count_ones() + after.count_ones())
}

/// The bytes in which the first and the last bit of a range lie. The range must not be empty.
fn byte_ends(range: &Range<u64>) -> (usize, usize) {
    ((range.start / 8) as usize, ((range.end - 1) / 8) as usize)
}

/// Number of set bits. Compiled for several processors, of which the right one is found when it first runs.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512vpopcntdq", "x86_64+avx2+popcnt"))]
fn count_all(bytes: &[u8]) -> u64 {
    if target_cfg_f!(target_feature = "avx512vpopcntdq") { count_by_word(bytes) } else { count_by_group(bytes) }
}

/// For processors that count eight words at once.
#[inline(always)]
fn count_by_word(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    let rest: u64 = rest.iter().map(|byte| u64::from(byte.count_ones())).sum();
    words + rest
}

/// Where counting a word takes a dozen steps the words of a group are first added up with carry-save adders, bit column
/// by bit column, and only the sixteens are counted (Harley and Seal; Muła, Kurz and Lemire, "Faster Population Counts
/// Using AVX2 Instructions", 2016).
#[inline(always)]
fn count_by_group(bytes: &[u8]) -> u64 {
    let (groups, rest) = bytes.as_chunks::<GROUP_BYTES>();
    let mut weights = [Lanes::default(); 4];
    let mut sixteens = 0;
    for group in groups {
        sixteens += ones_in(&add_group(&mut weights, group));
    }
    let mut total = 16 * sixteens;
    for (power, lanes) in weights.iter().enumerate() {
        total += ones_in(lanes) << power;
    }
    total + count_by_word(rest)
}

#[inline(always)]
fn ones_in(lanes: &Lanes) -> u64 {
    lanes.iter().map(|word| u64::from(word.count_ones())).sum()
}

/// Adds a group to the columns of weight 1, 2, 4 and 8; gives what is carried to 16. Every lane goes its own way, so
/// that they run side by side in one register.
#[inline(always)]
fn add_group(weights: &mut [Lanes; 4], group: &[u8; GROUP_BYTES]) -> Lanes {
    let (words, _) = group.as_chunks::<8>();
    let [ones, twos, fours, eights] = weights;
    let mut carried = Lanes::default();
    for lane in 0..LANES {
        let word = |index: usize| u64::from_ne_bytes(words[index * LANES + lane]);
        let quarter = |at: usize, ones: &mut u64, twos: &mut u64| {
            let first = add(ones, word(at), word(at + 1));
            let second = add(ones, word(at + 2), word(at + 3));
            add(twos, first, second)
        };
        let (one, two, four) = (&mut ones[lane], &mut twos[lane], &mut fours[lane]);
        let (first, second) = (quarter(0, one, two), quarter(4, one, two));
        let low = add(four, first, second);
        let (third, fourth) = (quarter(8, one, two), quarter(12, one, two));
        let high = add(four, third, fourth);
        carried[lane] = add(&mut eights[lane], low, high);
    }
    carried
}

/// Adds two bits to each of the sum's; gives what is carried.
#[inline(always)]
fn add(sum: &mut u64, first: u64, second: u64) -> u64 {
    let differing = *sum ^ first;
    let carried = (*sum & first) | (differing & second);
    *sum = differing ^ second;
    carried
}

/// Where the first bit that is set (or clear) in a range lies. The range must lie within. O(length of the range).
pub fn position(bytes: &[u8], on: bool, range: Range<u64>) -> Option<u64> {
    if range.is_empty() {
        return None;
    }
    let (first, last) = byte_ends(&range);
    let skipped = if on { 0x00 } else { 0xff };
    let head = (bytes[first] ^ skipped) & (0xff >> (range.start % 8));
    let (index, differing) = if head != 0 {
        (first, head)
    } else {
        let after = first + 1 + first_other(&bytes[first + 1..=last], skipped)?;
        (after, bytes[after] ^ skipped)
    };
    let position = index as u64 * 8 + u64::from(differing.leading_zeros());
    (position < range.end).then_some(position)
}

/// The index of the first byte that is not `skipped`.
fn first_other(bytes: &[u8], skipped: u8) -> Option<usize> {
    const CHUNK: usize = 64;
    let (chunks, _) = bytes.as_chunks::<CHUNK>();
    let word = u64::from_ne_bytes([skipped; 8]);
    let is_other = |chunk: &[u8; CHUNK]| {
        let words = chunk.as_chunks::<8>().0.iter();
        let differing = words.map(|bytes| u64::from_ne_bytes(*bytes) ^ word);
        differing.fold(0, |all, differing| all | differing) != 0
    };
    let alike = chunks.iter().position(is_other).unwrap_or(chunks.len()) * CHUNK;
    let found = bytes[alike..].iter().position(|byte| *byte != skipped)?;
    Some(alike + found)
}

/// Combines the sources, of which there is at least one, into `out`. A source that is shorter than `out` goes on in
/// zeros. O(length of `out` × number of sources).
pub fn combine(operation: Operation, sources: &[impl AsRef<[u8]>], out: &mut [u8]) {
    for (index, out) in out.chunks_mut(BLOCK).enumerate() {
        let mut parts = sources.iter().map(|source| source.as_ref().get(index * BLOCK..).unwrap_or_default());
        merge(out, parts.next().unwrap_or_default(), |_, first| first);
        combine_block(operation, out, parts);
    }
}

/// Combines what is in `out` already, the first source's part, with those of the others.
fn combine_block<'a>(operation: Operation, out: &mut [u8], others: impl Iterator<Item = &'a [u8]>) {
    match operation {
        Operation::Not => out.iter_mut().for_each(|byte| *byte = !*byte),
        Operation::And => others.for_each(|part| merge(out, part, |a, b| a & b)),
        Operation::Or => others.for_each(|part| merge(out, part, |a, b| a | b)),
        Operation::Xor => others.for_each(|part| merge(out, part, |a, b| a ^ b)),
        Operation::Difference => merge(out, &union(others), |a, b| a & !b),
        Operation::ReverseDifference => merge(out, &union(others), |a, b| b & !a),
        Operation::AndOr => merge(out, &union(others), |a, b| a & b),
        Operation::One => {
            // What is in `out` is in an odd number of sources.
            let mut several = [0; BLOCK];
            for part in others {
                let again = several.iter_mut().zip(out.iter().zip(part));
                again.for_each(|(several, (a, b))| *several |= a & b);
                merge(out, part, |a, b| a ^ b);
            }
            merge(out, &several, |a, b| a & !b);
        }
    }
}

/// What is set in any of the parts.
fn union<'a>(parts: impl Iterator<Item = &'a [u8]>) -> [u8; BLOCK] {
    let mut union = [0; BLOCK];
    parts.for_each(|part| merge(&mut union, part, |a, b| a | b));
    union
}

/// Merges a part, which goes on in zeros, into `out`.
#[inline(always)]
fn merge(out: &mut [u8], part: &[u8], merge: impl Fn(u8, u8) -> u8) {
    let (covered, beyond) = out.split_at_mut(part.len().min(out.len()));
    for (byte, other) in covered.iter_mut().zip(part) {
        *byte = merge(*byte, *other);
    }
    for byte in beyond {
        *byte = merge(*byte, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits_of(bytes: &[u8]) -> Vec<bool> {
        (0..bytes.len() * 8).map(|index| bytes[index / 8] >> (7 - index % 8) & 1 == 1).collect()
    }

    /// Bytes in which long runs are alike.
    fn byte_string() -> impl Strategy<Value = Vec<u8>> {
        let run = (prop_oneof![Just(0u8), Just(0xff), any::<u8>()], 0..700usize);
        prop::collection::vec(run, 0..4).prop_map(|runs| {
            let bytes = runs.into_iter().flat_map(|(byte, length)| std::iter::repeat_n(byte, length));
            bytes.collect()
        })
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop::sample::select(vec![
            Operation::And,
            Operation::Or,
            Operation::Xor,
            Operation::Not,
            Operation::Difference,
            Operation::ReverseDifference,
            Operation::AndOr,
            Operation::One,
        ])
    }

    /// What an operation makes of the bits of all sources at one place.
    fn expected(operation: Operation, bits: &[bool]) -> bool {
        let (first, others) = (bits[0], &bits[1..]);
        let other = others.iter().any(|bit| *bit);
        let set = bits.iter().filter(|bit| **bit).count();
        match operation {
            Operation::And => set == bits.len(),
            Operation::Or => set > 0,
            Operation::Xor => set % 2 == 1,
            Operation::Not => !first,
            Operation::Difference => first && !other,
            Operation::ReverseDifference => !first && other,
            Operation::AndOr => first && other,
            Operation::One => set == 1,
        }
    }

    proptest! {
        #[test]
        fn counts_and_positions(bytes in byte_string(), start: prop::sample::Index, end: prop::sample::Index) {
            let bits = bits_of(&bytes);
            let (start, end) = (start.index(bits.len() + 1), end.index(bits.len() + 1));
            let range = start.min(end)..start.max(end);
            let part = &bits[range.clone()];
            let (first, last) = (range.start as u64, range.end as u64);
            prop_assert_eq!(count(&bytes, first..last), part.iter().filter(|bit| **bit).count() as u64);
            for on in [false, true] {
                let found = part.iter().position(|bit| *bit == on);
                prop_assert_eq!(position(&bytes, on, first..last), found.map(|at| (at + range.start) as u64));
            }
        }

        #[test]
        fn random_bytes_are_counted(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
            let ones = bits_of(&bytes).into_iter().filter(|bit| *bit).count();
            prop_assert_eq!(count(&bytes, 0..bytes.len() as u64 * 8), ones as u64);
            prop_assert_eq!(count_by_word(&bytes), ones as u64);
            prop_assert_eq!(count_by_group(&bytes), ones as u64);
        }

        #[test]
        fn single_bits(bytes in byte_string(), offset in 0..30_000u64, on: bool) {
            let mut bits = bits_of(&bytes);
            let before = bits.get(offset as usize).copied();
            prop_assert_eq!(bit(&bytes, offset), before.unwrap_or(false));
            if let Some(before) = before {
                let mut bytes = bytes;
                prop_assert_eq!(set_bit(&mut bytes, offset, on), before);
                bits[offset as usize] = on;
                prop_assert_eq!(bits_of(&bytes), bits);
            }
        }

        #[test]
        fn combinations(operation in operation(), sources in prop::collection::vec(byte_string(), 1..5)) {
            let length = sources.iter().map(Vec::len).max().unwrap_or(0);
            let mut out = vec![0; length];
            combine(operation, &sources, &mut out);
            let sources: Vec<Vec<bool>> = sources.iter().map(|source| bits_of(source)).collect();
            for (index, bit) in bits_of(&out).into_iter().enumerate() {
                let bits: Vec<bool> = sources
                    .iter()
                    .map(|source| source.get(index).copied().unwrap_or(false))
                    .collect();
                prop_assert_eq!(bit, expected(operation, &bits), "bit {}", index);
            }
        }
    }

    #[test]
    fn ranges_are_cut_to_what_there_is() {
        let cases = [
            ((0, -1, Unit::Byte, 3), 0..24),
            ((1, 1, Unit::Byte, 3), 8..16),
            ((-2, -1, Unit::Byte, 3), 8..24),
            ((-100, 100, Unit::Byte, 3), 0..24),
            ((2, 1, Unit::Byte, 3), 0..0),
            ((3, 100, Unit::Byte, 3), 0..0),
            ((5, 9, Unit::Bit, 3), 5..10),
            ((-4, -2, Unit::Bit, 3), 20..23),
            ((i64::MIN, i64::MAX, Unit::Bit, 3), 0..24),
            ((i64::MAX, i64::MIN, Unit::Bit, 3), 0..0),
            ((0, -1, Unit::Byte, 0), 0..0),
            ((0, 0, Unit::Bit, 0), 0..0),
        ];
        for ((start, end, unit, length), expected) in cases {
            assert_eq!(range(start, end, unit, length), expected, "{start} {end}");
        }
    }
}
