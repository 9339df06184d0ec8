//! Numbers as Lua's libraries and Redis write them, and the random numbers, of which every script gets the same
//! sequence.

use crate::resp::number;

/// A number as an integer: its fraction cut off; what does not fit becomes the smallest integer, as processors have it.
pub fn truncate(value: f64) -> i64 {
    const END: f64 = 9_223_372_036_854_775_808.0;
    match (-END..END).contains(&value) {
        true => value as i64,
        false => i64::MIN,
    }
}

/// A number as C's `%.14g` writes it: what `tostring` and cjson give.
pub fn format_short(value: f64) -> String {
    format_significant(value, 14)
}

/// A number as C's `%.<digits>g` writes it.
pub fn format_significant(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan" } else { "nan" }.to_string();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_string();
    }
    let digits = digits.max(1);
    let scientific = format!("{:.*e}", digits - 1, value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trim_zeros(mantissa), exponent.abs())
    } else {
        let places = (digits as i32 - 1 - exponent).max(0) as usize;
        trim_zeros(&format!("{value:.places$}")).to_string()
    }
}

fn trim_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// A number as the argument of a command: an integer if it is one, else the shortest digits that give it back.
pub fn write_argument(value: f64, out: &mut Vec<u8>) {
    let integer = value as i64;
    if integer as f64 == value && integer.unsigned_abs() <= 1 << 62 {
        out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    } else if value.is_nan() && value.is_sign_negative() {
        out.extend_from_slice(b"-nan");
    } else {
        number::format_f64(value, out);
    }
}

/// The generator of POSIX's `lrand48`: scripts get the same numbers on every run and every machine.
#[derive(Clone, Copy, Debug)]
pub struct Random48(u64);

impl Default for Random48 {
    /// Its state before a script seeds it.
    fn default() -> Random48 {
        Random48(0x1234_abcd_330e)
    }
}

impl Random48 {
    /// Begins anew from a seed, as `srand48` does.
    pub fn new(seed: i32) -> Random48 {
        Random48((u64::from(seed as u32) << 16) + 0x330e)
    }

    /// The next number of 31 bits.
    pub fn next_bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & ((1 << 48) - 1);
        (self.0 >> 17) as u32
    }

    /// The next number from 0 up to, but without, 1.
    pub fn fraction(&mut self) -> f64 {
        let max = i32::MAX as u32;
        f64::from(self.next_bits() % max) / f64::from(max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_c_does() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e15, "1e+15"),
            (1e14, "1e+14"),
            (12_345_678_901_234.0, "12345678901234"),
            (1e100, "1e+100"),
            (9.223372036854775e18, "9.2233720368548e+18"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.234567890123456, "1.2345678901235"),
            (-1.5, "-1.5"),
            (99999999999999.5, "1e+14"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(format_short(value), text);
        }
        assert_eq!(format_significant(0.1, 17), "0.10000000000000001");
        assert_eq!(format_significant(1.5, 1), "2");
    }

    /// As a genuine server gives them.
    #[test]
    fn random_numbers_are_those_of_redis() {
        let mut random = Random48::new(5);
        assert_eq!(format_short(random.fraction()), "0.52483957937213");
        assert_eq!((random.fraction() * 100.0).floor() + 1.0, 28.0);
        assert_eq!((random.fraction() * 100.0).floor() + 1.0, 79.0);
    }
}
