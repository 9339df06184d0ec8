//! LZF compression (liblzf by Marc Lehmann), as lists and RDB files use it. Never trusts what it unpacks.
//!
//! ```text
//! stream = { literals | reference }
//! literals  = 000nnnnn                      n + 1 bytes follow as they are
//! reference = nnnooooo oooooooo             n in 1..=6: copy n + 2 bytes from o + 1 bytes back
//!           | 111ooooo nnnnnnnn oooooooo    copy n + 9 bytes from o + 1 bytes back
//! ```
//!
//! A table of the places where each hash of three bytes was last seen finds the repetitions. Hash and table size are
//! those that Redis uses, so that the compressed forms of a string agree.

/// Longest run of literals, in bytes.
const LITERALS_MAX: usize = 32;
/// Longest repetition that one reference stands for, in bytes.
const REFERENCE_MAX: usize = 264;
/// A reference reaches back so many bytes at most.
const DISTANCE_MAX: usize = 1 << 13;
const HASH_BITS: u32 = 16;
/// Three bytes of input stand for 264 bytes of output at most.
const RATIO_MAX: u64 = 88;
/// What is set aside for the output before it is known to be there, in bytes.
const TRUSTED_BYTES: usize = 1024 * 1024;
/// From this length on a piece of a compressed form is complete.
const PIECE_BYTES: usize = 64 * 1024;

/// Compresses strings, one after the other. Holds 256 KiB from the first one on.
#[derive(Default)]
pub struct Compressor {
    /// By hash, where it was last seen: position within the string, plus `base`.
    places: Vec<u32>,
    /// Places below are those of earlier strings: a table need not be emptied for each.
    base: u32,
    /// Bytes of the present string.
    length: u32,
}

/// How far a string is compressed.
struct Progress {
    at: usize,
    run: Run,
}

impl Progress {
    fn start(out: &mut Vec<u8>) -> Progress {
        Progress { at: 0, run: Run::start(out) }
    }

    /// Takes the last two bytes. Says whether the output is short enough.
    fn finish(&mut self, input: &[u8], end: usize, out: &mut Vec<u8>) -> bool {
        if out.len() + 3 > end {
            return false;
        }
        for &byte in &input[self.at..] {
            self.run.push(byte, out);
        }
        self.run.close(out);
        true
    }
}

/// A string that is being compressed step by step.
pub struct Compression {
    progress: Progress,
    /// The compressor's when it was begun.
    base: u32,
    limit: usize,
    /// The compressed form so far but for the end, in pieces: one buffer would be moved as it grows.
    finished: Vec<Vec<u8>>,
    finished_bytes: usize,
    out: Vec<u8>,
}

impl Compression {
    /// Bytes of the compressed form so far.
    pub fn len(&self) -> usize {
        self.finished_bytes
    }

    /// Whether there is nothing yet.
    pub fn is_empty(&self) -> bool {
        self.finished_bytes == 0
    }

    /// The compressed form, in pieces.
    pub fn into_pieces(self) -> Vec<Vec<u8>> {
        self.finished
    }

    fn finish_piece(&mut self, length: usize) {
        let tail = self.out.split_off(length);
        self.finished_bytes += length;
        self.finished.push(std::mem::replace(&mut self.out, tail));
    }
}

/// What became of a step of a compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionStep {
    More,
    Done,
    /// The compressed form is too long.
    DoesNotPay,
}

impl Compressor {
    /// Without a table yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the compressed form of `input` to `out` if it is at most `limit` bytes long; says whether it did.
    /// O(input).
    pub fn compress(&mut self, input: &[u8], limit: usize, out: &mut Vec<u8>) -> bool {
        if !self.make_room(input) {
            return false;
        }
        let start = out.len();
        let end = start.saturating_add(limit);
        let mut progress = Progress::start(out);
        let fits = self.advance(input, &mut progress, usize::MAX, end, out) && progress.finish(input, end, out);
        if !fits {
            out.truncate(start);
        }
        fits
    }

