//! Numbers as text, both ways, with exactly the forms that Redis takes and prints.

/// Longest text of a double that [`format_f64`] makes, in bytes.
pub const F64_TEXT_MAX_BYTES: usize = 32;

/// Reads a decimal `i64` that is written in the one canonical way: no sign but `-`, no leading zeros, no spaces, no `-0`.
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

/// Reads a double as C's `strtod` does when it must take the whole text: decimal, hexadecimal, `inf`, `infinity` or `nan`, without
/// leading spaces. A decimal that overflows, or that is not zero and underflows to zero, is refused.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let unsigned = text
        .strip_prefix(b"-")
        .or_else(|| text.strip_prefix(b"+"))
        .unwrap_or(text);
    if let [b'0', b'x' | b'X', digits @ ..] = unsigned {
        let magnitude = parse_hexadecimal(digits)?;
        return Some(if text[0] == b'-' {
            -magnitude
        } else {
            magnitude
        });
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
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

/// Reads what follows `0x`: hexadecimal digits with at most one point and an optional binary exponent.
fn parse_hexadecimal(text: &[u8]) -> Option<f64> {
    let (digits, exponent) = match text.iter().position(|byte| matches!(byte, b'p' | b'P')) {
        Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let mut mantissa = 0u64;
    let mut scale = exponent;
    let mut digit_count = 0;
    let mut after_point = false;
    for &byte in digits {
        if byte == b'.' && !after_point {
            after_point = true;
            continue;
        }
        let digit = u64::from(char::from(byte).to_digit(16)?);
        digit_count += 1;
        if mantissa >> 58 == 0 {
            mantissa = mantissa << 4 | digit;
            scale -= if after_point { 4 } else { 0 };
        } else {
            // The digits that no longer fit count only as "more than nothing" when rounding.
            mantissa |= u64::from(digit != 0);
            scale += if after_point { 0 } else { 4 };
        }
    }
    let value = (digit_count > 0).then(|| scale_exactly(mantissa, scale))?;
    (value.is_finite() && (value != 0.0 || mantissa == 0)).then_some(value)
}

/// The exponent, held within what cannot change the result.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits.iter().fold(0i64, |sum, byte| {
        (sum * 10 + i64::from(byte - b'0')).min(1 << 40)
    });
    Some(if negative { -magnitude } else { magnitude })
}

/// `mantissa * 2^scale`, rounded once, to even.
fn scale_exactly(mantissa: u64, scale: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let top = 63 - i64::from(mantissa.leading_zeros()) + scale;
    if top > 1023 {
        return f64::INFINITY;
    }
    // How many low bits a double of this size (subnormals have fewer) cannot hold.
    let lowest = (top - 52).max(-1074);
    let shift = lowest - scale;
    let (kept, unit) = match shift {
        ..=0 => (mantissa, scale),
        1..=64 => (shift_right_to_even(mantissa, shift as u32), lowest),
        _ => (0, lowest),
    };
    // Two exact steps, as 2^unit alone may be out of a normal double's range.
    let half = unit / 2;
    kept as f64 * 2f64.powi(half as i32) * 2f64.powi((unit - half) as i32)
}

fn shift_right_to_even(mantissa: u64, shift: u32) -> u64 {
    let wide = u128::from(mantissa);
    let kept = wide >> shift;
    let rest = wide & ((1 << shift) - 1);
    let half = 1u128 << (shift - 1);
    let up = rest > half || (rest == half && kept & 1 == 1);
    (kept + u128::from(up)) as u64
}

/// Appends a double as replies show it: integers without point, the shortest digits that give the number back otherwise, with an
/// exponent when it is far from 1.
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
    if integer as f64 == value && integer.unsigned_abs() < 1 << 62 {
        return out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    }
    format_shortest(value, out);
}

fn format_shortest(value: f64, out: &mut Vec<u8>) {
    // "d.ddde-x": the shortest digits that read back as the same double.
    let text = format!("{:e}", value.abs());
    let (significand, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: Vec<u8> = significand.bytes().filter(u8::is_ascii_digit).collect();
    let count = digits.len() as i32;
    // The number is the digits times 10^scale.
    let scale = exponent - (count - 1);
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
