//! `cjson`: its table, and the settings that its functions share.

use crate::scripting::lua::{Kind, Native, Outcome, Raise, Stack};

use super::{arguments, json_decode, json_encode};

/// What is done with numbers that JSON does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidNumbers {
    Refused,
    Written,
    Null,
}

/// One instance's settings, kept in its functions' state as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether arrays with too many gaps become objects; else they are refused.
    pub sparse_convert: bool,
    /// Too many gaps: the highest index is more than so many times the number of elements; 0: never.
    pub sparse_ratio: i32,
    /// Up to this index gaps do not matter.
    pub sparse_safe: i32,
    pub encode_depth: i32,
    pub decode_depth: i32,
    pub encode_invalid: InvalidNumbers,
    pub decodes_invalid: bool,
    pub keeps_buffer: bool,
    /// Significant digits.
    pub precision: i32,
}

const DEFAULTS: Settings = Settings {
    sparse_convert: false,
    sparse_ratio: 2,
    sparse_safe: 10,
    encode_depth: 1000,
    decode_depth: 1000,
    encode_invalid: InvalidNumbers::Refused,
    decodes_invalid: true,
    keeps_buffer: true,
    precision: 14,
};

const BYTES: usize = 24;

impl Settings {
    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let numbers = [self.sparse_ratio, self.sparse_safe, self.encode_depth, self.decode_depth, self.precision];
        for (place, number) in bytes.chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[20] = u8::from(self.sparse_convert);
        bytes[21] = self.encode_invalid as u8;
        bytes[22] = u8::from(self.decodes_invalid);
        bytes[23] = u8::from(self.keeps_buffer);
        bytes
    }

    fn of_bytes(bytes: [u8; BYTES]) -> Settings {
        let number = |index: usize| {
            let at = 4 * index;
            i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Settings {
            sparse_ratio: number(0),
            sparse_safe: number(1),
            encode_depth: number(2),
            decode_depth: number(3),
            precision: number(4),
            sparse_convert: bytes[20] != 0,
            encode_invalid: match bytes[21] {
                0 => InvalidNumbers::Refused,
                1 => InvalidNumbers::Written,
                _ => InvalidNumbers::Null,
            },
            decodes_invalid: bytes[22] != 0,
            keeps_buffer: bytes[23] != 0,
        }
    }

    /// Those of the function that runs.
    pub fn read(stack: &mut Stack) -> Settings {
        stack.push_state();
        stack.push_element(-1, 1);
        let bytes = stack.bytes(-1).and_then(|bytes| bytes.try_into().ok());
        let settings = bytes.map_or(DEFAULTS, Settings::of_bytes);
        stack.pop(2);
        settings
    }

    fn write(self, stack: &mut Stack) {
        stack.push_state();
        stack.push_bytes(&self.to_bytes());
        stack.set_element(-2, 1);
        stack.pop(1);
    }
}

/// Pushes the table.
pub fn push_table(stack: &mut Stack) {
    stack.push_table(0, 16);
    let table = stack.len();
    // All functions have the same state: a table whose one element is the settings.
    stack.push_table(1, 0);
    stack.push_bytes(&DEFAULTS.to_bytes());
    stack.set_element(-2, 1);
    for (name, native) in FUNCTIONS {
        stack.push_copy(-1);
        stack.push_native_with_state(*native);
        stack.set_field(table, name);
    }
    stack.pop(1);
    stack.push_null();
    stack.set_field(table, b"null");
    for (name, text) in [(b"_NAME" as &[u8], b"cjson" as &[u8]), (b"_VERSION", b"2.1.0")] {
        stack.push_bytes(text);
        stack.set_field(table, name);
    }
}

const FUNCTIONS: &[(&[u8], Native)] = &[
    (b"encode", json_encode::encode),
    (b"decode", json_decode::decode),
    (b"encode_sparse_array", encode_sparse_array),
    (b"encode_max_depth", encode_max_depth),
    (b"decode_max_depth", decode_max_depth),
    (b"encode_number_precision", encode_number_precision),
    (b"encode_keep_buffer", encode_keep_buffer),
    (b"encode_invalid_numbers", encode_invalid_numbers),
    (b"decode_invalid_numbers", decode_invalid_numbers),
    (b"new", new),
];

/// An instance with settings of its own.
fn new(stack: &mut Stack) -> Outcome {
    push_table(stack);
    Ok(1)
}

