//! The 80-bit floats of x86, with which INCRBYFLOAT and HINCRBYFLOAT count: read, added and printed
//! as C's `long double` is.
//!
//! Reading and adding are `rustc_apfloat`'s; printing with 17 decimals, correctly rounded, is done
//! here on the exact bits.

use rustc_apfloat::ieee::X87DoubleExtended;
use rustc_apfloat::{Float, Round, Status};

/// Longest text that is read, in bytes.
const TEXT_MAX_BYTES: usize = 5119;
/// Decimals that are printed, before trailing zeros are cut.
const DECIMALS: usize = 17;
/// 10 to the power of [`DECIMALS`].
const DECIMAL_UNIT: u128 = 10u128.pow(DECIMALS as u32);
/// What an exponent field of zero bias stands for, and the significand's bits behind its leading
/// one.
const EXPONENT_BIAS: i32 = 16383;
const FRACTION_BITS: i32 = 63;

/// An 80-bit float; never a NaN when it was read, but perhaps after an addition.
#[derive(Clone, Copy, Debug)]
pub struct LongDouble(X87DoubleExtended);

impl LongDouble {
    /// Zero.
    pub const ZERO: LongDouble = LongDouble(X87DoubleExtended::ZERO);

    /// The largest finite number.
    pub fn largest() -> LongDouble {
        LongDouble(X87DoubleExtended::largest())
    }

    /// Reads a number as C's `strtold` does when it must take the whole text: decimal, hexadecimal,
    /// `inf` or `infinity`, without leading spaces. Refused are a NaN, a number out of range, one
    /// that is not zero but would become so, and a text of more than 5119 bytes. O(length²), a
    /// matter of microseconds for usual lengths.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() > TEXT_MAX_BYTES {
            return None;
        }
        let (negative, magnitude) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let value = parse_magnitude(magnitude)?;
        Some(LongDouble(if negative { -value } else { value }))
    }

    /// Whether it is one of the two infinities.
    pub fn is_infinite(self) -> bool {
        self.0.is_infinite()
    }

    /// Whether it is neither infinite nor a NaN.
    pub fn is_finite(self) -> bool {
        self.0.is_finite()
    }

    /// The product with a whole number, rounded up to a whole one: what is less than the least `i64` gives that, what
    /// is more than the greatest, nothing.
    pub fn times_rounded_up(self, factor: u32) -> Option<i64> {
        let product = (self.0 * X87DoubleExtended::from_u128(factor.into()).value).value;
        if product > X87DoubleExtended::from_i128(i64::MAX.into()).value {
            return None;
        }
        let whole = product.round_to_integral(Round::TowardPositive).value;
        i64::try_from(whole.to_i128(64).value).ok()
    }

    /// Appends the number as INCRBYFLOAT replies it: rounded to 17 decimals, without trailing
    /// zeros, never with an exponent. O(digits²). An infinite number gives `inf` or `-inf`.
    pub fn format(self, out: &mut Vec<u8>) {
        let bits = self.0.to_bits();
        if self.0.is_nan() {
            return out.extend_from_slice(b"nan");
        }
        if self.0.is_infinite() {
            return out.extend_from_slice(if self.0.is_negative() { b"-inf" } else { b"inf" });
        }
        let exponent_field = (bits >> 64) as i32 & 0x7fff;
        // The value is the significand times two to this power.
        let exponent = exponent_field.max(1) - EXPONENT_BIAS - FRACTION_BITS;
        let significand = bits as u64;
        let (integer, decimals) = if exponent >= 0 {
            (digits_of_shifted(significand, exponent as u32), 0)
        } else {
            let scaled = divide_to_even(u128::from(significand) * DECIMAL_UNIT, exponent.unsigned_abs());
            ((scaled / DECIMAL_UNIT).to_string(), scaled % DECIMAL_UNIT)
        };
        if self.0.is_negative() && (decimals != 0 || integer != "0") {
            out.push(b'-');
        }
        out.extend_from_slice(integer.as_bytes());
        if decimals != 0 {
            let text = format!(".{decimals:0width$}", width = DECIMALS);
            out.extend_from_slice(text.trim_end_matches('0').as_bytes());
        }
    }
}

impl std::ops::Add for LongDouble {
    type Output = LongDouble;

    /// The sum, rounded to nearest, ties to even. Out of range it is infinite; of two opposite
    /// infinities a NaN.
    fn add(self, other: LongDouble) -> LongDouble {
        LongDouble((self.0 + other.0).value)
    }
}

impl std::ops::Neg for LongDouble {
    type Output = LongDouble;

    fn neg(self) -> LongDouble {
        LongDouble(-self.0)
    }
}

impl std::ops::Sub for LongDouble {
    type Output = LongDouble;

    /// The difference, rounded as a sum is.
    fn sub(self, other: LongDouble) -> LongDouble {
        self + -other
    }
}

impl PartialEq for LongDouble {
    fn eq(&self, other: &LongDouble) -> bool {
        self.0 == other.0
    }
}

