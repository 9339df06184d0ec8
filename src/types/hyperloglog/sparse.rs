//! Owns the sparse form: runs of registers that have the same value, an opcode of one or two bytes each.
//!
//! ```text
//!  00nnnnnn           n + 1 registers are zero         (z)
//!  01nnnnnn nnnnnnnn  n + 1 registers are zero         (Z)
//!  1vvvvvnn           n + 1 registers have value v + 1 (v)
//! ```
//!
//! A change splits one run, then joins neighbours of the same value: those of the first five opcodes from the one
//! before the change on, as Redis does it, so that the bytes are the same afterwards.

use std::fmt::Write;

use arrayvec::ArrayVec;

use super::{Corrupted, HEADER_BYTES, Place, REGISTERS};

/// The highest value that the sparse form can express.
const VALUE_MAX: u8 = 32;
const VALUE_RUN_MAX: usize = 4;
const ZERO_RUN_MAX: usize = 64;
/// Opcodes that are looked at after a change.
const JOINED_OPCODES: usize = 5;
/// The longest sequence that takes the place of one opcode: Z v Z.
const SPLIT_BYTES_MAX: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Zero,
    LongZero,
    Value,
}

/// What an opcode says.
#[derive(Clone, Copy, Debug)]
struct Run {
    form: Form,
    length: usize,
    value: u8,
}

impl Run {
    /// The opcode at the front of the bytes, of which there is one at least. A missing second byte counts as zero, as
    /// in Redis, where every string ends with a zero byte behind its last.
    fn decode(bytes: &[u8]) -> Run {
        let first = bytes[0];
        let (form, length, value) = if first & 0x80 != 0 {
            (Form::Value, first & 3, (first >> 2 & 0x1f) + 1)
        } else if first & 0x40 != 0 {
            let second = bytes.get(1).copied().unwrap_or(0);
            let length = u16::from_be_bytes([first & 0x3f, second]);
            return Run { form: Form::LongZero, length: usize::from(length) + 1, value: 0 };
        } else {
            (Form::Zero, first, 0)
        };
        Run { form, length: usize::from(length) + 1, value }
    }

    /// Bytes of the opcode.
    fn size(self) -> usize {
        match self.form {
            Form::Zero | Form::Value => 1,
            Form::LongZero => 2,
        }
    }
}

fn value_opcode(length: usize, value: u8) -> u8 {
    0x80 | (value - 1) << 2 | (length - 1) as u8
}

/// Adds an opcode for so many registers (none: nothing is added) of this value.
pub fn push_run(bytes: &mut impl Extend<u8>, length: usize, value: u8) {
    let Some(less_one) = length.checked_sub(1) else {
        return;
    };
    if value > 0 {
        bytes.extend([value_opcode(length, value)]);
    } else if length <= ZERO_RUN_MAX {
        bytes.extend([less_one as u8]);
    } else {
        bytes.extend((0x4000 | less_one as u16).to_be_bytes());
    }
}

/// Hands every run to `visit`: its first register, its length, its value. Never hands over registers that there are
/// not. Errors: the runs are not those of all registers.
pub fn for_each_run(mut body: &[u8], mut visit: impl FnMut(usize, usize, u8)) -> Result<(), Corrupted> {
    let mut first = 0;
    while !body.is_empty() {
        let run = Run::decode(body);
        if first + run.length > REGISTERS {
            return Err(Corrupted);
        }
        visit(first, run.length, run.value);
        first += run.length;
        body = body.get(run.size()..).unwrap_or_default();
    }
    if first == REGISTERS { Ok(()) } else { Err(Corrupted) }
}

/// The opcodes in the words of PFDEBUG DECODE, whether they are proper or not.
pub fn describe(bytes: &[u8]) -> String {
    let mut body = &bytes[HEADER_BYTES..];
    let mut text = String::new();
    while !body.is_empty() {
        let run = Run::decode(body);
        let Run { length, value, .. } = run;
        body = body.get(run.size()..).unwrap_or_default();
        let blank = if body.is_empty() { "" } else { " " };
        // Writing to a string does not fail.
        let _ = match run.form {
            Form::Zero => write!(text, "z:{length}{blank}"),
            Form::LongZero => write!(text, "Z:{length}{blank}"),
            Form::Value => write!(text, "v:{value},{length}{blank}"),
        };
    }
    text
}

