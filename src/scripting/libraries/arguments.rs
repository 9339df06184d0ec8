//! Arguments of library functions: read and refused as Lua's own functions do.

use std::borrow::Cow;

use crate::scripting::lua::{Kind, Raise, Stack};
use crate::scripting::numbers::format_short;

/// The error of a value of the wrong kind.
fn expected(stack: &Stack, index: i32, what: &str) -> Raise {
    let got = stack.kind(index).name();
    Raise::Argument(index, format!("{what} expected, got {got}"))
}

/// A string, or a number as a string.
///
/// Errors: it is something else.
pub fn text(stack: &Stack, index: i32) -> Result<Cow<'_, [u8]>, Raise> {
    if let Some(bytes) = stack.bytes(index) {
        return Ok(Cow::Borrowed(bytes));
    }
    match stack.number(index) {
        Some(number) => Ok(Cow::Owned(format_short(number).into_bytes())),
        None => Err(expected(stack, index, "string")),
    }
}

/// A number, or a string that spells one.
///
/// Errors: it is something else.
pub fn number(stack: &Stack, index: i32) -> Result<f64, Raise> {
    stack.to_number(index).ok_or_else(|| expected(stack, index, "number"))
}

/// A number without its fraction.
///
/// Errors: it is none.
pub fn integer(stack: &Stack, index: i32) -> Result<i64, Raise> {
    number(stack, index).map(|number| number as i64)
}

/// The same; none if there is no such argument, or it is nil.
///
/// Errors: it is something else.
pub fn optional_integer(stack: &Stack, index: i32) -> Result<Option<i64>, Raise> {
    match stack.kind(index) {
        Kind::Absent | Kind::Nil => Ok(None),
        _ => integer(stack, index).map(Some),
    }
}
