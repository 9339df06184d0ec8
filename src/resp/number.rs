//! Numbers as text, both ways, with exactly the forms that Redis takes and prints.

use rustc_apfloat::Float;
use rustc_apfloat::ieee::Double;

pub use crate::text::double::format as format_f64;
use crate::text::long_double;

/// Reads a decimal `i64` that is written in the one canonical way: no sign but `-`, no leading
/// zeros, no spaces, no `-0`.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let magnitude = match digits {
        [b'0'] if !negative => 0,
        [b'1'..=b'9', ..] => parse_digits(digits)?,
        _ => return None,
    };
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Reads a decimal `u64` written in the canonical way.
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    match text {
        [b'0'] => Some(0),
        [b'1'..=b'9', ..] => parse_digits(text),
        _ => None,
    }
}

#[inline]
fn parse_digits(digits: &[u8]) -> Option<u64> {
    if digits.len() > 20 {
        return None;
    }
    let mut value = 0u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

/// Reads a double as C's `strtod` does when it must take the whole text: decimal, hexadecimal,
/// `inf` or `infinity`, without leading spaces. A NaN is refused, and so is a number that
/// overflows, or that is not zero and underflows to zero.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let unsigned = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if let [b'0', b'x' | b'X', ..] = unsigned {
        let magnitude = f64::from_bits(long_double::parse_finite::<Double>(unsigned)?.to_bits() as u64);
        return Some(if text[0] == b'-' { -magnitude } else { magnitude });
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    if value.is_nan() {
        return None;
    }
    let finite_text = unsigned.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
    if finite_text && (value.is_infinite() || (value == 0.0 && has_nonzero_digit(unsigned))) {
        return None;
    }
    Some(value)
}

fn has_nonzero_digit(unsigned: &[u8]) -> bool {
    unsigned.iter().take_while(|byte| !matches!(byte, b'e' | b'E')).any(|byte| matches!(byte, b'1'..=b'9'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_way_to_be_written() {
        for (text, value) in
            [("0", 0), ("7", 7), ("-1", -1), ("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)]
        {
            assert_eq!(parse_i64(text.as_bytes()), Some(value), "{text}");
        }
        let refused = [
            "",
            "-",
            "+5",
            "-0",
            "00",
            "01",
            "-01",
            " 1",
            "1 ",
            "1.0",
            "0x1",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "18446744073709551616",
            "111111111111111111111",
            "1\0",
        ];
        for text in refused {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"0"), Some(0));
        assert_eq!(parse_u64(b"-1"), None);
        assert_eq!(parse_u64(b"00"), None);
    }

    /// Each as ZADD takes it in Redis 7.0.15 and 8.2.
    #[test]
    fn doubles_are_read_as_by_redis() {
        let taken = [
            ("inf", f64::INFINITY),
            ("+inf", f64::INFINITY),
            ("-INF", f64::NEG_INFINITY),
            ("InFiNiTy", f64::INFINITY),
            ("0x10", 16.0),
            ("-0x1", -1.0),
            ("0x1p3", 8.0),
            ("0x1.8p1", 3.0),
            ("0X1P-1", 0.5),
            ("0x.8", 0.5),
            ("0x1e5", 485.0),
            ("0x0p-5000", 0.0),
            ("0x1.fffffffffffff8p0", 2.0),
            ("0x1.fffffffffffff7p0", 1.9999999999999998),
            ("0x1.0000000000000800000000000000001p0", 1.0000000000000002),
            ("0x0.0000000000001p-1022", 5e-324),
            ("0x1.8p-1075", 5e-324),
            ("0x1p1023", 8.98846567431158e307),
            ("1e-320", 1e-320),
            ("0e-400", 0.0),
            ("0e99999999999999", 0.0),
            ("1.", 1.0),
            ("+.5", 0.5),
            ("01", 1.0),
        ];
        for (text, value) in taken {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_double_is_refused_as_by_redis() {
        let refused = [
            "nan",
            "-nan",
            "nan(1)",
            "infi",
            "1e400",
            "-1e400",
            "1e-400",
            "2e-324",
            "0x",
            "0x.",
            "0x1p",
            "0x1p+",
            "1p3",
            "0x1p5000",
            "0x1p-5000",
            "0x1p99999999999",
            "0x1p2147483647",
            "0x1p-2147483648",
            "0x1p-99999999999",
            "0x1p1024",
            "0x1.fffffffffffff8p1023",
            "0x1p-1075",
            ".",
            "e5",
            "1e",
            "1e+",
            "--1",
            "+-1",
            " 1",
            "1 ",
            "",
            "+",
            "1\0",
            "1_0",
            "1,5",
            "0b1",
            "1d",
            "0x-1",
            "-",
            "0x1p1p1",
            "1e1e1",
            "\u{661}",
        ];
        for text in refused {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text:?}");
        }
    }
}
