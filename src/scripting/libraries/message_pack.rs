//! `cmsgpack`: Lua values as MessagePack and back.

use crate::scripting::lua::{Kind, Native, Outcome, Raise, Stack};

use super::{Pace, arguments, check_len, set_functions};

/// Tables within tables that are packed; what is deeper becomes nil.
const NESTING_MAX: usize = 16;

/// Pushes the table.
pub fn push_table(stack: &mut Stack) {
    const FUNCTIONS: &[(&[u8], Native)] =
        &[(b"pack", pack), (b"unpack", unpack), (b"unpack_one", unpack_one), (b"unpack_limit", unpack_limit)];
    const TEXTS: &[(&[u8], &[u8])] = &[
        (b"_NAME", b"cmsgpack"),
        (b"_VERSION", b"lua-cmsgpack 0.4.0"),
        (b"_COPYRIGHT", b"Copyright (C) 2012, Salvatore Sanfilippo"),
        (b"_DESCRIPTION", b"MessagePack C implementation for Lua"),
    ];
    stack.push_table(0, 8);
    set_functions(stack, FUNCTIONS);
    for (name, text) in TEXTS {
        stack.push_bytes(text);
        stack.set_field(-2, name);
    }
}

/// All arguments, one behind the other.
fn pack(stack: &mut Stack) -> Outcome {
    let count = stack.len();
    if count == 0 {
        return Err(Raise::Argument(0, "MessagePack pack needs input.".to_string()));
    }
    if !stack.reserve(8) {
        return Err(Raise::Argument(0, "Too many arguments for MessagePack pack.".to_string()));
    }
    let mut packer = Packer::default();
    for index in 1..=count {
        stack.push_copy(index);
        packer.value(stack, 0)?;
        stack.pop(1);
    }
    stack.push_bytes(&packer.out);
    Ok(1)
}

#[derive(Default)]
struct Packer {
    out: Vec<u8>,
    pace: Pace,
}

impl Packer {
    /// Packs the value on top of the stack, and leaves it there.
    fn value(&mut self, stack: &mut Stack, depth: usize) -> Result<(), Raise> {
        self.pace.step(stack)?;
        check_len(stack, &self.out)?;
        match stack.kind(-1) {
            Kind::String => self.string(stack.bytes(-1).unwrap_or_default()),
            Kind::Boolean => self.out.push(if stack.truth(-1) { 0xc3 } else { 0xc2 }),
            Kind::Number => self.number(stack.number(-1).unwrap_or_default()),
            Kind::Table if depth < NESTING_MAX => return self.table(stack, depth),
            _ => self.out.push(0xc0),
        }
        Ok(())
    }

    fn string(&mut self, bytes: &[u8]) {
        match bytes.len() {
            len @ ..32 => self.out.push(0xa0 | len as u8),
            len @ ..0x100 => self.out.extend_from_slice(&[0xd9, len as u8]),
            len => self.length(0xda, len),
        }
        self.out.extend_from_slice(bytes);
    }