    /// Begins to compress a long string step by step, to at most `limit` bytes; nothing if it is too long or empty.
    /// Another string that is compressed in between spoils the attempt.
    pub fn begin(&mut self, input: &[u8], limit: usize) -> Option<Compression> {
        if !self.make_room(input) {
            return None;
        }
        let mut out = Vec::new();
        Some(Compression {
            progress: Progress::start(&mut out),
            base: self.base,
            limit,
            finished: Vec::new(),
            finished_bytes: 0,
            out,
        })
    }

    /// Compresses about `bytes` more of the input, which must be the one that it was begun with. O(bytes).
    pub fn step(&mut self, compression: &mut Compression, input: &[u8], bytes: usize) -> CompressionStep {
        let Compression { progress, out, .. } = compression;
        let end = compression.limit.saturating_sub(compression.finished_bytes);
        let until = progress.at.saturating_add(bytes);
        if compression.base != self.base || !self.advance(input, progress, until, end, out) {
            return CompressionStep::DoesNotPay;
        }
        if progress.at < until {
            let fits = progress.finish(input, end, out);
            compression.finish_piece(compression.out.len());
            return match fits {
                true => CompressionStep::Done,
                false => CompressionStep::DoesNotPay,
            };
        }
        if compression.out.len() >= PIECE_BYTES {
            compression.finish_piece(compression.progress.run.header);
            compression.progress.run.header = 0;
        }
        CompressionStep::More
    }

    /// Sets a range of places aside for a string; says whether it can be compressed at all.
    fn make_room(&mut self, input: &[u8]) -> bool {
        let Ok(length) = u32::try_from(input.len()) else {
            return false;
        };
        let base = self.base.checked_add(self.length);
        self.length = length;
        match base {
            Some(base) if !self.places.is_empty() && base.checked_add(length).is_some() => {
                self.base = base;
            }
            _ => {
                self.places.clear();
                self.places.resize(1 << HASH_BITS, 0);
                self.base = 0;
            }
        }
        length > 0
    }

    /// Takes the input up to `until`, or a little further. Says whether the output is short enough so far.
    fn advance(&mut self, input: &[u8], progress: &mut Progress, until: usize, end: usize, out: &mut Vec<u8>) -> bool {
        let last = input.len().saturating_sub(2);
        let Progress { at, run } = progress;
        while *at < last.min(until) {
            let Some((distance, length)) = self.repetition(input, *at) else {
                if out.len() >= end {
                    return false;
                }
                run.push(input[*at], out);
                *at += 1;
                continue;
            };
            if out.len() + 4 - usize::from(run.count == 0) >= end {
                return false;
            }
            run.close(out);
            push_reference(distance, length, out);
            *run = Run::start(out);
            *at += length;
            if *at >= last {
                break;
            }
            self.note(input, *at - 2);
            self.note(input, *at - 1);
        }
        true
    }

    /// The slot of the three bytes at a position.
    fn slot(&mut self, input: &[u8], at: usize) -> &mut u32 {
        let [first, second, third] = [input[at], input[at + 1], input[at + 2]];
        let bytes = u32::from_be_bytes([0, first, second, third]);
        let hash = (bytes >> (24 - HASH_BITS)).wrapping_sub(bytes.wrapping_mul(5));
        &mut self.places[(hash & ((1 << HASH_BITS) - 1)) as usize]
    }

    fn note(&mut self, input: &[u8], at: usize) {
        let place = self.base + at as u32;
        *self.slot(input, at) = place;
    }

