//! HyperLogLog: how many different elements were seen, within 0.81 %, in at most 12 kB; kept in a string.
//!
//! The string is Redis's, bit for bit, so that it can be read with GET, stored with SET and sent to other servers:
//!
//! ```text
//!  0      4          5        8                     16
//!  +------+----------+--------+---------------------+-----------+
//!  | HYLL | encoding | unused | cached count (64 LE) | registers |
//!  +------+----------+--------+---------------------+-----------+
//! ```
//!
//! The encoding is 0 (`dense`) or 1 (`sparse`). The highest bit of the cached count says that it is out of date. Never
//! trusts the bytes: any client can write them. What was found wrong is `Corrupted`.
//!
//! Algorithm: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog" (2007); 64-bit hashes and the sparse form after Heule,
//! Nunkesser, Hall, "HyperLogLog in Practice" (2013).

pub mod dense;
mod estimate;
mod hash;
pub mod self_test;
pub mod sparse;

pub use estimate::Histogram;

/// Bits of an element's hash that choose its register.
const INDEX_BITS: u32 = 14;
/// Number of registers.
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of an element's hash that decide its rank.
const RANK_BITS: u32 = 64 - INDEX_BITS;
/// What stands before the registers.
pub const HEADER_BYTES: usize = 16;
/// Seed of the elements' hash, the same everywhere.
const SEED: u64 = 0xadc8_3b19;

const MAGIC: &[u8; 4] = b"HYLL";
const ENCODING_AT: usize = 4;
const COUNT_AT: usize = 8;
const OUT_OF_DATE: u8 = 0x80;

/// The string is no proper HyperLogLog although its header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupted;

/// How the registers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    Dense = 0,
    Sparse = 1,
}

impl Encoding {
    /// The name that PFDEBUG ENCODING gives.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Dense => "dense",
            Encoding::Sparse => "sparse",
        }
    }
}

/// Where an element leaves its trace: the register, and the least value that it has from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub index: usize,
    /// One more than the number of zeros at the low end of the hash's other bits.
    pub rank: u8,
}

impl Place {
    /// The place of an element. O(length).
    pub fn of(element: &[u8]) -> Place {
        let hash = hash::murmur_64a(element, SEED);
        let rest = hash >> INDEX_BITS | 1 << RANK_BITS;
        Place { index: hash as usize & (REGISTERS - 1), rank: rest.trailing_zeros() as u8 + 1 }
    }
}

/// All registers, one byte each: what several HyperLogLogs are merged into.
pub struct Registers([u8; REGISTERS]);

impl Default for Registers {
    fn default() -> Registers {
        Registers([0; REGISTERS])
    }
}

impl Registers {
    /// About how many elements left their trace here.
    pub fn count(&self) -> u64 {
        let mut histogram = Histogram::default();
        self.0.iter().for_each(|value| histogram.add(*value, 1));
        histogram.estimate()
    }

    /// The values in order.
    pub fn values(&self) -> &[u8; REGISTERS] {
        &self.0
    }

    /// Writes the registers over those of a HyperLogLog that has none of a higher value. It stays sparse if it is and
    /// `dense` is not asked for and it does not grow beyond `sparse_max_bytes`. Errors: it is corrupted; it may have
    /// changed in part.
    pub fn write_to(&self, bytes: &mut Vec<u8>, dense: bool, sparse_max_bytes: usize) -> Result<(), Corrupted> {
        let stays_sparse =
            !dense && encoding(bytes) == Some(Encoding::Sparse) && self.write_sparse(bytes, sparse_max_bytes)?;
        if !stays_sparse {
            let mut new = dense::empty(&bytes[..HEADER_BYTES]);
            dense::pack(&self.0, &mut new);
            *bytes = new;
        }
        forget_count(bytes);
        Ok(())
    }

