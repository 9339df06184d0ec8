//! Integers of any width at any bit of a byte string, as BITFIELD knows them. Never knows where a string is kept.

/// The bytes that a field can touch: 64 bits, and not from the beginning of a byte on.
const SPAN: usize = 9;

/// What becomes of a number that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Its lowest bits are kept.
    Wrap,
    /// The nearest number that fits takes its place.
    Saturate,
    /// Nothing is written.
    Fail,
}

/// The kind of an integer: `i` or `u` and the number of its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldType {
    signed: bool,
    /// 1 to 64, to 63 for an unsigned one.
    bits: u32,
}

/// What a number becomes when it is to fit into a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    Fits(i64),
    /// It did not: this is written instead.
    Adapted(i64),
    /// It did not, and nothing is written.
    Refused,
}

impl FieldType {
    /// The type of so many bits, if there is one.
    pub fn new(signed: bool, bits: i64) -> Option<FieldType> {
        let most = if signed { 64 } else { 63 };
        let bits = u32::try_from(bits).ok()?;
        (1..=most).contains(&bits).then_some(FieldType { signed, bits })
    }

    /// Width in bits.
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// The smallest and the largest number.
    fn limits(self) -> (i128, i128) {
        if self.signed {
            let half = 1i128 << (self.bits - 1);
            (-half, half - 1)
        } else {
            (0, (1i128 << self.bits) - 1)
        }
    }

    /// The number whose lowest bits these are.
    fn of_bits(self, bits: u64) -> i64 {
        let unused = 64 - self.bits;
        if self.signed { (bits << unused) as i64 >> unused } else { (bits << unused >> unused) as i64 }
    }

    /// The number at a bit offset; bits beyond the end are zero. O(1).
    pub fn read(self, bytes: &[u8], offset: u64) -> i64 {
        self.of_bits((window(bytes, offset) >> self.shift(offset)) as u64)
    }

    /// Writes a number at a bit offset: its lowest bits. The field must lie within. O(1).
    pub fn write(self, bytes: &mut [u8], offset: u64, value: i64) {
        let mask = (u128::MAX >> (128 - self.bits)) << self.shift(offset);
        let bits = ((value as u128) << self.shift(offset)) & mask;
        let merged = (window(bytes, offset) & !mask) | bits;
        let start = (offset / 8) as usize;
        let length = SPAN.min(bytes.len() - start);
        let merged = merged.to_be_bytes();
        bytes[start..start + length].copy_from_slice(&merged[16 - SPAN..][..length]);
    }

    /// How far the field's last bit is from the window's last.
    fn shift(self, offset: u64) -> u32 {
        SPAN as u32 * 8 - (offset % 8) as u32 - self.bits
    }

    /// What a number that SET gives becomes.
    pub fn fit(self, value: i64, overflow: Overflow) -> Fit {
        let exact = if self.signed { i128::from(value) } else { i128::from(value as u64) };
        // Redis's distance to the upper limit leaves 64 bits here, so that it takes the number for too large.
        let (_, most) = self.limits();
        let too_far = self.bits < 64 && most - exact > i128::from(i64::MAX);
        self.adapt(exact, too_far, overflow)
    }

    /// What a number of this type becomes when it grows by `increment`.
    pub fn increment(self, value: i64, increment: i64, overflow: Overflow) -> Fit {
        let exact = i128::from(value) + i128::from(increment);
        self.adapt(exact, false, overflow)
    }

    fn adapt(self, exact: i128, taken_for_large: bool, overflow: Overflow) -> Fit {
        let (least, most) = self.limits();
        if (least..=most).contains(&exact) {
            return Fit::Fits(exact as i64);
        }
        match overflow {
            Overflow::Fail => Fit::Refused,
            Overflow::Wrap => Fit::Adapted(self.of_bits(exact as u64)),
            Overflow::Saturate if exact > most || taken_for_large => Fit::Adapted(most as i64),
            Overflow::Saturate => Fit::Adapted(least as i64),
        }
    }
}