    /// Distance and length of an earlier occurrence of what is at a position, if the table knows one. Notes the
    /// position.
    fn repetition(&mut self, input: &[u8], at: usize) -> Option<(usize, usize)> {
        let base = self.base;
        let slot = self.slot(input, at);
        let before = *slot;
        *slot = base + at as u32;
        // As in liblzf, the very first position is never referred to: there it marks an empty slot.
        if before <= base {
            return None;
        }
        let earlier = (before - base) as usize;
        let distance = at - earlier;
        if distance > DISTANCE_MAX || input[earlier..earlier + 3] != input[at..at + 3] {
            return None;
        }
        // liblzf leaves two bytes to the end alone, but where it compares 16 bytes at once, and always takes three.
        let longest = match (input.len() - at - 2).min(REFERENCE_MAX) {
            short @ ..=16 => short.max(3),
            long => long.max(19),
        };
        let pairs = input[earlier..].iter().zip(&input[at..at + longest]);
        let length = pairs.take_while(|(one, other)| one == other).count();
        Some((distance, length))
    }
}

/// A run of literals in the making.
struct Run {
    header: usize,
    count: usize,
}

impl Run {
    fn start(out: &mut Vec<u8>) -> Self {
        out.push(0);
        Self { header: out.len() - 1, count: 0 }
    }

    fn push(&mut self, byte: u8, out: &mut Vec<u8>) {
        out.push(byte);
        self.count += 1;
        if self.count == LITERALS_MAX {
            out[self.header] = (LITERALS_MAX - 1) as u8;
            *self = Self::start(out);
        }
    }

    fn close(&self, out: &mut Vec<u8>) {
        match self.count {
            0 => out.truncate(self.header),
            count => out[self.header] = (count - 1) as u8,
        }
    }
}

fn push_reference(distance: usize, length: usize, out: &mut Vec<u8>) {
    let back = distance - 1;
    let (high, low) = ((back >> 8) as u8, back as u8);
    match length - 2 {
        short @ 0..7 => out.extend_from_slice(&[high | (short as u8) << 5, low]),
        long => out.extend_from_slice(&[high | 7 << 5, (long - 7) as u8, low]),
    }
}

/// Bytes that are not the compressed form of a string of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// The string of `length` bytes that was compressed to `input`. Sets no more memory aside than `input` can fill.
/// O(length). Errors: it is damaged.
pub fn decompress(input: &[u8], length: u64) -> Result<Vec<u8>, Damaged> {
    if length > input.len() as u64 * RATIO_MAX {
        return Err(Damaged);
    }
    let length = usize::try_from(length).map_err(|_| Damaged)?;
    let mut out = Vec::with_capacity(length.min(TRUSTED_BYTES));
    let mut rest = input;
    while let [control, after @ ..] = rest {
        let control = usize::from(*control);
        rest = after;
        if control < LITERALS_MAX {
            let (literals, after) = rest.split_at_checked(control + 1).ok_or(Damaged)?;
            out.extend_from_slice(literals);
            rest = after;
        } else {
            let mut count = (control >> 5) + 2;
            if count == 9 {
                let [more, after @ ..] = rest else {
                    return Err(Damaged);
                };
                count += usize::from(*more);
                rest = after;
            }
            let [low, after @ ..] = rest else {
                return Err(Damaged);
            };
            let distance = (control & 0x1f) << 8 | usize::from(*low);
            let from = out.len().checked_sub(distance + 1).ok_or(Damaged)?;
            repeat(&mut out, from, count);
            rest = after;
        }
        if out.len() > length {
            return Err(Damaged);
        }
    }
    if out.len() == length { Ok(out) } else { Err(Damaged) }
}

