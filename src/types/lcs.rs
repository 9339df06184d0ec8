//! The longest common subsequence of two byte strings, as LCS reports it.
//!
//! The usual table of lengths takes four bytes a cell; here a cell is one bit, and a row is worked out a word at a time
//! (H. Hyyrö, "Bit-parallel LCS-length computation revisited", 2004). Of row i, bit j is clear where the table steps
//! up:
//!
//! ```text
//! row ← all ones
//! for each byte x of the first string:
//!     matches ← the positions of x in the second string
//!     common  ← row & matches
//!     row     ← (row + common) | (row - common)      // as one long number each
//! length ← number of clear bits in the last row
//! ```
//!
//! The steps are also all that the walk back through the table needs: at a mismatch the table's value comes from above
//! alone exactly where the row steps up.

use std::ops::Range;

const WORD_BITS: usize = u64::BITS as usize;

/// A stretch that the two strings have in common, as a range of each. Both are equally long and never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    pub first: Range<usize>,
    pub second: Range<usize>,
}

/// The positions of each byte of the first string in the second, as bits.
struct Positions {
    /// Where the bits of a byte begin in `bits`, in words.
    start: [Option<usize>; 256],
    bits: Vec<u64>,
    words: usize,
}

impl Positions {
    fn of(first: &[u8], second: &[u8]) -> Positions {
        let words = second.len().div_ceil(WORD_BITS);
        let mut positions = Positions { start: [None; 256], bits: Vec::new(), words };
        for &byte in first {
            let start = &mut positions.start[usize::from(byte)];
            if start.is_none() {
                *start = Some(positions.bits.len());
                positions.bits.resize(positions.bits.len() + words, 0);
            }
        }
        for (index, &byte) in second.iter().enumerate() {
            if let Some(start) = positions.start[usize::from(byte)] {
                positions.bits[start + index / WORD_BITS] |= 1 << (index % WORD_BITS);
            }
        }
        positions
    }

    fn of_byte(&self, byte: u8) -> &[u64] {
        let start = self.start[usize::from(byte)].unwrap_or(0);
        &self.bits[start..start + self.words]
    }
}

/// Turns one row of the table into the next.
fn advance(row: &mut [u64], matches: &[u64]) {
    let mut carry = false;
    for (word, matching) in row.iter_mut().zip(matches) {
        let common = *word & matching;
        let (sum, first) = word.overflowing_add(common);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        carry = first || second;
        *word = sum | (*word & !matching);
    }
}

fn steps(row: &[u64], width: usize) -> usize {
    let clear: usize = row.iter().map(|word| word.count_zeros() as usize).sum();
    // The bits behind the second string's end stay set: nothing matches there, and a carry out of it is the next
    // word's.
    debug_assert!(clear <= width);
    clear
}

/// The row before the first byte: all ones.
fn first_row(width: usize) -> Vec<u64> {
    vec![u64::MAX; width.div_ceil(WORD_BITS)]
}

/// The length of the longest common subsequence. O(n·m/64) time, O(256·m) bits.
pub fn length(first: &[u8], second: &[u8]) -> usize {
    let positions = Positions::of(first, second);
    let mut row = first_row(second.len());
    for &byte in first {
        advance(&mut row, positions.of_byte(byte));
    }
    steps(&row, second.len())
}

/// The longest common subsequence, as the stretches that it is made of, last one first. Of several equally long ones it
/// is the one that Redis finds. O(n·m/64) time, O(n·m) bits.
pub fn matches(first: &[u8], second: &[u8]) -> Vec<Match> {
    let positions = Positions::of(first, second);
    let words = positions.words;
    let mut table = Vec::with_capacity(words * first.len());
    let mut row = first_row(second.len());
    for &byte in first {
        advance(&mut row, positions.of_byte(byte));
        table.extend_from_slice(&row);
    }
    let steps_up = |row: usize, column: usize| table[row * words + column / WORD_BITS] >> (column % WORD_BITS) & 1 == 0;
    let mut found: Vec<Match> = Vec::new();
    let (mut row, mut column) = (first.len(), second.len());
    while row > 0 && column > 0 {
        if first[row - 1] == second[column - 1] {
            row -= 1;
            column -= 1;
            extend(&mut found, row, column);
        } else if steps_up(row - 1, column - 1) {
            row -= 1;
        } else {
            column -= 1;
        }
    }
    found
}

/// Adds a matching pair in front of the last stretch, or as a new one.
fn extend(found: &mut Vec<Match>, first: usize, second: usize) {
    match found.last_mut() {
        Some(last) if last.first.start == first + 1 && last.second.start == second + 1 => {
            last.first.start = first;
            last.second.start = second;
        }
        _ => found.push(Match { first: first..first + 1, second: second..second + 1 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The textbook table and walk, to compare with.
    fn by_the_book(first: &[u8], second: &[u8]) -> (usize, Vec<u8>) {
        let width = second.len() + 1;
        let mut table = vec![0usize; (first.len() + 1) * width];
        for row in 1..=first.len() {
            for column in 1..=second.len() {
                table[row * width + column] = if first[row - 1] == second[column - 1] {
                    table[(row - 1) * width + column - 1] + 1
                } else {
                    table[(row - 1) * width + column].max(table[row * width + column - 1])
                };
            }
        }
        let (mut row, mut column, mut text) = (first.len(), second.len(), Vec::new());
        while row > 0 && column > 0 {
            if first[row - 1] == second[column - 1] {
                text.insert(0, first[row - 1]);
                (row, column) = (row - 1, column - 1);
            } else if table[(row - 1) * width + column] > table[row * width + column - 1] {
                row -= 1;
            } else {
                column -= 1;
            }
        }
        (table[first.len() * width + second.len()], text)
    }

    #[test]
    fn agrees_with_the_textbook() {
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..250 {
            let letters = 1 + round % 5;
            let mut text =
                |longest| -> Vec<u8> { (0..random.usize(..=longest)).map(|_| b'a' + random.u8(..letters)).collect() };
            let (first, second) = (text(150), text(150));
            let (expected, expected_text) = by_the_book(&first, &second);
            assert_eq!(length(&first, &second), expected);
            let found = matches(&first, &second);
            let mut joined = Vec::new();
            for stretch in found.iter().rev() {
                assert_eq!(first[stretch.first.clone()], second[stretch.second.clone()]);
                joined.extend_from_slice(&first[stretch.first.clone()]);
            }
            assert_eq!(joined, expected_text, "{first:?} {second:?}");
        }
    }

    #[test]
    fn empty_strings_have_nothing_in_common() {
        assert_eq!(length(b"", b"abc"), 0);
        assert_eq!(length(b"abc", b""), 0);
        assert!(matches(b"", b"").is_empty());
    }
}
