//! Owns the test that PFSELFTEST runs: registers keep apart, both forms agree, estimates are near the truth.

use super::{Corrupted, HEADER_BYTES, Place, REGISTERS, Sketch, add, dense, empty};

/// How often all registers are set to random values.
const CYCLES: usize = 100;
/// Elements added; the estimate is looked at after each power of ten.
const ELEMENTS: u64 = 1_000_000;
/// The standard error of an estimate: 1.04 / sqrt(registers).
const STANDARD_ERROR: f64 = 1.04 / 128.0;
/// A larger error than so many standard errors is a fault.
const STANDARD_ERRORS_MAX: f64 = 6.0;

/// Runs the test. Takes about as long as adding a million elements twice. Errors: what was found wrong.
pub fn run(random: &mut fastrand::Rng, sparse_max_bytes: usize) -> Result<(), String> {
    check_registers(random)?;
    check_estimates(random.u64(..), sparse_max_bytes)
}

fn check_registers(random: &mut fastrand::Rng) -> Result<(), String> {
    let mut body = vec![0; dense::TOTAL_BYTES - HEADER_BYTES];
    for _ in 0..CYCLES {
        let expected: Vec<u8> = (0..REGISTERS).map(|_| random.u8(..64)).collect();
        for (index, value) in expected.iter().enumerate() {
            dense::set(&mut body, index, *value);
        }
        for (index, value) in expected.into_iter().enumerate() {
            let found = dense::get(&body, index);
            if found != value {
                return Err(format!("Register {index} should be {value} but is {found}"));
            }
        }
    }
    Ok(())
}

fn check_estimates(seed: u64, sparse_max_bytes: usize) -> Result<(), String> {
    let corrupted = |_: Corrupted| "corrupted".to_string();
    let mut adaptive = empty();
    let mut dense = dense::empty(&adaptive[..HEADER_BYTES]);
    let mut checkpoint = 1;
    for number in 1..=ELEMENTS {
        let place = Place::of(&(number ^ seed).to_le_bytes());
        dense::raise(&mut dense, place);
        add(&mut adaptive, place, sparse_max_bytes).map_err(corrupted)?;
        if number < checkpoint {
            continue;
        }
        let is_dense = adaptive.len() == dense::TOTAL_BYTES;
        if is_dense && number < sparse_max_bytes as u64 / 2 {
            return Err("sparse encoding not used".into());
        }
        let estimate = count(&dense).map_err(corrupted)?;
        if count(&adaptive) != Ok(estimate) {
            return Err("dense/sparse disagree".into());
        }
        // Of ten elements two may well share a register.
        let allowed = match checkpoint {
            10 => 1,
            _ => (STANDARD_ERROR * STANDARD_ERRORS_MAX * checkpoint as f64).ceil() as u64,
        };
        let error = checkpoint.abs_diff(estimate);
        if error > allowed {
            return Err(format!("Too big error. card:{checkpoint} abserr:{error}"));
        }
        checkpoint *= 10;
    }
    Ok(())
}

fn count(bytes: &[u8]) -> Result<u64, Corrupted> {
    Sketch::of(bytes).ok_or(Corrupted)?.count()
}
