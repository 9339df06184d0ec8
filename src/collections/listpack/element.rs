//! Owns the elements of a listpack: what they are outside of it.

/// An element: a string, or an integer that stands for its decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element<'a> {
    /// The string of the canonical decimal digits of an integer.
    Integer(i64),
    /// Any other string. One that reads like an integer is stored as it is, which wastes space but does no harm;
    /// [`Element::of`] never makes one.
    Text(&'a [u8]),
}

impl<'a> Element<'a> {
    /// The element that stands for a string: an integer where the string is one in its canonical form.
    #[inline]
    #[must_use]
    pub fn of(text: &'a [u8]) -> Element<'a> {
        match parse_integer(text) {
            Some(integer) => Element::Integer(integer),
            None => Element::Text(text),
        }
    }

    /// Calls with the bytes of the string.
    #[inline]
    pub fn with_bytes<R>(&self, call: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Element::Integer(integer) => call(itoa::Buffer::new().format(*integer).as_bytes()),
            Element::Text(text) => call(text),
        }
    }

    /// The number of bytes of the string.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match *self {
            Element::Integer(integer) => {
                let digits = integer.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1;
                digits + usize::from(integer < 0)
            }
            Element::Text(text) => text.len(),
        }
    }

    /// Whether the string is empty.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Element::Text([]))
    }

    /// Whether this is the given string.
    #[inline]
    #[must_use]
    pub fn eq_bytes(&self, bytes: &[u8]) -> bool {
        match *self {
            Element::Integer(integer) => parse_integer(bytes) == Some(integer),
            Element::Text(text) => text == bytes,
        }
    }

    /// Appends the bytes of the string.
    #[inline]
    pub fn append_to(&self, out: &mut Vec<u8>) {
        self.with_bytes(|bytes| out.extend_from_slice(bytes));
    }

    /// The bytes of the string.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.with_bytes(<[u8]>::to_vec)
    }

    /// The integer, where the string is one in its canonical form.
    #[inline]
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match *self {
            Element::Integer(integer) => Some(integer),
            Element::Text(text) => parse_integer(text),
        }
    }
}

impl From<i64> for Element<'_> {
    fn from(integer: i64) -> Self {
        Element::Integer(integer)
    }
}

/// The integer whose canonical decimal digits these are: no sign but `-`, no leading zeros, no `-0`, within 64 bits.
#[inline]
#[must_use]
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        [b'0'] if !negative => return Some(0),
        _ => return None,
    }
    let mut magnitude = 0u64;
    for &digit in digits {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        // Nineteen digits do not exceed 64 bits.
        magnitude = magnitude * 10 + u64::from(value);
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_canonical_digits_are_integers() {
        let others: [&[u8]; 14] = [
            b"",
            b"-",
            b"-0",
            b"00",
            b"01",
            b"+1",
            b" 1",
            b"1 ",
            b"-01",
            b"1.0",
            b"9223372036854775808",
            b"-9223372036854775809",
            b"10000000000000000000",
            b"18446744073709551617",
        ];
        for text in others {
            assert_eq!(parse_integer(text), None, "{text:?}");
            assert_eq!(Element::of(text), Element::Text(text));
            assert_eq!(Element::of(text).integer(), None);
        }
        for integer in [0, 1, -1, 9, 10, i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(parse_integer(integer.to_string().as_bytes()), Some(integer));
        }
    }

    proptest! {
        #[test]
        fn an_integer_is_its_digits(integer: i64, shift in 0..64u32) {
            let integer = integer >> shift;
            let digits = integer.to_string();
            let element = Element::of(digits.as_bytes());
            prop_assert_eq!(element, Element::from(integer));
            prop_assert_eq!(element.len(), digits.len());
            prop_assert!(element.eq_bytes(digits.as_bytes()));
            prop_assert!(!element.eq_bytes(b"1x"));
            prop_assert!(!element.is_empty());
            prop_assert_eq!(element.to_vec(), digits.as_bytes());
            prop_assert_eq!(Element::Text(digits.as_bytes()).integer(), Some(integer));
        }

        #[test]
        fn any_text_reads_as_the_standard_library_reads_it(text in "[-+0]?[0-9]{0,20}") {
            let expected = text.parse::<i64>().ok().filter(|integer| integer.to_string() == text);
            prop_assert_eq!(parse_integer(text.as_bytes()), expected);
        }
    }

    #[test]
    fn a_text_is_itself() {
        let element = Element::of(b"a text");
        assert_eq!(element.len(), 6);
        assert!(element.eq_bytes(b"a text") && !element.eq_bytes(b"a"));
        assert!(Element::of(b"").is_empty());
        let mut out = b"x".to_vec();
        element.append_to(&mut out);
        Element::Integer(-3).append_to(&mut out);
        assert_eq!(out, b"xa text-3");
    }
}
