//! Amounts of memory as configuration files and commands write them: a number with an optional unit.

const UNITS: [(&[u8], u64); 8] = [
    (b"", 1),
    (b"b", 1),
    (b"k", 1000),
    (b"kb", 1 << 10),
    (b"m", 1_000_000),
    (b"mb", 1 << 20),
    (b"g", 1_000_000_000),
    (b"gb", 1 << 30),
];

/// Parses `100`, `1k` (1000), `1kb` (1024), `1m`, `1mb`, `1g` or `1gb`, whatever the case, into bytes. `None` if it is
/// no such amount or does not fit 64 bits; no digits are 0, as in Redis. O(length).
pub fn parse(text: &[u8]) -> Option<u64> {
    let digit_count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = text.split_at(digit_count);
    let factor = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1;
    if digits.is_empty() {
        return Some(0);
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    number.checked_mul(factor)
}

/// Writes bytes with the largest unit that divides them: 1048576 is `1mb`, 1000 is `1000`. The inverse of [`parse`].
/// O(1).
pub fn format(bytes: u64) -> String {
    for (unit, factor) in [("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10)] {
        if bytes != 0 && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_all_units() {
        for (text, bytes) in [
            ("", 0),
            ("kb", 0),
            ("0", 0),
            ("1", 1),
            ("1b", 1),
            ("1k", 1000),
            ("1KB", 1024),
            ("1M", 1_000_000),
            ("1mB", 1 << 20),
            ("2g", 2_000_000_000),
            ("2Gb", 2 << 30),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(bytes), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for text in ["-1", "+1", "1.5g", "1 k", "1tb", "1kk", "18446744073709551616", "99999999999gb", "0x10"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn formats_with_the_largest_unit_that_divides() {
        for (bytes, text) in
            [(0, "0"), (1000, "1000"), (1024, "1kb"), (3 << 20, "3mb"), (5 << 30, "5gb"), (1025, "1025")]
        {
            assert_eq!(format(bytes), text);
            assert_eq!(parse(text.as_bytes()), Some(bytes));
        }
    }
}
