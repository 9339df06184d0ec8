//! How distances and coordinates are shown.

/// Decimals of coordinates, before trailing zeros are cut.
const DECIMALS: usize = 17;
/// 10 to the power of [`DECIMALS`]. 180 times that is just below 2⁶⁴.
const DECIMAL_UNIT: u64 = 10u64.pow(DECIMALS as u32);

/// Appends a distance with four decimals. It is scaled and then rounded, as Redis does since 7.2, not printed exactly.
pub fn format_distance(distance: f64, out: &mut Vec<u8>) {
    const UNIT: u64 = 10_000;
    let scaled = (distance * UNIT as f64).round_ties_even();
    // Out of range counts as the lowest integer: so does x86.
    let scaled = if scaled.abs() < i64::MAX as f64 { scaled as i64 } else { i64::MIN };
    if scaled < 0 {
        out.push(b'-');
    }
    let magnitude = scaled.unsigned_abs();
    push_fixed(magnitude / UNIT, magnitude % UNIT, UNIT, out);
}

/// Appends a longitude or latitude rounded to 17 decimals, without trailing zeros: the exact value of nearly every one.
pub fn format_degrees(degrees: f64, out: &mut Vec<u8>) {
    const FRACTION_BITS: u32 = 52;
    debug_assert!(degrees.abs() <= 180.0, "{degrees} is no place");
    let bits = degrees.to_bits();
    let exponent_field = (bits >> FRACTION_BITS) as u32 & 0x7ff;
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    let significand = fraction | u64::from(exponent_field > 0) << FRACTION_BITS;
    // The value is the significand divided by two to this power, which is at least 45.
    let shift = 1075 - exponent_field.max(1);
    let scaled = divide_to_even(u128::from(significand) * u128::from(DECIMAL_UNIT), shift);
    if degrees < 0.0 && scaled > 0 {
        out.push(b'-');
    }
    push_fixed(scaled / DECIMAL_UNIT, scaled % DECIMAL_UNIT, DECIMAL_UNIT, out);
    while let Some(b'0') = out.last() {
        out.pop();
    }
    if let Some(b'.') = out.last() {
        out.pop();
    }
}

/// `value` divided by two to the power of `shift`, rounded to nearest, ties to even. The result fits.
fn divide_to_even(value: u128, shift: u32) -> u64 {
    // A value below 2^127 shifted by 128 or more is below one half.
    if shift >= 128 {
        return 0;
    }
    let quotient = (value >> shift) as u64;
    let rest = value & ((1 << shift) - 1);
    let half = 1u128 << (shift - 1);
    quotient + u64::from(rest > half || (rest == half && quotient & 1 == 1))
}

/// Appends a number with as many decimals as `unit`, a power of ten, has zeros.
fn push_fixed(whole: u64, decimals: u64, unit: u64, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(digits.format(whole).as_bytes());
    // One digit more than the decimals, the first of which becomes the point.
    let point = out.len();
    out.extend_from_slice(digits.format(unit + decimals).as_bytes());
    out[point] = b'.';
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(value: f64) -> String {
        let mut text = b"=".to_vec();
        format_distance(value, &mut text);
        String::from_utf8_lossy(&text[1..]).into_owned()
    }

    fn degrees(value: f64) -> String {
        let mut text = b"00".to_vec();
        format_degrees(value, &mut text);
        String::from_utf8_lossy(&text[2..]).into_owned()
    }

    #[test]
    fn distances_have_four_decimals() {
        for (value, shown) in [
            (0.0, "0.0000"),
            (0.00005, "0.0000"),
            (0.00025, "0.0002"),
            (0.00035, "0.0004"),
            (0.0123, "0.0123"),
            (9.99999, "10.0000"),
            (123456.7, "123456.7000"),
            (f64::NAN, "-922337203685477.5808"),
        ] {
            assert_eq!(distance(value), shown);
        }
    }

    #[test]
    fn coordinates_have_up_to_seventeen_decimals() {
        for (value, shown) in [
            (0.0, "0"),
            (-0.0, "0"),
            (180.0, "180"),
            (-180.0, "-180"),
            (100.0, "100"),
            (0.5, "0.5"),
            (-20.25, "-20.25"),
            (1e-17, "0.00000000000000001"),
            (5e-18, "0.00000000000000001"),
            (4.9e-18, "0"),
            (-4.9e-18, "0"),
            (5e-324, "0"),
            (85.05112878, "85.0511287799999991"),
        ] {
            assert_eq!(degrees(value), shown);
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let value = (random.f64() - 0.5) * 360.0 * 2f64.powi(-random.i32(0..60));
            let exact = format!("{value:.17}");
            let exact = exact.trim_end_matches('0').trim_end_matches('.');
            let exact = if exact == "-0" { "0" } else { exact };
            assert_eq!(degrees(value), exact);
        }
    }
}
