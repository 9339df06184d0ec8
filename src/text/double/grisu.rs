//! The digits of a double by the Grisu2 algorithm, as the fpconv library finds them, which Redis
//! prints doubles with.
//!
//! Source: Florian Loitsch, "Printing floating-point numbers quickly and accurately with integers"
//! (PLDI 2010), and github.com/night-shift/fpconv for the choices that the paper leaves open. The
//! digits always read back as the same double; about one time in two thousand they are not the
//! shortest or the closest such digits, and clients see exactly those from Redis. That is why no
//! crate's (correct) digits are used.
//!
//! ```text
//! scale the double and the two bounds half way to its neighbours by a cached power of ten, so that
//!     the integer part of the upper bound fits 32 bits
//! take digits from the upper bound: integer part first, then fraction
//!     until what is left is less than the distance between the bounds
//! lower the last digit while that comes closer to the double itself
//! ```

use arrayvec::ArrayVec;

/// At most 17 digits are needed to tell doubles apart; the algorithm may give one more.
pub(crate) type Digits = ArrayVec<u8, 20>;

/// A number `fraction * 2^exponent`.
#[derive(Clone, Copy)]
struct Scaled {
    fraction: u64,
    exponent: i32,
}

/// The cached powers of ten: the first decimal exponent and the distance between them.
const POWER_FIRST: i32 = -348;
const POWER_STEP: i32 = 8;
/// The range wanted for the binary exponent of the scaled upper bound.
const EXPONENT_MIN: i32 = -60;
const EXPONENT_MAX: i32 = -32;

/// The digits of a positive finite double (without zeros in front) and the power of ten that they
/// are to be multiplied by.
pub(crate) fn digits(value: f64) -> (Digits, i32) {
    let exact = decompose(value);
    let (lower, upper) = boundaries(exact);
    let (power, power_exponent) = cached_power(upper.exponent);
    let exact = multiply(normalize(exact), power);
    let mut upper = multiply(upper, power);
    let mut lower = multiply(lower, power);
    // The products are off by less than one unit: stay safely inside.
    lower.fraction += 1;
    upper.fraction -= 1;
    let (digits, scale) = generate(exact, lower, upper);
    (digits, scale - power_exponent)
}

fn decompose(value: f64) -> Scaled {
    let bits = value.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    match (bits >> 52) as i32 & 0x7ff {
        0 => Scaled { fraction, exponent: -1074 },
        field => Scaled { fraction: fraction | 1 << 52, exponent: field - 1075 },
    }
}

fn normalize(number: Scaled) -> Scaled {
    let shift = number.fraction.leading_zeros();
    Scaled { fraction: number.fraction << shift, exponent: number.exponent - shift as i32 }
}

/// The bounds half way to the neighbours, with the same exponent. A power of two is nearer to its
/// lower neighbour.
fn boundaries(exact: Scaled) -> (Scaled, Scaled) {
    let upper = normalize(Scaled { fraction: (exact.fraction << 1) + 1, exponent: exact.exponent - 1 });
    let shift = if exact.fraction == 1 << 52 { 2 } else { 1 };
    let fraction = (exact.fraction << shift) - 1;
    let lower_exponent = exact.exponent - shift;
    let lower = Scaled { fraction: fraction << (lower_exponent - upper.exponent), exponent: upper.exponent };
    (lower, upper)
}

/// The cached power of ten that brings a number of the given exponent into the wanted range, and
/// its decimal exponent.
fn cached_power(exponent: i32) -> (Scaled, i32) {
    // Where fpconv starts to look; it matters where two powers would do.
    let estimate = (-f64::from(exponent + POWERS.len() as i32) * std::f64::consts::LOG10_2) as i32;
    let mut index = (estimate - POWER_FIRST) / POWER_STEP;
    loop {
        let decimal_exponent = POWER_FIRST + index * POWER_STEP;
        let power_exponent = floor_log2_of_power(decimal_exponent) - 63;
        match exponent + power_exponent + 64 {
            ..EXPONENT_MIN => index += 1,
            EXPONENT_MIN..=EXPONENT_MAX => {
                return (Scaled { fraction: POWERS[index as usize], exponent: power_exponent }, decimal_exponent);
            }
            _ => index -= 1,
        }
    }
}