/// The nine bytes from the one on in which an offset lies, as a number.
fn window(bytes: &[u8], offset: u64) -> u128 {
    let start = usize::try_from(offset / 8).unwrap_or(usize::MAX);
    let part = bytes.get(start..).unwrap_or_default();
    let part = &part[..part.len().min(SPAN)];
    let mut window = [0; 16];
    window[16 - SPAN..][..part.len()].copy_from_slice(part);
    u128::from_be_bytes(window)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::bitmap::{bit, set_bit};
    use proptest::prelude::*;

    fn field_type() -> impl Strategy<Value = FieldType> {
        (any::<bool>(), 1..=64i64).prop_filter_map("no u64", |(signed, bits)| FieldType::new(signed, bits))
    }

    proptest! {
        /// Bit by bit, as a field is defined.
        #[test]
        fn fields_are_their_bits(kind in field_type(), offset in 0..200u64, value: i64, before: [u8; 40]) {
            let mut bytes = before;
            kind.write(&mut bytes, offset, value);
            let mut expected = before;
            for index in 0..u64::from(kind.bits) {
                let on = value >> (u64::from(kind.bits) - 1 - index) & 1 == 1;
                set_bit(&mut expected, offset + index, on);
            }
            prop_assert_eq!(bytes, expected);
            prop_assert_eq!(kind.read(&bytes, offset), kind.of_bits(value as u64));
            // Beyond the end all is zero.
            let short = &bytes[..13];
            let read = kind.read(short, offset) as u64;
            for index in 0..u64::from(kind.bits) {
                let on = read >> (u64::from(kind.bits) - 1 - index) & 1 == 1;
                prop_assert_eq!(on, bit(short, offset + index));
            }
        }

        #[test]
        fn increments_stay_within(kind in field_type(), bits: u64, by: i64) {
            let value = kind.of_bits(bits);
            let (least, most) = kind.limits();
            let exact = i128::from(value) + i128::from(by);
            let nearest = exact.clamp(least, most);
            let fits = nearest == exact;
            let (saturated, refused) = if fits {
                (Fit::Fits(exact as i64), Fit::Fits(exact as i64))
            } else {
                (Fit::Adapted(nearest as i64), Fit::Refused)
            };
            prop_assert_eq!(kind.increment(value, by, Overflow::Saturate), saturated);
            prop_assert_eq!(kind.increment(value, by, Overflow::Fail), refused);
            let wrapped = kind.increment(value, by, Overflow::Wrap);
            let (Fit::Fits(result) | Fit::Adapted(result)) = wrapped else {
                panic!("never refused");
            };
            prop_assert_eq!((exact - i128::from(result)).rem_euclid(1 << kind.bits), 0);
            prop_assert!((least..=most).contains(&i128::from(result)));
        }
    }

    #[test]
    fn widths_have_limits() {
        for (signed, bits, is_type) in [
            (true, 64, true),
            (true, 65, false),
            (true, 0, false),
            (true, -1, false),
            (false, 63, true),
            (false, 64, false),
            (false, 1, true),
            (false, i64::MAX, false),
        ] {
            assert_eq!(FieldType::new(signed, bits).is_some(), is_type, "{bits}");
        }
    }

    #[test]
    fn what_is_set_is_fitted() {
        let signed = FieldType::new(true, 8).expect("a type");
        let unsigned = FieldType::new(false, 8).expect("a type");
        let saturated = |kind: FieldType, value| kind.fit(value, Overflow::Saturate);
        assert_eq!(saturated(signed, -1000), Fit::Adapted(-128));
        assert_eq!(saturated(signed, 1000), Fit::Adapted(127));
        assert_eq!(saturated(signed, i64::MIN), Fit::Adapted(127));
        assert_eq!(saturated(unsigned, -1), Fit::Adapted(255));
        assert_eq!(unsigned.fit(-1, Overflow::Wrap), Fit::Adapted(255));
        assert_eq!(unsigned.fit(300, Overflow::Wrap), Fit::Adapted(44));
        assert_eq!(unsigned.fit(300, Overflow::Fail), Fit::Refused);
        let widest = FieldType::new(true, 64).expect("a type");
        assert_eq!(saturated(widest, i64::MIN), Fit::Fits(i64::MIN));
    }
}
