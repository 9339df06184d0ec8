//! Errors between Lua and replies: tables with a field `err`, and where in which script they were raised.

use crate::command::error::CommandError;

use super::lua::{Kind, Place, Raise, Saved, Stack, Step};

/// Pushes an error as scripts see it, `{err = text}`; with `is_counted` also saying that the statistics have it. As in
/// C a zero byte ends the text.
pub fn push(stack: &mut Stack, text: impl AsRef<[u8]>, is_counted: bool) {
    stack.push_table(0, 0);
    stack.push_bytes(trim(c_text(text.as_ref())));
    stack.set_field(-2, b"err");
    if is_counted {
        stack.push_bool(true);
        stack.set_field(-2, b"ignore_error_stats_update");
    }
}

/// The error of a function of the `redis` table that was called in the wrong way: `text` goes without a code.
pub fn misuse<T>(stack: &mut Stack, text: &str) -> Result<T, Raise> {
    push(stack, format!("ERR {text}"), false);
    Err(Raise::Value)
}

fn trim(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    &text[..end]
}

/// The Lua part of the handler of errors: gives two functions, which note the place in a table with a metatable; the
/// second also reads the error through the metatable.
pub const HANDLER: &str = include_str!("handler.lua");

/// The handler of errors that nothing in a script catches: makes a table of the error and notes the place where it was
/// raised.
///
/// Its state is one of the functions of [`HANDLER`], for tables whose metamethods have a say in that.
pub fn handle(stack: &mut Stack, saved: &mut Saved) -> Result<Step, Raise> {
    if saved.stage > 0 {
        return Ok(Step::Done(1));
    }
    saved.stage = 1;
    stack.truncate(1);
    if stack.kind(1) != Kind::Table {
        let text = [b"ERR ", text_of(stack, 1).as_slice()].concat();
        // Lua's own texts may hold zero bytes.
        stack.push_table(0, 0);
        stack.push_bytes(&text);
        stack.set_field(-2, b"err");
    }
    // A native function is not the place; the one that called it is.
    let found = match stack.place(1) {
        Some(place) if place.is_native => stack.place(2),
        found => found,
    };
    if stack.push_metatable(-1) {
        stack.truncate(1);
        stack.push_state();
        stack.insert(1);
        if let Some(place) = &found {
            push_place(stack, place);
        }
        return Ok(Step::Call(stack.len() - 1));
    }
    if let Some(place) = &found {
        push_place(stack, place);
        stack.set_field(-3, b"line");
        stack.set_field(-2, b"source");
    }
    Ok(Step::Done(1))
}

fn push_place(stack: &Stack, place: &Place) {
    stack.push_bytes(place.source.as_bytes());
    stack.push_number(f64::from(place.line));
}

/// A value as `tostring` shows it, metamethods aside.
fn text_of(stack: &Stack, index: i32) -> Vec<u8> {
    let text = match stack.kind(index) {
        Kind::String => return stack.bytes(index).unwrap_or_default().to_vec(),
        Kind::Number => super::numbers::format_short(stack.number(index).unwrap_or_default()),
        Kind::Boolean => stack.truth(index).to_string(),
        Kind::Nil => "nil".to_string(),
        kind => format!("{}: {:#x}", kind.name(), stack.shown_address(index)),
    };
    text.into_bytes()
}

/// Bytes as a text, for the log and the statistics.
pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a table with a field `err` says.
pub struct Failure {
    pub text: Vec<u8>,
    /// Where it was raised, if that is known.
    pub place: Option<(Vec<u8>, Vec<u8>)>,
    /// Whether the statistics have it already.
    pub is_counted: bool,
}

/// Reads the error at a place.
pub fn read(stack: &mut Stack, index: i32) -> Failure {
    let index = stack.absolute(index);
    if let Some(bytes) = stack.bytes(index) {
        return Failure { text: [b"ERR ", c_text(bytes)].concat(), place: None, is_counted: false };
    }
    let text = field(stack, index, b"err").unwrap_or_else(|| b"ERR unknown error".to_vec());
    let source = field(stack, index, b"source");
    let line = field(stack, index, b"line");
    stack.push_field(index, b"ignore_error_stats_update");
    let is_counted = stack.truth(-1);
    stack.pop(1);
    Failure { text, place: source.zip(line), is_counted }
}

/// What C sees of a text: what comes before its first zero byte.
pub fn c_text(bytes: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    &bytes[..end]
}

fn field(stack: &mut Stack, table: i32, name: &[u8]) -> Option<Vec<u8>> {
    stack.push_field(table, name);
    let text = match stack.kind(-1) {
        Kind::String | Kind::Number => Some(c_text(&text_of(stack, -1)).to_vec()),
        _ => None,
    };
    stack.pop(1);
    text
}

/// The error reply for an uncaught error, which lies on top: its text, and the script or function with the place, if
/// that is known.
pub fn uncaught(stack: &mut Stack, name: &str) -> CommandError {
    if stack.kind(-1) != Kind::Table {
        let text = stack.bytes(-1).map_or("execution failure".to_string(), lossy);
        let shown: String = text.chars().take(100).collect();
        return CommandError::new(format!("ERR Error running script {name}, {shown}"));
    }
    let failure = read(stack, -1);
    let mut whole = failure.text;
    if let Some((source, line)) = failure.place {
        whole.extend_from_slice(format!(" script: {name}, on ").as_bytes());
        whole.extend_from_slice(&source);
        whole.push(b':');
        whole.extend_from_slice(&line);
        whole.push(b'.');
    }
    let error = CommandError::of_bytes(whole);
    if failure.is_counted { error.as_counted() } else { error }
}