/// The whole part of the binary logarithm of ten to the power of `exponent`; exact within the
/// table's range.
fn floor_log2_of_power(exponent: i32) -> i32 {
    (exponent * 217_706) >> 16
}

/// The upper half of the product, rounded.
fn multiply(left: Scaled, right: Scaled) -> Scaled {
    let mask = u64::from(u32::MAX);
    let (left_high, left_low) = (left.fraction >> 32, left.fraction & mask);
    let (right_high, right_low) = (right.fraction >> 32, right.fraction & mask);
    let (high_low, low_high) = (left_high * right_low, left_low * right_high);
    // The low half of the lowest product is dropped, as in the source: the digits depend on it.
    let middle = ((left_low * right_low) >> 32) + (high_low & mask) + (low_high & mask) + (1 << 31);
    Scaled {
        fraction: left_high * right_high + (high_low >> 32) + (low_high >> 32) + (middle >> 32),
        exponent: left.exponent + right.exponent + 64,
    }
}

/// The digits between the bounds, and the power of ten of the last one.
fn generate(exact: Scaled, lower: Scaled, upper: Scaled) -> (Digits, i32) {
    let mut digits = Digits::new();
    let distance = upper.fraction - exact.fraction;
    let mut delta = upper.fraction - lower.fraction;
    let shift = upper.exponent.unsigned_abs();
    let one = 1u64 << shift;
    let mut integer = upper.fraction >> shift;
    let mut fraction = upper.fraction & (one - 1);
    for scale in (0..10).rev() {
        let unit = 10u64.pow(scale);
        let digit = integer / unit;
        if digit > 0 || !digits.is_empty() {
            digits.push(b'0' + digit as u8);
        }
        integer -= digit * unit;
        let rest = (integer << shift) + fraction;
        if rest <= delta {
            settle_last_digit(&mut digits, delta, rest, unit << shift, distance);
            return (digits, scale as i32);
        }
    }
    let mut unit = 1u64;
    for scale in 1.. {
        fraction *= 10;
        delta *= 10;
        unit *= 10;
        let digit = fraction >> shift;
        if digit > 0 || !digits.is_empty() {
            digits.push(b'0' + digit as u8);
        }
        fraction &= one - 1;
        if fraction < delta {
            settle_last_digit(&mut digits, delta, fraction, one, distance.wrapping_mul(unit));
            return (digits, -scale);
        }
    }
    (digits, 0)
}

/// Lowers the last digit while the number stays within the bounds and comes closer to the exact
/// one, which lies `distance` below the upper bound; `rest` is how far below it the digits are, and
/// `unit` what the last digit counts.
fn settle_last_digit(digits: &mut Digits, delta: u64, mut rest: u64, unit: u64, distance: u64) {
    let Some(last) = digits.last_mut() else {
        return;
    };
    while rest < distance
        && delta - rest >= unit
        && (rest + unit < distance || distance - rest > rest + unit - distance)
    {
        *last -= 1;
        rest += unit;
    }
}