/// What became of an attempt to raise a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was as high before.
    Unchanged,
    Raised,
    /// It cannot be done in this form and size; nothing was changed.
    TooLarge,
}

/// An opcode in the string, from which the search for a register begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    at: usize,
    /// The first register of its run.
    first: usize,
    /// Where the opcode before it is, if there is one.
    before: Option<usize>,
}

impl Cursor {
    /// The first opcode.
    pub const START: Cursor = Cursor { at: HEADER_BYTES, first: 0, before: None };

    /// Finds a register from here on: the opcode that covers it, and the cursor for registers behind it. What is behind
    /// the opcode is not looked at. Errors: no opcode covers it.
    fn find(self, bytes: &[u8], index: usize) -> Result<(Cursor, Run, Cursor), Corrupted> {
        let (mut here, mut previous) = (self, self);
        // The hot loop of PFADD: nothing is decoded but lengths, the most frequent opcodes first.
        while let Some(&opcode) = bytes.get(here.at) {
            let (length, size) = match opcode >> 6 {
                0b10 | 0b11 => (usize::from(opcode & 3) + 1, 1),
                0b00 => (usize::from(opcode) + 1, 1),
                _ => (Run::decode(&bytes[here.at..]).length, 2),
            };
            if index < here.first + length {
                return Ok((here, Run::decode(&bytes[here.at..]), previous));
            }
            previous = here;
            here = Cursor { at: here.at + size, first: here.first + length, before: Some(here.at) };
        }
        Err(Corrupted)
    }

    /// Raises a register, which must lie behind those raised through this cursor before. O(length), over all registers
    /// together as well. Errors: no opcode covers it, or half an opcode does.
    pub fn raise(&mut self, bytes: &mut Vec<u8>, place: Place, size_max: usize) -> Result<Outcome, Corrupted> {
        let Place { index, rank } = place;
        if rank > VALUE_MAX {
            return Ok(Outcome::TooLarge);
        }
        let (here, run, previous) = self.find(bytes, index)?;
        if run.value >= rank {
            *self = previous;
            return Ok(Outcome::Unchanged);
        }
        let end = here.at + run.size();
        if end > bytes.len() {
            return Err(Corrupted);
        }
        let mut split: ArrayVec<u8, SPLIT_BYTES_MAX> = ArrayVec::new();
        push_run(&mut split, index - here.first, run.value);
        push_run(&mut split, 1, rank);
        push_run(&mut split, here.first + run.length - 1 - index, run.value);
        let size = bytes.len() - run.size() + split.len();
        if size > bytes.len() && size > size_max {
            return Ok(Outcome::TooLarge);
        }
        bytes.splice(here.at..end, split);
        join(bytes, here.before.unwrap_or(HEADER_BYTES));
        // Where the cursor's own run was split, joining may have begun before the cursor.
        *self = if here == *self { Cursor::START } else { previous };
        Ok(Outcome::Raised)
    }
}

/// The value of a register, given the whole string. O(length). Errors: no opcode covers it.
pub fn get(bytes: &[u8], index: usize) -> Result<u8, Corrupted> {
    let (_, run, _) = Cursor::START.find(bytes, index)?;
    Ok(run.value)
}

/// Joins neighbouring runs of the same value where one opcode can express both.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOINED_OPCODES {
        if at >= bytes.len() {
            return;
        }
        let run = Run::decode(&bytes[at..]);
        let next = bytes.get(at + 1..).filter(|rest| !rest.is_empty());
        let next = next.map(Run::decode);
        match next {
            Some(next) if run.value > 0 && run.value == next.value && run.length + next.length <= VALUE_RUN_MAX => {
                bytes[at + 1] = value_opcode(run.length + next.length, run.value);
                bytes.remove(at);
            }
            _ => at += run.size(),
        }
    }
}
