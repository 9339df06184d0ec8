//! Numbers as text, both ways, with exactly the forms that Redis takes and prints.

use rustc_apfloat::Float;
use rustc_apfloat::ieee::Double;

use super::grisu;
use crate::types::long_double;

/// Longest text of a double that [`format_f64`] makes, in bytes.
pub const F64_TEXT_MAX_BYTES: usize = 32;

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
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
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
    let unsigned = text
        .strip_prefix(b"-")
        .or_else(|| text.strip_prefix(b"+"))
        .unwrap_or(text);
    if let [b'0', b'x' | b'X', ..] = unsigned {
        let magnitude =
            f64::from_bits(long_double::parse_finite::<Double>(unsigned)?.to_bits() as u64);
        return Some(if text[0] == b'-' {
            -magnitude
        } else {
            magnitude
        });
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    if value.is_nan() {
        return None;
    }
    let finite_text = unsigned
        .first()
        .is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
    if finite_text && (value.is_infinite() || (value == 0.0 && has_nonzero_digit(unsigned))) {
        return None;
    }
    Some(value)
}

fn has_nonzero_digit(unsigned: &[u8]) -> bool {
    unsigned
        .iter()
        .take_while(|byte| !matches!(byte, b'e' | b'E'))
        .any(|byte| matches!(byte, b'1'..=b'9'))
}

/// Appends a double as replies show it: integers without point, the shortest digits that give the
/// number back otherwise, with an exponent when it is far from 1.
pub fn format_f64(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        return out.extend_from_slice(b"nan");
    }
    if value.is_infinite() {
        return out.extend_from_slice(if value < 0.0 { b"-inf" } else { b"inf" });
    }
    if value == 0.0 {
        return out.extend_from_slice(if value.is_sign_negative() {
            b"-0"
        } else {
            b"0"
        });
    }
    let integer = value as i64;
    if integer as f64 == value && integer.unsigned_abs() <= 1 << 62 {
        return out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    }
    format_shortest(value, out);
}

/// The layout depends on the number of digits and their scale as in fpconv
/// (github.com/night-shift/fpconv).
fn format_shortest(value: f64, out: &mut Vec<u8>) {
    let (digits, scale) = grisu::digits(value.abs());
    let count = digits.len() as i32;
    let exponent = scale + count - 1;
    let distance = exponent.abs();
    if value < 0.0 {
        out.push(b'-');
    }
    if scale >= 0 && distance < count + 7 {
        out.extend_from_slice(&digits);
        out.resize(out.len() + scale as usize, b'0');
    } else if scale < 0 && (scale > -7 || distance < 4) {
        if count + scale <= 0 {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + (-scale - count) as usize, b'0');
            out.extend_from_slice(&digits);
        } else {
            let (whole, fraction) = digits.split_at((count + scale) as usize);
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
    } else {
        out.push(digits[0]);
        if count > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        out.extend_from_slice(itoa::Buffer::new().format(distance).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(value: f64) -> String {
        let mut out = Vec::new();
        format_f64(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_have_one_way_to_be_written() {
        for (text, value) in [
            ("0", 0),
            ("7", 7),
            ("-1", -1),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
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

    /// Recorded from ZSCORE of Redis 8.2, the last ones among those where Grisu2 is a digit off the
    /// shortest form.
    #[test]
    fn doubles_are_shown_as_by_redis() {
        let recorded = [
            (5.0778423487457735e-99, "5.0778423487457735e-99"),
            (-4.786303589315262e+275, "-4.786303589315262e+275"),
            (-3.2664736216049716e+262, "-3.2664736216049716e+262"),
            (1.3745961002784603e+297, "1.3745961002784603e+297"),
            (-1.428241965203865e-234, "-1.428241965203865e-234"),
            (-4.473509722276338e-298, "-4.473509722276338e-298"),
            (-2.2739306679504637e+98, "-2.2739306679504638e+98"),
            (2.6339376434626158e+213, "2.6339376434626158e+213"),
            (-2.0458425518743798e+188, "-2.0458425518743798e+188"),
            (-4.766966763052288e-253, "-4.766966763052288e-253"),
            (-1.5254348189824126e-172, "-1.5254348189824126e-172"),
            (-9.578293152174644e+191, "-9.578293152174644e+191"),
            (2.5061375743905314e-263, "2.5061375743905314e-263"),
            (-7.050634274276711e+216, "-7.050634274276711e+216"),
            (0.1, "0.1"),
            (-0.5, "-0.5"),
            (1000000000000000.5, "1000000000000000.5"),
            (1234567.891, "1234567.891"),
            (1e+21, "1e+21"),
            (1e+22, "1e+22"),
            (1.5e-05, "0.000015"),
            (1.25e-07, "1.25e-7"),
            (0.0001, "0.0001"),
            (1.2345678901234568e+20, "123456789012345680000"),
            (4.611686018427388e+18, "4611686018427387904"),
            (4.611686018427388e+18, "4611686018427387904"),
            (4.611686018427387e+18, "4611686018427386880"),
            (-4.611686018427388e+18, "-4611686018427387904"),
            (9007199254740992.0, "9007199254740992"),
            (1e+17, "100000000000000000"),
            (5e-324, "5e-324"),
            (1.7976931348623157e+308, "1.7976931348623157e+308"),
            (495955.734203, "4.9595573420300003e+5"),
            (0.049966, "0.049966000000000003"),
            (2.26797932753915e+17, "226797932753915008"),
            (0.38776216083251, "0.38776216083251003"),
            (1756680927.9414062, "1.7566809279414063e+9"),
            (1e-10, "1e-10"),
            (1.5e+300, "1.5e+300"),
            (4.611686018427389e+18, "4611686018427389000"),
            (9.223372036854776e+18, "9223372036854776000"),
            (1e+19, "1e+19"),
            (1.2345678901234567e+19, "12345678901234567000"),
            (1e+18, "1000000000000000000"),
            (0.3333333333333333, "0.3333333333333333"),
            (100.5, "100.5"),
            (1e+100, "1e+100"),
        ];
        for (value, text) in recorded {
            assert_eq!(formatted(value), text);
            assert_eq!(text.parse::<f64>(), Ok(value));
        }
        assert_eq!(formatted(-0.0), "-0");
        assert_eq!(formatted(f64::NAN), "nan");
        assert_eq!(formatted(f64::NEG_INFINITY), "-inf");
    }
}
