//! `bit`: operations on numbers as 32 bits.

use crate::scripting::lua::{Kind, Native, Outcome, Raise, Stack};

use super::{arguments, set_functions};

/// Pushes the table.
pub fn push_table(stack: &mut Stack) {
    const FUNCTIONS: &[(&[u8], Native)] = &[
        (b"tobit", tobit),
        (b"bnot", bnot),
        (b"band", band),
        (b"bor", bor),
        (b"bxor", bxor),
        (b"lshift", lshift),
        (b"rshift", rshift),
        (b"arshift", arshift),
        (b"rol", rol),
        (b"ror", ror),
        (b"bswap", bswap),
        (b"tohex", tohex),
    ];
    stack.push_table(0, FUNCTIONS.len());
    set_functions(stack, FUNCTIONS);
}

/// The lower 32 bits of an argument, rounded to an integer.
fn bits(stack: &Stack, index: i32) -> Result<u32, Raise> {
    /// 2^52 + 2^51: whatever is added to it has its integer in the lower bits of the sum.
    const INTEGERS_BEGIN: f64 = 6_755_399_441_055_744.0;
    let number = arguments::number(stack, index)?;
    Ok((number + INTEGERS_BEGIN).to_bits() as u32)
}

fn give(stack: &Stack, bits: u32) -> Outcome {
    stack.push_number(f64::from(bits as i32));
    Ok(1)
}

fn tobit(stack: &mut Stack) -> Outcome {
    give(stack, bits(stack, 1)?)
}

fn bnot(stack: &mut Stack) -> Outcome {
    give(stack, !bits(stack, 1)?)
}

/// All arguments, the last first, as their errors show.
fn fold(stack: &Stack, operation: fn(u32, u32) -> u32) -> Outcome {
    let mut result = bits(stack, 1)?;
    for index in (2..=stack.len()).rev() {
        result = operation(result, bits(stack, index)?);
    }
    give(stack, result)
}

fn band(stack: &mut Stack) -> Outcome {
    fold(stack, |left, right| left & right)
}

fn bor(stack: &mut Stack) -> Outcome {
    fold(stack, |left, right| left | right)
}

fn bxor(stack: &mut Stack) -> Outcome {
    fold(stack, |left, right| left ^ right)
}

/// The first argument moved by the second, of which five bits count.
fn shift(stack: &Stack, operation: fn(u32, u32) -> u32) -> Outcome {
    let number = bits(stack, 1)?;
    give(stack, operation(number, bits(stack, 2)? & 31))
}

fn lshift(stack: &mut Stack) -> Outcome {
    shift(stack, |number, by| number << by)
}

fn rshift(stack: &mut Stack) -> Outcome {
    shift(stack, |number, by| number >> by)
}

fn arshift(stack: &mut Stack) -> Outcome {
    shift(stack, |number, by| (number as i32 >> by) as u32)
}

fn rol(stack: &mut Stack) -> Outcome {
    shift(stack, u32::rotate_left)
}

fn ror(stack: &mut Stack) -> Outcome {
    shift(stack, u32::rotate_right)
}

fn bswap(stack: &mut Stack) -> Outcome {
    give(stack, bits(stack, 1)?.swap_bytes())
}

/// At most eight digits (CVE-2024-31449), in capitals if their number is negative.
fn tohex(stack: &mut Stack) -> Outcome {
    let mut number = bits(stack, 1)?;
    let digits = match stack.kind(2) {
        Kind::Absent => 8,
        _ => bits(stack, 2)? as i32,
    };
    let alphabet = match digits < 0 {
        true => b"0123456789ABCDEF",
        false => b"0123456789abcdef",
    };
    let len = digits.unsigned_abs().min(8) as usize;
    let mut text = [0; 8];
    for place in text[..len].iter_mut().rev() {
        *place = alphabet[(number & 15) as usize];
        number >>= 4;
    }
    stack.push_bytes(&text[..len]);
    Ok(1)
}
