//! Owns the estimate: from how many registers have each value to the number of elements.
//!
//! Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), arXiv:1702.01284, algorithm 6.
//! Every step is done in the order in which Redis does it, so that the last bit is the same.

use super::{RANK_BITS, REGISTERS};

/// The limit of the bias correction for many registers: 1 / (2 ln 2).
const ALPHA: f64 = 0.721_347_520_444_481_7;
/// Values that six bits can hold.
const VALUES: usize = 64;

/// How many registers have each value.
pub struct Histogram([u32; VALUES]);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram([0; VALUES])
    }
}

impl Histogram {
    /// Counts so many registers of a value below 64.
    #[inline]
    pub fn add(&mut self, value: u8, registers: u32) {
        self.0[usize::from(value) % VALUES] += registers;
    }

    /// The number of elements. Registers of impossible values, which only a made-up string has, are left out.
    pub fn estimate(&self) -> u64 {
        let registers = REGISTERS as f64;
        let highest = RANK_BITS as usize + 1;
        let mut sum = registers * tau((registers - f64::from(self.0[highest])) / registers);
        for value in (1..highest).rev() {
            sum += f64::from(self.0[value]);
            sum *= 0.5;
        }
        sum += registers * sigma(f64::from(self.0[0]) / registers);
        let estimate = (ALPHA * registers * registers / sum).round();
        // With no possible value at all the estimate has no bounds. Redis then stores what x86 makes of infinity.
        if estimate < i64::MAX as f64 { estimate as u64 } else { 1 << 63 }
    }
}

/// The part of the registers that are zero, which saw too few elements.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        if before == sum {
            return sum;
        }
    }
}

/// The part of the registers that are full, which saw too many.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * weight;
        if before == sum {
            return sum / 3.0;
        }
    }
}
