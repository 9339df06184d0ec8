//! Writing a tape.
//!
//! ```text
//! 0xxxxxxx xxxxxxxx              the ticks have moved on by so many (15 bits, the high ones first)
//! 10xxxxxx and four bytes        the same, with 38 bits
//! 11kkkkkk and the answer        an answer of kind k
//! ```

use xxhash_rust::xxh3::Xxh3;

use super::Kind;
use super::entry::Entry;

/// So many bytes are collected before they are handed over, at the end of a turn.
const CHUNK_BYTES: usize = 256 * 1024;
pub(super) const SHORT_TICKS: u64 = 1 << 15;
pub(super) const LONG_TICKS: u64 = 1 << 38;
pub(super) const KIND_BITS: u8 = 0xc0;

/// A running sum of all output.
#[derive(Default)]
pub struct Output {
    sum: Xxh3,
    has_grown: bool,
}

impl Output {
    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.sum.update(bytes);
        self.has_grown |= !bytes.is_empty();
    }

    /// The sum so far, if anything was added since the last time.
    pub(super) fn take(&mut self) -> Option<u64> {
        // 16 bits in each turn: what differs once differs ever after.
        std::mem::take(&mut self.has_grown).then(|| self.sum.digest() & 0xffff)
    }
}

/// What the readings of the ticks mean: when the clock began, in ticks, and how long 2^40 of them are, in ns.
#[derive(Clone, Copy, Debug)]
pub(super) struct TickScale {
    pub began: u64,
    pub nanos: u64,
}

impl TickScale {
    /// Nanoseconds since the clock began.
    pub(super) fn nanos_at(self, ticks: u64) -> u64 {
        let nanos = (u128::from(ticks.saturating_sub(self.began)) * u128::from(self.nanos)) >> 40;
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

/// A piece of a tape, which goes to where it is kept. Errors: why no more can be kept.
pub type Chunk = Box<dyn FnMut(Vec<u8>) -> Result<(), String>>;

/// Writes a tape.
pub struct Recorder {
    chunk: Vec<u8>,
    keep: Chunk,
    last_ticks: u64,
    pub(super) output: Output,
    bytes: u64,
    turns: u64,
    failure: Option<String>,
    pub(super) scale: Option<TickScale>,
    /// It ends so long after the clock began, in ns.
    nanos_max: u64,
    digest_period_us: u64,
}

impl Recorder {
    /// One that hands its chunks to `keep`.
    pub fn new(keep: Chunk) -> Recorder {
        Recorder {
            chunk: Vec::with_capacity(2 * CHUNK_BYTES),
            keep,
            last_ticks: 0,
            output: Output::default(),
            bytes: 0,
            turns: 0,
            failure: None,
            scale: None,
            nanos_max: u64::MAX,
            digest_period_us: 0,
        }
    }

    /// The same, but it ends after so many seconds.
    pub fn with_seconds_max(self, seconds: u64) -> Recorder {
        Recorder { nanos_max: seconds.saturating_mul(1_000_000_000), ..self }
    }

    /// The same, with a digest of the data every so many microseconds; 0: none.
    pub fn with_digests(self, period_us: u64) -> Recorder {
        Recorder { digest_period_us: period_us, ..self }
    }

    /// Time between two digests of the data, in µs; 0: there are none.
    pub(super) fn digest_period_us(&self) -> u64 {
        self.digest_period_us
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes + self.chunk.len() as u64
    }

    /// Turns so far.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// Writes an answer down.
    pub(super) fn note<T: Entry>(&mut self, kind: Kind, answer: &T) {
        self.chunk.push(KIND_BITS | kind as u8);
        answer.write(&mut self.chunk);
    }

    /// Writes a reading of the ticks down.
    #[inline]
    pub(super) fn note_ticks(&mut self, ticks: u64) {
        let moved = ticks.wrapping_sub(self.last_ticks);
        self.last_ticks = ticks;
        if moved < SHORT_TICKS {
            self.chunk.extend_from_slice(&(moved as u16).to_be_bytes());
        } else if moved < LONG_TICKS {
            self.chunk.extend_from_slice(&(moved | 0x80 << 32).to_be_bytes()[3..]);
        } else {
            self.note(Kind::Ticks, &ticks);
        }
    }

    /// Ends a turn. Gives why there can be no more, if there cannot.
    pub(super) fn end_turn(&mut self) -> Option<String> {
        if let Some(sum) = self.output.take() {
            self.note(Kind::Check, &sum);
        }
        self.turns += 1;
        if self.chunk.len() >= CHUNK_BYTES {
            self.hand_over();
        }
        let elapsed_ns = self.scale.map_or(0, |scale| scale.nanos_at(self.last_ticks));
        if elapsed_ns >= self.nanos_max && self.failure.is_none() {
            self.hand_over();
            self.failure.get_or_insert_with(|| "it is as long as it may be".to_string());
        }
        self.failure.take()
    }

    /// Hands over what was collected.
    pub(super) fn hand_over(&mut self) {
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(2 * CHUNK_BYTES));
        self.bytes += chunk.len() as u64;
        if let Err(reason) = (self.keep)(chunk) {
            self.failure = Some(reason);
        }
    }
}