/// Takes so many arguments, nil where there is none.
fn take_arguments(stack: &mut Stack, count: i32) -> Result<Settings, Raise> {
    if stack.len() > count {
        return Err(Raise::Argument(count + 1, "found too many arguments".to_string()));
    }
    while stack.len() < count {
        stack.push_nil();
    }
    Ok(Settings::read(stack))
}

/// An integer setting's new value, or the old one.
fn integer(stack: &Stack, index: i32, old: i32, min: i32, max: i32) -> Result<i32, Raise> {
    let Some(value) = arguments::optional_integer(stack, index)? else {
        return Ok(old);
    };
    // As in C it is cut down to 32 bits.
    let value = value as i32;
    if !(min..=max).contains(&value) {
        let reason = format!("expected integer between {min} and {max}");
        return Err(Raise::Argument(1, reason));
    }
    Ok(value)
}

/// A setting's new value by its name, or the old one.
fn option(stack: &Stack, index: i32, old: usize, names: &[&str]) -> Result<usize, Raise> {
    match stack.kind(index) {
        Kind::Nil => Ok(old),
        Kind::Boolean => Ok(usize::from(stack.truth(index))),
        _ => {
            let text = arguments::text(stack, index)?;
            let found = names.iter().position(|name| name.as_bytes() == &*text);
            found.ok_or_else(|| {
                let text = String::from_utf8_lossy(&text);
                Raise::Argument(index, format!("invalid option '{text}'"))
            })
        }
    }
}

const SWITCH: &[&str] = &["off", "on"];

fn switch(stack: &Stack, index: i32, old: bool) -> Result<bool, Raise> {
    option(stack, index, usize::from(old), SWITCH).map(|chosen| chosen == 1)
}

fn encode_sparse_array(stack: &mut Stack) -> Outcome {
    let mut settings = take_arguments(stack, 3)?;
    // Each holds even when the next is wrong.
    settings.sparse_convert = switch(stack, 1, settings.sparse_convert)?;
    settings.write(stack);
    settings.sparse_ratio = integer(stack, 2, settings.sparse_ratio, 0, i32::MAX)?;
    settings.write(stack);
    settings.sparse_safe = integer(stack, 3, settings.sparse_safe, 0, i32::MAX)?;
    settings.write(stack);
    stack.push_bool(settings.sparse_convert);
    stack.push_number(f64::from(settings.sparse_ratio));
    stack.push_number(f64::from(settings.sparse_safe));
    Ok(3)
}

/// Reads and changes one integer setting.
fn change(stack: &mut Stack, setting: fn(&mut Settings) -> &mut i32, max: i32) -> Outcome {
    let mut settings = take_arguments(stack, 1)?;
    let value = integer(stack, 1, *setting(&mut settings), 1, max)?;
    *setting(&mut settings) = value;
    settings.write(stack);
    stack.push_number(f64::from(value));
    Ok(1)
}

fn encode_max_depth(stack: &mut Stack) -> Outcome {
    change(stack, |settings| &mut settings.encode_depth, i32::MAX)
}

fn decode_max_depth(stack: &mut Stack) -> Outcome {
    change(stack, |settings| &mut settings.decode_depth, i32::MAX)
}

fn encode_number_precision(stack: &mut Stack) -> Outcome {
    change(stack, |settings| &mut settings.precision, 14)
}

fn encode_keep_buffer(stack: &mut Stack) -> Outcome {
    let mut settings = take_arguments(stack, 1)?;
    settings.keeps_buffer = switch(stack, 1, settings.keeps_buffer)?;
    settings.write(stack);
    stack.push_bool(settings.keeps_buffer);
    Ok(1)
}

fn encode_invalid_numbers(stack: &mut Stack) -> Outcome {
    let mut settings = take_arguments(stack, 1)?;
    let old = settings.encode_invalid as usize;
    settings.encode_invalid = match option(stack, 1, old, &["off", "on", "null"])? {
        0 => InvalidNumbers::Refused,
        1 => InvalidNumbers::Written,
        _ => InvalidNumbers::Null,
    };
    settings.write(stack);
    match settings.encode_invalid {
        InvalidNumbers::Null => stack.push_bytes(b"null"),
        chosen => stack.push_bool(chosen == InvalidNumbers::Written),
    }
    Ok(1)
}

fn decode_invalid_numbers(stack: &mut Stack) -> Outcome {
    let mut settings = take_arguments(stack, 1)?;
    settings.decodes_invalid = switch(stack, 1, settings.decodes_invalid)?;
    settings.write(stack);
    stack.push_bool(settings.decodes_invalid);
    Ok(1)
}