impl PartialOrd for LongDouble {
    fn partial_cmp(&self, other: &LongDouble) -> Option<std::cmp::Ordering> {
        self.0.partial_cmp(&other.0)
    }
}

fn parse_magnitude(text: &[u8]) -> Option<X87DoubleExtended> {
    if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
        return Some(X87DoubleExtended::INFINITY);
    }
    parse_finite(text)
}

/// Reads an unsigned decimal or hexadecimal number in full, rounded to nearest. Nothing when it is
/// malformed, overflows, or is not zero but underflows to zero.
pub fn parse_finite<F: Float>(text: &[u8]) -> Option<F> {
    let text = std::str::from_utf8(text).ok()?;
    // The library reads more than C does at the front (signs, names) and at the back (an exponent
    // without digits).
    let starts_well = text.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let ends_well = text.ends_with(|last: char| last.is_ascii_hexdigit() || last == '.');
    let is_hexadecimal = matches!(text.as_bytes(), [b'0', b'x' | b'X', ..]);
    if !starts_well || !ends_well || (!is_hexadecimal && text.ends_with(['e', 'E'])) {
        return None;
    }
    let with_exponent = (is_hexadecimal && !text.contains(['p', 'P'])).then(|| format!("{text}p0"));
    let parsed = F::from_str_r(with_exponent.as_deref().unwrap_or(text), Round::NearestTiesToEven).ok()?;
    let vanished = parsed.value.is_zero() && parsed.status.contains(Status::INEXACT);
    (!vanished && parsed.value.is_finite()).then_some(parsed.value)
}

/// `value` divided by two to the power of `shift`, rounded to nearest, ties to even.
fn divide_to_even(value: u128, shift: u32) -> u128 {
    // A value below 2^127 shifted by 128 or more is below one half.
    if shift >= 128 {
        return 0;
    }
    let quotient = value >> shift;
    let rest = value & ((1 << shift) - 1);
    let half = 1u128 << (shift - 1);
    quotient + u128::from(rest > half || (rest == half && quotient & 1 == 1))
}

