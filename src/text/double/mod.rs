//! Doubles as text, in exactly the forms that Redis prints. Never reads one: `resp::number` does.

pub mod grisu;

use arrayvec::ArrayVec;

/// Longest text of a double, in bytes.
const TEXT_MAX_BYTES: usize = 32;

/// The text of a double, in place.
pub type Text = ArrayVec<u8, TEXT_MAX_BYTES>;

/// The integer that a double is, if it is one that is shown as such: of up to 62 bits. A negative zero is 0 too.
#[inline]
pub fn as_integer(value: f64) -> Option<i64> {
    let integer = value as i64;
    (integer as f64 == value && integer.unsigned_abs() <= 1 << 62).then_some(integer)
}

/// Appends a double as replies show it: see [`text`].
pub fn format(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(&text(value));
}

/// A double as replies show it: integers without point, the shortest digits that give the number back otherwise, with
/// an exponent when it is far from 1.
pub fn text(value: f64) -> Text {
    let mut out = Text::new();
    if value.is_nan() {
        out.extend(*b"nan");
    } else if value.is_infinite() {
        push(&mut out, if value < 0.0 { b"-inf" } else { b"inf" });
    } else if value == 0.0 && value.is_sign_negative() {
        out.extend(*b"-0");
    } else if let Some(integer) = as_integer(value) {
        push(&mut out, itoa::Buffer::new().format(integer).as_bytes());
    } else {
        format_shortest(value, &mut out);
    }
    out
}

/// A double as [`text`] gives it, but for large integers, which have their shortest digits as well: 1e+8.
pub fn shortest_text(value: f64) -> Text {
    if !value.is_finite() || value == 0.0 {
        return text(value);
    }
    let mut out = Text::new();
    format_shortest(value, &mut out);
    out
}

/// A double with 17 significant digits, as C's `%.17g` shows it.
pub fn precise_text(value: f64) -> Text {
    const DIGITS: i32 = 17;
    if !value.is_finite() || value == 0.0 {
        return text(value);
    }
    let scientific = format!("{:.*e}", DIGITS as usize - 1, value.abs());
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: ArrayVec<u8, { DIGITS as usize }> = digits.bytes().filter(u8::is_ascii_digit).collect();
    let significant = digits.iter().rposition(|digit| *digit != b'0').unwrap_or(0) + 1;
    let digits = &digits[..significant];
    let mut out = Text::new();
    if value < 0.0 {
        out.push(b'-');
    }
    if !(-4..DIGITS).contains(&exponent) {
        out.push(digits[0]);
        if significant > 1 {
            out.push(b'.');
            push(&mut out, &digits[1..]);
        }
        push(&mut out, if exponent < 0 { b"e-" } else { b"e+" });
        if exponent.abs() < 10 {
            out.push(b'0');
        }
        push(&mut out, itoa::Buffer::new().format(exponent.abs()).as_bytes());
    } else if exponent < 0 {
        push(&mut out, b"0.");
        push_zeros(&mut out, -exponent - 1);
        push(&mut out, digits);
    } else {
        let whole = exponent as usize + 1;
        push(&mut out, &digits[..whole.min(significant)]);
        push_zeros(&mut out, exponent + 1 - significant as i32);
        if significant > whole {
            out.push(b'.');
            push(&mut out, &digits[whole..]);
        }
    }
    out
}

/// Appends bytes, for which there is room: no form of a double is longer than [`TEXT_MAX_BYTES`].
fn push(out: &mut Text, bytes: &[u8]) {
    out.extend(bytes.iter().copied());
}

fn push_zeros(out: &mut Text, count: i32) {
    out.extend((0..count).map(|_| b'0'));
}

/// The layout depends on the number of digits and their scale as in fpconv
/// (github.com/night-shift/fpconv).
fn format_shortest(value: f64, out: &mut Text) {
    let (digits, scale) = grisu::digits(value.abs());
    let count = digits.len() as i32;
    let exponent = scale + count - 1;
    let distance = exponent.abs();
    if value < 0.0 {
        out.push(b'-');
    }
    if scale >= 0 && distance < count + 7 {
        push(out, &digits);
        push_zeros(out, scale);
    } else if scale < 0 && (scale > -7 || distance < 4) {
        if count + scale <= 0 {
            push(out, b"0.");
            push_zeros(out, -scale - count);
            push(out, &digits);
        } else {
            let (whole, fraction) = digits.split_at((count + scale) as usize);
            push(out, whole);
            out.push(b'.');
            push(out, fraction);
        }
    } else {
        out.push(digits[0]);
        if count > 1 {
            out.push(b'.');
            push(out, &digits[1..]);
        }
        push(out, if exponent < 0 { b"e-" } else { b"e+" });
        push(out, itoa::Buffer::new().format(distance).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(value: f64) -> String {
        String::from_utf8(text(value).to_vec()).unwrap()
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

    #[test]
    fn the_shortest_digits_are_those_of_fpconv() {
        for (value, expected) in [
            (1000.0, "1000"),
            (1e8, "1e+8"),
            (-123_456_789.0, "-123456789"),
            (0.1, "0.1"),
            (-0.0, "-0"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(shortest_text(value).as_slice(), expected.as_bytes(), "{value}");
        }
    }

    /// Recorded from C's `printf("%.17g")`.
    #[test]
    fn seventeen_digits_are_those_of_c() {
        for (value, expected) in [
            (0.1, "0.10000000000000001"),
            (3.0, "3"),
            (-2.5, "-2.5"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (123_456_789_012_345_678.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.2500000000000001e-05"),
            (1e300, "1.0000000000000001e+300"),
            (5e-324, "4.9406564584124654e-324"),
            (100.25, "100.25"),
            (0.0, "0"),
            (-0.0, "-0"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(precise_text(value).as_slice(), expected.as_bytes(), "{value}");
        }
    }

    #[test]
    fn small_integers_are_told_from_other_doubles() {
        assert_eq!(as_integer(-0.0), Some(0));
        assert_eq!(as_integer(-17.0), Some(-17));
        assert_eq!(as_integer(4_611_686_018_427_387_904.0), Some(1 << 62));
        assert_eq!(as_integer(4_611_686_018_427_388_928.0), None);
        assert_eq!(as_integer(0.5), None);
        assert_eq!(as_integer(f64::INFINITY), None);
        assert_eq!(as_integer(f64::NAN), None);
    }
}