    /// A length of 16 bits, or of 32 bits behind the next marker.
    fn length(&mut self, marker: u8, len: usize) {
        if let Ok(len) = u16::try_from(len) {
            self.out.push(marker);
            self.out.extend_from_slice(&len.to_be_bytes());
        } else {
            self.out.push(marker + 1);
            self.out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }

    fn number(&mut self, value: f64) {
        let integer = value as i64;
        if value.is_finite() && integer as f64 == value && integer != i64::MAX {
            return self.integer(integer);
        }
        let short = value as f32;
        if f64::from(short) == value {
            self.out.push(0xca);
            self.out.extend_from_slice(&short.to_be_bytes());
        } else {
            self.out.push(0xcb);
            self.out.extend_from_slice(&value.to_be_bytes());
        }
    }

    fn integer(&mut self, value: i64) {
        let out = &mut self.out;
        match value {
            0..=0x7f => out.push(value as u8),
            0x80..=0xff => out.extend_from_slice(&[0xcc, value as u8]),
            0x100..=0xffff => {
                out.push(0xcd);
                out.extend_from_slice(&(value as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                out.push(0xce);
                out.extend_from_slice(&(value as u32).to_be_bytes());
            }
            0x1_0000_0000.. => {
                out.push(0xcf);
                out.extend_from_slice(&value.to_be_bytes());
            }
            -32..=-1 => out.push(value as u8),
            -0x80..=-33 => out.extend_from_slice(&[0xd0, value as u8]),
            -0x8000..=-0x81 => {
                out.push(0xd1);
                out.extend_from_slice(&(value as i16).to_be_bytes());
            }
            -0x8000_0000..=-0x8001 => {
                out.push(0xd2);
                out.extend_from_slice(&(value as i32).to_be_bytes());
            }
            _ => {
                out.push(0xd3);
                out.extend_from_slice(&value.to_be_bytes());
            }
        }
    }

    fn table(&mut self, stack: &mut Stack, depth: usize) -> Result<(), Raise> {
        if !stack.reserve(8) {
            return Err(overflow("in function mp_encode_lua_table"));
        }
        let (count, is_array) = self.survey(stack)?;
        if is_array {
            match count {
                ..16 => self.out.push(0x90 | count as u8),
                _ => self.length(0xdc, count),
            }
            for number in 1..=count {
                stack.push_element(-1, number as i32);
                self.value(stack, depth + 1)?;
                stack.pop(1);
            }
            return Ok(());
        }
        match count {
            ..16 => self.out.push(0x80 | count as u8),
            _ => self.length(0xde, count),
        }
        stack.push_nil();
        while stack.next(-2) {
            stack.push_copy(-2);
            self.value(stack, depth + 1)?;
            stack.pop(1);
            self.value(stack, depth + 1)?;
            stack.pop(1);
        }
        Ok(())
    }

    /// How many pairs the table on top has, and whether their keys are the numbers from 1 up.
    fn survey(&mut self, stack: &mut Stack) -> Result<(usize, bool), Raise> {
        let (mut count, mut max, mut are_numbers) = (0usize, 0.0f64, true);
        stack.push_nil();
        while stack.next(-2) {
            stack.pop(1);
            match stack.number(-1) {
                Some(key) if key >= 1.0 && f64::from(key as i32) == key => max = max.max(key),
                _ => are_numbers = false,
            }
            count += 1;
            self.pace.step(stack)?;
        }
        Ok((count, are_numbers && max == count as f64))
    }
}

fn overflow(place: &str) -> Raise {
    Raise::Text(format!("stack overflow ({place})"))
}

/// Every value.
fn unpack(stack: &mut Stack) -> Outcome {
    unpack_some(stack, 0, 0)
}

/// One value from an offset on, behind the offset of the next.
fn unpack_one(stack: &mut Stack) -> Outcome {
    let offset = arguments::optional_integer(stack, 2)?.unwrap_or(0);
    unpack_some(stack, 1, offset)
}

/// So many values from an offset on, behind the offset of the next.
fn unpack_limit(stack: &mut Stack) -> Outcome {
    let limit = arguments::integer(stack, 2)?;
    let offset = arguments::optional_integer(stack, 3)?.unwrap_or(0);
    unpack_some(stack, limit, offset)
}

fn unpack_some(stack: &mut Stack, limit: i64, offset: i64) -> Outcome {
    let bytes = arguments::text(stack, 1)?.into_owned();
    let len = bytes.len();
    if offset < 0 || limit < 0 {
        return Err(Raise::Text(format!(
            "Invalid request to unpack with offset of {} and limit of {}.",
            offset as i32, len as i32
        )));
    }
    if offset > len as i64 {
        return Err(Raise::Text(format!("Start offset {} greater than input length {}.", offset as i32, len as i32)));
    }
    let is_whole = limit == 0 && offset == 0;
    let limit = if is_whole { i64::from(i32::MAX) } else { limit };
    let mut unpacker = Unpacker { rest: &bytes[offset as usize..], pace: Pace::default() };
    stack.truncate(1.min(stack.len()));
    let mut count = 0;
    while !unpacker.rest.is_empty() && i64::from(count) < limit {
        unpacker.value(stack)?;
        count += 1;
    }
    if !is_whole {
        if !stack.reserve(1) {
            return Err(overflow("in function mp_unpack_full"));
        }
        let next = len - unpacker.rest.len();
        stack.push_number(if unpacker.rest.is_empty() { -1.0 } else { next as f64 });
        stack.insert(2);
        count += 1;
    }
    Ok(count)
}

struct Unpacker<'a> {
    rest: &'a [u8],
    pace: Pace,
}

impl<'a> Unpacker<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Raise> {
        let missing = || Raise::Text("Missing bytes in input.".to_string());
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(missing)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A big-endian number of so many bytes.
    fn unsigned(&mut self, bytes: usize) -> Result<u64, Raise> {
        let taken = self.take(bytes)?;
        Ok(taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, bytes: usize) -> Result<i64, Raise> {
        let unused = 64 - 8 * bytes as u32;
        Ok((self.unsigned(bytes)? << unused) as i64 >> unused)
    }

    fn string(&mut self, stack: &Stack, len: u64) -> Result<(), Raise> {
        stack.push_bytes(self.take(len as usize)?);
        Ok(())
    }

    /// Pushes the next value.
    fn value(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        self.pace.step(stack)?;
        let marker = self.take(1)?[0];
        if !stack.reserve(4) {
            return Err(overflow("too many return values at once; use unpack_one or unpack_limit instead."));
        }
        match marker {
            0x00..=0x7f => stack.push_number(f64::from(marker)),
            0x80..=0x8f => return self.map(stack, u64::from(marker & 15)),
            0x90..=0x9f => return self.array(stack, u64::from(marker & 15)),
            0xa0..=0xbf => return self.string(stack, u64::from(marker & 31)),
            0xc0 => stack.push_nil(),
            0xc2 => stack.push_bool(false),
            0xc3 => stack.push_bool(true),
            0xca => {
                let bits = self.unsigned(4)? as u32;
                stack.push_number(f64::from(f32::from_bits(bits)));
            }
            0xcb => stack.push_number(f64::from_bits(self.unsigned(8)?)),
            0xcc..=0xcf => {
                let number = self.unsigned(1 << (marker - 0xcc))?;
                // What has 64 bits goes through a signed integer in C.
                stack.push_number(number as i64 as f64);
            }
            0xd0..=0xd3 => stack.push_number(self.signed(1 << (marker - 0xd0))? as f64),
            0xd9..=0xdb => {
                let len = self.unsigned(1 << (marker - 0xd9))?;
                return self.string(stack, len);
            }
            0xdc | 0xdd => {
                let count = self.unsigned(2 << (marker - 0xdc))?;
                return self.array(stack, count);
            }
            0xde | 0xdf => {
                let count = self.unsigned(2 << (marker - 0xde))?;
                return self.map(stack, count);
            }
            0xe0..=0xff => stack.push_number(f64::from(marker as i8)),
            _ => return Err(Raise::Text("Bad data format in input.".to_string())),
        }
        Ok(())
    }

    fn array(&mut self, stack: &mut Stack, count: u64) -> Result<(), Raise> {
        if !stack.reserve(8) {
            return Err(overflow("in function mp_decode_to_lua_array"));
        }
        stack.push_table(0, 0);
        let table = stack.len();
        for number in 1..=count {
            self.value(stack)?;
            stack.set_element(table, number as i32);
        }
        Ok(())
    }

    fn map(&mut self, stack: &mut Stack, count: u64) -> Result<(), Raise> {
        stack.push_table(0, 0);
        let table = stack.len();
        for _ in 0..count {
            self.value(stack)?;
            let problem = match (stack.kind(-1), stack.number(-1)) {
                (Kind::Nil, _) => Some("table index is nil"),
                (_, Some(number)) if number.is_nan() => Some("table index is NaN"),
                _ => None,
            };
            self.value(stack)?;
            if let Some(problem) = problem {
                return Err(Raise::Bare(problem.to_string()));
            }
            stack.set_pair(table);
        }
        Ok(())
    }
}
