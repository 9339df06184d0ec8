//! Errors of native functions, and how their messages are put together.

use super::stack::Stack;

/// Why a native function fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raise {
    /// With the value on top of the stack.
    Value,
    /// With a message, put behind the place in the script that called.
    Text(String),
    /// The same, without the place.
    Bare(String),
    /// An argument is wrong: its number and why, worded as Lua's own functions do.
    Argument(i32, String),
    /// The same with bytes of the script's own.
    ArgumentBytes(i32, Vec<u8>),
}

/// How many results lie on the stack, or what is to be raised.
pub type Outcome = Result<i32, Raise>;

/// Leaves the error value on top of the stack.
pub(super) fn raise(stack: &Stack, error: Raise) {
    match error {
        Raise::Value => {}
        Raise::Text(text) => {
            let place = stack.place(1).map(|place| place.prefix());
            stack.push_bytes(format!("{}{text}", place.unwrap_or_default()).as_bytes());
        }
        Raise::Bare(text) => stack.push_bytes(text.as_bytes()),
        Raise::Argument(index, reason) => {
            raise(stack, Raise::ArgumentBytes(index, reason.into_bytes()));
        }
        Raise::ArgumentBytes(index, reason) => {
            let place = stack.place(1).map(|place| place.prefix());
            let before = argument_error(stack, index);
            let place = place.unwrap_or_default();
            let parts = [place.as_bytes(), before.as_bytes(), &reason, b")"];
            stack.push_bytes(&parts.concat());
        }
    }
}

/// What stands before the reason in the message about an argument of the native function that runs.
fn argument_error(stack: &Stack, index: i32) -> String {
    let (name, is_method) = stack.called_as();
    match (index, is_method) {
        (1, true) => format!("calling '{name}' on bad self ("),
        (index, true) => format!("bad argument #{} to '{name}' (", index - 1),
        (index, false) => format!("bad argument #{index} to '{name}' ("),
    }
}
