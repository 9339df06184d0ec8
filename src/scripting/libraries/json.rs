//! `cjson`: its table, and the settings that its functions share.

use super::json_settings::{DEFAULTS, InvalidNumbers, Settings};
use crate::scripting::lua::{Kind, Native, Outcome, Raise, Stack};

use super::{arguments, json_decode, json_encode};

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
                let reason = [b"invalid option '", &text[..], b"'"].concat();
                Raise::ArgumentBytes(index, reason)
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