/// The decimal digits of `significand` times two to the power of `shift`.
fn digits_of_shifted(significand: u64, shift: u32) -> String {
    if shift <= 64 {
        return (u128::from(significand) << shift).to_string();
    }
    // Limbs to the base of 10^18, lowest first, doubled up to 32 bits at a time.
    const BASE: u128 = 10u128.pow(18);
    let mut limbs = vec![u128::from(significand) % BASE, u128::from(significand) / BASE];
    let mut missing = shift;
    while missing > 0 {
        let step = missing.min(32);
        let mut carry = 0;
        for limb in &mut limbs {
            let wide = (*limb << step) + carry;
            *limb = wide % BASE;
            carry = wide / BASE;
        }
        if carry > 0 {
            limbs.push(carry);
        }
        missing -= step;
    }
    let mut digits = limbs.pop().unwrap_or(0).to_string();
    for limb in limbs.iter().rev() {
        digits.push_str(&format!("{limb:018}"));
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(value: LongDouble) -> String {
        let mut out = Vec::new();
        value.format(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn read(text: &str) -> LongDouble {
        LongDouble::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text:?} is refused"))
    }

    /// Recorded from Redis 7.0.15: the value, the increment, what INCRBYFLOAT replied.
    const RECORDED: &str = "
        -6.0537135243e-19 -4.7526449665 -4.7526449665
        -0.0000000000000000243 261301169710.1677 261301169710.16769999265670776
        -0.0000000871 7e+00 6.9999999129
        626710522044.162598 -0.0000000000000187 626710522044.16259801387786865
        -16282788215431321201 -0.0000000000000000000266 -16282788215431321201
        -0.00000000000000209 3.86918293 3.86918292999999791
        8.000000639220758 -0.00000000102 8.000000638200758
        5.101924006 5.1953447334008296e+23 519534473340082960007168
        -5.30045259732792e+24 -8675084174340286935 -5300461272412094340268032
        0x9381ad1203f702a7e.3389d62cp-45 0x3.0p46 211106237366486.535186767578125
        527 18249372909335850127 18249372909335850654
        97.125432646 8.240927305743689e+24 8240927305743689000157184
        -40.35299 68.7 28.34701
        -7829104824768739254 626 -7829104824768738628
        -8.966043302900697e+24 -509 -8966043302900696999788544
        -77.308875524913418 0x1c47bf001a658833.7ap-14 124377890842952.81926727294921875
        1.176360747 -898958281305 -898958281303.82363927364349365
        8.0000000000000000407124865 0x224773b881a2ccfd.71d6d66e3ap-54 145.11643803272018251
        1.413912104544882e+24 -0.00000000000294 1413912104544882000003072
        -9.291992027143283e+24 -9.272256841889081e+24 -18564248869032363999363072
        -820118342956 -59.19431644866585884 -820118343015.19431644678115845
        -66.93033559845864 0x1c75d2ee81.8853d3bfp22 512694281788593330
        6.304424519 -35.30527008322917482 -29.00084556422917482
        4.000810519430 -6.948098258790981e+24 -6948098258790981000232960
        -7.099e-08 -566 -566.00000007098999999
        -0.0000000000000000693 80 79.99999999999999993
        753 -45.81233 707.18767
        937835832581.42334 388 937835832969.42334002256393433
        -0.000000000000000000638 0xe13.142cfp12 14758210.80859375
        -8.175690704295726e+24 -4.2418517249571247e+24 -12417542429252850699730944
        -9.822792646864585e+24 -24.82 -9822792646864584999698432
        841750678196 8.7334405265898799896e+09 850484118722.58987998962402344
        783090184158.9231 -90.987 783090184067.93610000610351562
        0x1250c3adb6face89.1a1c7d0dp58 -9799495559816628961 380397757902899639347163339660722176
        7.0000000000468336527 0x19b8ec7.1bp77 4075870296062409012423958724608
        3.37264244716084337853e-10 0x1019866.15a7318afp-26 0.2515579180004573
        5.92861089494e+29 340338813446.86 592861089494000000350482857984
        9.0966651509639302e-13 -5.213653639555820e+29 -521365363955581999993839419392
        17.5293425943903429 -42.145824174 -24.6164815796096571
        863 -1.619404340983259374e+02 701.05956590167406262
        -0.0000000000000000432 0x2bf8.19c0b970p58 3244350109072060579840
        -1962349931465793635 0x23781de0afd93.9c8faa9p-14 -1962349893381023799
        980 -1.226953192e+24 -1226953192000000000000000
        -9.209583443302085e+24 -33.8794828855479 -9209583443302084999905280
        -2583241039770637930 -15750647166081423683 -18333888205852061613
        -4.438160784142945e+24 -14375558836 -4438160784142959375548416
        -2.8545469123e-26 -6.5402e-04 -0.00065402
        -31 26.61041234680637046 -4.38958765319362954
        3.000000000000000685310967 922 925.00000000000000067
        -9.155860257493004e+24 -88.4 -9155860257493003999903744
        8627702955942873681 0x6defe5e7713ae417c.15cda0e41p-21 8627763394503754478.5
        357 657489546539.4 657489546896.39999997615814209
        4.000326784844 519 523.00032678484400001
        -0.000000000000000088 -0.0000000000374 -0.00000000003740009
        8.540539467792172e+24 1.000000000514862163 8540539467792171999952896
        7.878263210952954e+24 -66.401415880911 7878263210952953999917056
        1.873941844544219e+23 8792145697900699672 187402976600119800709120
        -17633348276414341895 -0.0000000000792 -17633348276414341895
        -134 45.9964689 -88.0035311
        0x26846517.b71c6da5p-17 -5.2894623690e+17 -528946236899995069.8125
        -2.25531519266 5.471652245611136e+24 5471652245611135999934464
        -4.1307734437883594e+24 632758141098 -4130773443787726641692672
        0.1 0.2 0.3
        3.0e3 200 3200
        0 1e17 100000000000000000
        0 1e-17 0.00000000000000001
        0 5e-18 0
        0 6e-18 0.00000000000000001
        0 -1e-18 0
        -0 -0 0
        0 0x1p-17 0.00000762939453125
        0 123456789012345678901234567890 123456789012345678899921813504
    ";

    #[test]
    fn sums_are_those_of_redis() {
        for line in RECORDED.trim().lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(formatted(read(words[0]) + read(words[1])), words[2], "{line}");
        }
    }

    #[test]
    fn the_range_is_that_of_the_type() {
        let largest = formatted(read("1e4932"));
        assert_eq!((largest.len(), &largest[..24]), (4933, "100000000000000000000601"));
        assert_eq!(formatted(read("1e-4950")), "0");
        assert_eq!(formatted(read(&format!("0.{}", "3".repeat(5000)))), "0.33333333333333333");
        let refused = [
            "1e4933",
            "1.2e4932",
            "1e-4951",
            "1e999999999999",
            "1e-999999999999",
            "0x1p99999999999",
            "0x1p2147483647",
            "0x1p-2147483648",
            "0x1p-99999999999",
            "nan",
            "1e",
            "1e+",
            "0x",
            "0x1p",
            "",
            " 1",
            "1 ",
            "+-1",
            "Inf1",
            "1p3",
            "snan",
        ];
        for text in refused {
            assert!(LongDouble::parse(text.as_bytes()).is_none(), "{text:?}");
        }
        assert!(LongDouble::parse("3".repeat(5119).as_bytes()).is_none());
        assert!(LongDouble::parse(format!("0.{}", "3".repeat(5118)).as_bytes()).is_none());
        assert!(!(read("1e4932") + read("1e4932")).is_finite());
        assert_eq!(formatted(read("-infinity")), "-inf");
        assert_eq!(formatted(read("inf") + read("-inf")), "nan");
    }
}