    /// Raises the registers of the sparse form one by one; false if they do not fit in.
    fn write_sparse(&self, bytes: &mut Vec<u8>, size_max: usize) -> Result<bool, Corrupted> {
        let mut cursor = sparse::Cursor::START;
        for (index, &rank) in self.0.iter().enumerate().filter(|(_, rank)| **rank > 0) {
            let outcome = cursor.raise(bytes, Place { index, rank }, size_max)?;
            if outcome == sparse::Outcome::TooLarge {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn encoding(bytes: &[u8]) -> Option<Encoding> {
    match bytes.get(ENCODING_AT) {
        Some(0) => Some(Encoding::Dense),
        Some(1) => Some(Encoding::Sparse),
        _ => None,
    }
}

/// A string whose header is that of a HyperLogLog.
#[derive(Clone, Copy, Debug)]
pub struct Sketch<'a> {
    pub encoding: Encoding,
    bytes: &'a [u8],
}

impl<'a> Sketch<'a> {
    /// Takes a string for a HyperLogLog; nothing if the header, or the length of the dense form, is wrong. O(1).
    pub fn of(bytes: &'a [u8]) -> Option<Sketch<'a>> {
        if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
            return None;
        }
        let encoding = encoding(bytes)?;
        let fits = encoding == Encoding::Sparse || bytes.len() == dense::TOTAL_BYTES;
        fits.then_some(Sketch { encoding, bytes })
    }

    /// The whole string.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn body(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// The count that was stored last, if nothing has changed since. O(1).
    pub fn cached_count(&self) -> Option<u64> {
        let count = &self.bytes[COUNT_AT..HEADER_BYTES];
        let count = u64::from_le_bytes(count.try_into().ok()?);
        (self.bytes[HEADER_BYTES - 1] & OUT_OF_DATE == 0).then_some(count)
    }

    /// About how many different elements were added. O(length).
    pub fn count(&self) -> Result<u64, Corrupted> {
        let mut histogram = Histogram::default();
        match self.encoding {
            Encoding::Dense => dense::values(self.body()).for_each(|four| {
                four.into_iter().for_each(|value| histogram.add(value, 1));
            }),
            Encoding::Sparse => sparse::for_each_run(self.body(), |_, length, value| {
                histogram.add(value, length as u32);
            })?,
        }
        Ok(histogram.estimate())
    }

    /// Raises each of the registers to the value that it has here. O(registers). Errors: it is corrupted; some may be
    /// raised.
    pub fn merge_into(&self, registers: &mut Registers) -> Result<(), Corrupted> {
        match self.encoding {
            Encoding::Dense => {
                let all = registers.0.as_chunks_mut::<4>().0;
                for (four, others) in all.iter_mut().zip(dense::values(self.body())) {
                    for (value, other) in four.iter_mut().zip(others) {
                        *value = (*value).max(other);
                    }
                }
                Ok(())
            }
            Encoding::Sparse => sparse::for_each_run(self.body(), |first, length, other| {
                if other > 0 {
                    let values = &mut registers.0[first..first + length];
                    values.iter_mut().for_each(|value| *value = (*value).max(other));
                }
            }),
        }
    }

    /// Whether adding an element of this place changes anything. O(length) of the sparse form, else O(1).
    pub fn would_change(&self, place: Place) -> Result<bool, Corrupted> {
        let value = match self.encoding {
            Encoding::Dense => dense::get(self.body(), place.index),
            Encoding::Sparse => sparse::get(self.bytes, place.index)?,
        };
        Ok(value < place.rank)
    }

    /// The same in the dense form, the cached count as it is. O(registers).
    pub fn to_dense(&self) -> Result<Vec<u8>, Corrupted> {
        let mut registers = Registers::default();
        self.merge_into(&mut registers)?;
        let mut bytes = dense::empty(&self.bytes[..HEADER_BYTES]);
        dense::pack(&registers.0, &mut bytes);
        Ok(bytes)
    }
}

/// A new HyperLogLog, in the sparse form.
pub fn empty() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + 2);
    bytes.extend_from_slice(MAGIC);
    bytes.push(Encoding::Sparse as u8);
    bytes.resize(HEADER_BYTES, 0);
    sparse::push_run(&mut bytes, REGISTERS, 0);
    bytes
}

/// Adds an element to a string that `Sketch::of` took; tells whether anything changed. The sparse form turns into the
/// dense one where it would grow beyond so many bytes. O(length) of the sparse form, else O(1).
pub fn add(bytes: &mut Vec<u8>, place: Place, sparse_max_bytes: usize) -> Result<bool, Corrupted> {
    if encoding(bytes) == Some(Encoding::Dense) {
        return Ok(dense::raise(bytes, place));
    }
    let mut start = sparse::Cursor::START;
    match start.raise(bytes, place, sparse_max_bytes)? {
        sparse::Outcome::Unchanged => Ok(false),
        sparse::Outcome::Raised => {
            forget_count(bytes);
            Ok(true)
        }
        sparse::Outcome::TooLarge => {
            let sketch = Sketch::of(bytes).ok_or(Corrupted)?;
            *bytes = sketch.to_dense()?;
            Ok(dense::raise(bytes, place))
        }
    }
}

/// Stores the count of a HyperLogLog in it.
pub fn store_count(bytes: &mut [u8], count: u64) {
    bytes[COUNT_AT..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
}

/// Says that the stored count is out of date.
pub fn forget_count(bytes: &mut [u8]) {
    bytes[HEADER_BYTES - 1] |= OUT_OF_DATE;
}

#[cfg(test)]
mod tests;