/// Ten to the powers of -348, -340, … 340, as 64 bits with the highest one set, rounded to nearest.
#[rustfmt::skip]
const POWERS: [u64; 87] = [
    0xfa8fd5a0081c0288, 0xbaaee17fa23ebf76, 0x8b16fb203055ac76, 0xcf42894a5dce35ea,
    0x9a6bb0aa55653b2d, 0xe61acf033d1a45df, 0xab70fe17c79ac6ca, 0xff77b1fcbebcdc4f,
    0xbe5691ef416bd60c, 0x8dd01fad907ffc3c, 0xd3515c2831559a83, 0x9d71ac8fada6c9b5,
    0xea9c227723ee8bcb, 0xaecc49914078536d, 0x823c12795db6ce57, 0xc21094364dfb5637,
    0x9096ea6f3848984f, 0xd77485cb25823ac7, 0xa086cfcd97bf97f4, 0xef340a98172aace5,
    0xb23867fb2a35b28e, 0x84c8d4dfd2c63f3b, 0xc5dd44271ad3cdba, 0x936b9fcebb25c996,
    0xdbac6c247d62a584, 0xa3ab66580d5fdaf6, 0xf3e2f893dec3f126, 0xb5b5ada8aaff80b8,
    0x87625f056c7c4a8b, 0xc9bcff6034c13053, 0x964e858c91ba2655, 0xdff9772470297ebd,
    0xa6dfbd9fb8e5b88f, 0xf8a95fcf88747d94, 0xb94470938fa89bcf, 0x8a08f0f8bf0f156b,
    0xcdb02555653131b6, 0x993fe2c6d07b7fac, 0xe45c10c42a2b3b06, 0xaa242499697392d3,
    0xfd87b5f28300ca0e, 0xbce5086492111aeb, 0x8cbccc096f5088cc, 0xd1b71758e219652c,
    0x9c40000000000000, 0xe8d4a51000000000, 0xad78ebc5ac620000, 0x813f3978f8940984,
    0xc097ce7bc90715b3, 0x8f7e32ce7bea5c70, 0xd5d238a4abe98068, 0x9f4f2726179a2245,
    0xed63a231d4c4fb27, 0xb0de65388cc8ada8, 0x83c7088e1aab65db, 0xc45d1df942711d9a,
    0x924d692ca61be758, 0xda01ee641a708dea, 0xa26da3999aef774a, 0xf209787bb47d6b85,
    0xb454e4a179dd1877, 0x865b86925b9bc5c2, 0xc83553c5c8965d3d, 0x952ab45cfa97a0b3,
    0xde469fbd99a05fe3, 0xa59bc234db398c25, 0xf6c69a72a3989f5c, 0xb7dcbf5354e9bece,
    0x88fcf317f22241e2, 0xcc20ce9bd35c78a5, 0x98165af37b2153df, 0xe2a0b5dc971f303a,
    0xa8d9d1535ce3b396, 0xfb9b7cd9a4a7443c, 0xbb764c4ca7a44410, 0x8bab8eefb6409c1a,
    0xd01fef10a657842c, 0x9b10a4e5e9913129, 0xe7109bfba19c0c9d, 0xac2820d9623bf429,
    0x80444b5e7aa7cf85, 0xbf21e44003acdd2d, 0x8e679c2f5e44ff8f, 0xd433179d9c8cb841,
    0x9e19db92b4e31ba9, 0xeb96bf6ebadf77d9, 0xaf87023b9bf0ee6b,
];

#[cfg(test)]
mod tests {
    use rustc_apfloat::Float;
    use rustc_apfloat::ieee::X87DoubleExtended;

    use super::*;

    /// The 80-bit floats have just as many bits.
    #[test]
    fn the_powers_are_exact() {
        for (index, &fraction) in POWERS.iter().enumerate() {
            let decimal_exponent = POWER_FIRST + index as i32 * POWER_STEP;
            let parsed: X87DoubleExtended = format!("1e{decimal_exponent}").parse().unwrap();
            let bits = parsed.to_bits();
            assert_eq!(bits as u64, fraction, "10^{decimal_exponent}");
            assert_eq!((bits >> 64) as i32 - 16383, floor_log2_of_power(decimal_exponent), "10^{decimal_exponent}");
        }
    }

    /// Whatever the digits are, they are those of the same double.
    #[test]
    fn digits_read_back() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..20_000 {
            let value = f64::from_bits(random.u64(..)).abs();
            if value.is_finite() && value != 0.0 {
                let (digits, scale) = digits(value);
                let text = format!("{}e{scale}", str::from_utf8(&digits).unwrap());
                assert_eq!(text.parse(), Ok(value), "{text}");
            }
        }
    }
}