/// Appends `count` bytes from position `from` on, which may be among those that it appends.
fn repeat(out: &mut Vec<u8>, from: usize, count: usize) {
    if from + count <= out.len() {
        return out.extend_from_within(from..from + count);
    }
    for at in from..from + count {
        out.push(out[at]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compressed(compressor: &mut Compressor, input: &[u8]) -> Option<Vec<u8>> {
        let mut out = b"before".to_vec();
        let limit = input.len().saturating_sub(4);
        if compressor.compress(input, limit, &mut out) {
            assert!(out.len() - 6 <= limit);
            Some(out.split_off(6))
        } else {
            assert_eq!(out, b"before");
            None
        }
    }

    #[test]
    fn repetitions_are_references() {
        let mut compressor = Compressor::new();
        let input = [b'a'; 300];
        let packed = compressed(&mut compressor, &input).expect("it compresses");
        let expected = [1, b'a', b'a', 0xe0, 255, 0, 0xe0, 23, 0, 1, b'a', b'a'];
        assert_eq!(packed, expected);
    }

    #[test]
    fn what_does_not_repeat_is_left_alone() {
        let mut compressor = Compressor::new();
        let input: Vec<u8> = (0..=255).collect();
        assert_eq!(compressed(&mut compressor, &input), None);
        assert_eq!(compressed(&mut compressor, b""), None);
    }

    #[test]
    fn damaged_streams_are_refused() {
        for damaged in [
            &[5, b'a'][..],           // fewer literals than announced
            &[0, b'a', 0x20],         // a reference without its distance
            &[0, b'a', 0xe0],         // and without its length
            &[0, b'a', 0x20, 1],      // beyond the start
            &[0, b'a', 0xe0, 255, 0], // longer than announced
            &[],
        ] {
            assert_eq!(decompress(damaged, 6), Err(Damaged));
        }
        assert!(decompress(&[0, b'a', 0x20, 0], u64::MAX).is_err());
        assert_eq!(decompress(&[0, b'a', 0x20, 0], 4), Ok(b"aaaa".to_vec()));
    }

    fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let words = proptest::collection::vec(0..4u8, 0..2000);
        let repeated = (proptest::collection::vec(any::<u8>(), 1..40), 1..600usize);
        let repeated = repeated.prop_map(|(word, times)| word.repeat(times));
        proptest::collection::vec(prop_oneof![words, repeated], 1..6)
    }

    /// In steps of any size the same comes out as at once; another string in between is noticed.
    #[test]
    fn steps_make_no_difference() {
        let mut random = fastrand::Rng::with_seed(7);
        let words: Vec<u8> = (0..300_000).map(|_| random.u8(0..4)).collect();
        for input in [&words[..], &words[..3], &[7; 200_000], &words[..40_000]] {
            let mut compressor = Compressor::new();
            let limit = input.len().saturating_sub(4);
            let mut whole = Vec::new();
            let pays = compressor.compress(input, limit, &mut whole);
            for bytes in [1, 777, 16_384, usize::MAX] {
                let mut compression = compressor.begin(input, limit).expect("it is not empty");
                let end = loop {
                    match compressor.step(&mut compression, input, bytes) {
                        CompressionStep::More => {}
                        end => break end,
                    }
                };
                assert_eq!(end == CompressionStep::Done, pays);
                if pays {
                    assert_eq!(compression.len(), whole.len());
                    assert_eq!(compression.into_pieces().concat(), whole);
                }
            }
        }
        let mut compressor = Compressor::new();
        let mut compression = compressor.begin(&words, words.len()).expect("it is not empty");
        compressor.step(&mut compression, &words, 1000);
        compressor.compress(&words[..9], 9, &mut Vec::new());
        let spoilt = compressor.step(&mut compression, &words, 1000);
        assert_eq!(spoilt, CompressionStep::DoesNotPay);
    }

    proptest! {
        /// One compressor for several strings: none refers to an earlier one.
        #[test]
        fn what_goes_in_comes_out(texts in texts()) {
            let mut compressor = Compressor::new();
            for text in texts {
                let fresh = compressed(&mut Compressor::new(), &text);
                let packed = compressed(&mut compressor, &text);
                prop_assert_eq!(&packed, &fresh);
                if let Some(packed) = packed {
                    prop_assert_eq!(decompress(&packed, text.len() as u64), Ok(text));
                }
            }
        }

        #[test]
        fn anything_is_taken_or_refused(input: Vec<u8>, length in 0..3000u64) {
            if let Ok(text) = decompress(&input, length) {
                prop_assert_eq!(text.len() as u64, length);
            }
        }
    }
}
