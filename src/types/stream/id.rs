//! The ID of a stream's entry: a time and a number within it. Never the clock: times are given.

use arrayvec::ArrayVec;

/// The longest text of an ID: two numbers of 20 digits and the dash.
pub const TEXT_BYTES_MAX: usize = 41;

/// Longer texts are no IDs, whatever they say.
const PARSED_BYTES_MAX: usize = 127;

/// The ID of an entry. They grow along the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Milliseconds since the epoch, as far as the writers of a stream keep to it.
    pub ms: u64,
    /// Number among those of the same millisecond.
    pub seq: u64,
}

/// What a text says of an ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// All of it.
    Full(Id),
    /// The time alone, in the form `ms-*`: the number is to be found.
    Time(u64),
}

impl Id {
    /// The least one. No entry has it.
    pub const MIN: Id = Id { ms: 0, seq: 0 };
    /// The greatest one.
    pub const MAX: Id = Id { ms: u64::MAX, seq: u64::MAX };

    /// An ID of these parts.
    #[inline]
    pub const fn new(ms: u64, seq: u64) -> Id {
        Id { ms, seq }
    }

    /// The least ID above this one; none above the greatest.
    #[inline]
    pub fn next(self) -> Option<Id> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Id { ms: self.ms, seq }),
            None => Some(Id::new(self.ms.checked_add(1)?, 0)),
        }
    }

    /// The greatest ID below this one; none below the least.
    pub fn previous(self) -> Option<Id> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Id { ms: self.ms, seq }),
            None => Some(Id::new(self.ms.checked_sub(1)?, u64::MAX)),
        }
    }

    /// The ID for an entry that is added at this time behind the entry with this ID: time never goes back. None behind
    /// the greatest.
    #[inline]
    pub fn following(self, now_ms: u64) -> Option<Id> {
        if now_ms > self.ms { Some(Id::new(now_ms, 0)) } else { self.next() }
    }

    /// The ID at such a distance from `first`, as blocks store it: the parts apart, in wrapping numbers.
    #[inline]
    pub(super) fn at_distance(first: Id, ms: i64, seq: i64) -> Id {
        Id { ms: first.ms.wrapping_add(ms as u64), seq: first.seq.wrapping_add(seq as u64) }
    }

    /// The distance from `first`: the opposite of `at_distance`.
    #[inline]
    pub(super) fn distance_from(self, first: Id) -> (i64, i64) {
        (self.ms.wrapping_sub(first.ms) as i64, self.seq.wrapping_sub(first.seq) as i64)
    }

    /// Reads `ms-seq`, or `ms` alone, to which `missing_seq` is added then.
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<Id> {
        let (ms, seq) = split(text)?;
        let ms = parse_part(ms)?;
        let seq = match seq {
            Some(seq) => parse_part(seq)?,
            None => missing_seq,
        };
        Some(Id { ms, seq })
    }

    /// Reads the ID given for a new entry: a missing number is 0, and `*` may stand in its place.
    pub fn parse_given(text: &[u8]) -> Option<Given> {
        match split(text)? {
            (ms, Some(b"*")) => Some(Given::Time(parse_part(ms)?)),
            _ => Id::parse(text, 0).map(Given::Full),
        }
    }

    /// The text `ms-seq`.
    #[inline]
    pub fn text(self) -> ArrayVec<u8, TEXT_BYTES_MAX> {
        let mut text = ArrayVec::new();
        let mut digits = itoa::Buffer::new();
        // INVARIANT: a number of 64 bits has at most 20 digits.
        let mut add = |part: &[u8]| text.try_extend_from_slice(part).expect("room for an ID");
        add(digits.format(self.ms).as_bytes());
        add(b"-");
        add(digits.format(self.seq).as_bytes());
        text
    }
}

/// The parts before and behind the first dash. As in Redis a NUL ends the text.
fn split(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    if text.len() > PARSED_BYTES_MAX {
        return None;
    }
    let text = text.split(|byte| *byte == 0).next()?;
    let mut parts = text.splitn(2, |byte| *byte == b'-');
    Some((parts.next()?, parts.next()))
}

/// Reads a number as Redis does, in whose way C's `strtoull` has a hand: it skips spaces, takes signs and leading
/// zeros, and wraps what is negative, unless that is written canonically.
#[inline]
fn parse_part(text: &[u8]) -> Option<u64> {
    match text {
        [b'1'..=b'9', rest @ ..] if rest.len() < 19 => parse_digits(text),
        [b'0'] => Some(0),
        _ => parse_unusual(text),
    }
}

fn parse_digits(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cold]
fn parse_unusual(text: &[u8]) -> Option<u64> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = text.iter().position(|byte| !is_space(byte))?;
    match &text[start..] {
        [b'+', digits @ ..] => parse_digits(digits),
        [b'-', digits @ ..] => {
            let value = parse_digits(digits)?;
            let is_canonical = start == 0 && digits[0] != b'0' && value <= i64::MIN.unsigned_abs();
            (!is_canonical).then(|| value.wrapping_neg())
        }
        digits => parse_digits(digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written() {
        for (text, id) in
            [("0-0", Id::MIN), ("5-7", Id::new(5, 7)), ("18446744073709551615-18446744073709551615", Id::MAX)]
        {
            assert_eq!(Id::parse(text.as_bytes(), 9), Some(id));
            assert_eq!(id.text().as_slice(), text.as_bytes());
        }
        assert_eq!(Id::parse(b"5", 9), Some(Id::new(5, 9)));
        assert_eq!(Id::parse(b"05-+7", 0), Some(Id::new(5, 7)));
        assert_eq!(Id::parse(b" 5- 7", 0), Some(Id::new(5, 7)));
        assert_eq!(Id::parse(b"5--07", 0), Some(Id::new(5, u64::MAX - 6)));
        assert_eq!(Id::parse(b"5-7\0-x", 0), Some(Id::new(5, 7)));
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "",
            "-",
            "+",
            "5-",
            "-5",
            "5--7",
            "5-7-9",
            "a",
            "5-a",
            "5 -7",
            "5-7 ",
            "18446744073709551616",
            "5-18446744073709551616",
            "*",
            "5-*",
            "0x5",
        ] {
            assert_eq!(Id::parse(text.as_bytes(), 0), None, "{text}");
        }
        assert_eq!(Id::parse(&[b'0'; 128], 0), None);
        assert_eq!(Id::parse(&[b'0'; 127], 0), Some(Id::MIN));
    }

    #[test]
    fn a_number_may_be_left_to_be_found() {
        assert_eq!(Id::parse_given(b"5-*"), Some(Given::Time(5)));
        assert_eq!(Id::parse_given(b"5"), Some(Given::Full(Id::new(5, 0))));
        assert_eq!(Id::parse_given(b"*-5"), None);
        assert_eq!(Id::parse_given(b"5-*x"), None);
    }

    #[test]
    fn neighbours() {
        assert_eq!(Id::new(1, u64::MAX).next(), Some(Id::new(2, 0)));
        assert_eq!(Id::new(2, 0).previous(), Some(Id::new(1, u64::MAX)));
        assert_eq!((Id::MAX.next(), Id::MIN.previous()), (None, None));
        assert_eq!(Id::new(5, 3).following(5), Some(Id::new(5, 4)));
        assert_eq!(Id::new(5, 3).following(4), Some(Id::new(5, 4)));
        assert_eq!(Id::new(5, 3).following(6), Some(Id::new(6, 0)));
        assert_eq!(Id::MAX.following(6), None);
    }
}
