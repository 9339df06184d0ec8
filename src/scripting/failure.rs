//! Errors between Lua and replies: tables with a field `err`, and where in which script they were raised.

use crate::command::error::CommandError;

use super::lua::{INTERNAL, Kind, Outcome, Raise, Stack};

/// Levels of the call stack that are searched for the place of an error.
const LEVELS_MAX: i32 = 12;

/// Pushes an error as scripts see it, `{err = text}`; with `is_counted` also saying that the statistics have it.
pub fn push(stack: &mut Stack, text: &str, is_counted: bool) {
    stack.push_table(0, 4);
    stack.push_bytes(trim(text.as_bytes()));
    stack.set_field(-2, b"err");
    if is_counted {
        stack.push_bool(true);
        stack.set_field(-2, b"ignore_error_stats_update");
    }
}

/// The error of a function of the `redis` table that was called in the wrong way: `text` goes without a code.
pub fn misuse<T>(stack: &mut Stack, text: &str) -> Result<T, Raise> {
    push(stack, &format!("ERR {text}"), false);
    Err(Raise::Value)
}

fn trim(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    &text[..end]
}

/// The handler of errors that nothing in a script catches: makes a table of the error and notes the place where it was raised.
pub fn handle(stack: &mut Stack) -> Outcome {
    stack.truncate(1);
    if stack.kind(1) != Kind::Table {
        let text = format!("ERR {}", text_of(stack, 1));
        push(stack, &text, false);
    }
    let mut places = (1..LEVELS_MAX).map_while(|level| stack.place(level));
    let found = places.find(|place| !place.is_native && place.source != INTERNAL);
    if let Some(place) = found {
        stack.push_bytes(place.source.as_bytes());
        stack.set_field(-2, b"source");
        stack.push_number(f64::from(place.line));
        stack.set_field(-2, b"line");
    }
    Ok(1)
}

/// A value as `tostring` shows it, metamethods aside.
fn text_of(stack: &Stack, index: i32) -> String {
    match stack.kind(index) {
        Kind::String => lossy(stack.bytes(index).unwrap_or_default()),
        Kind::Number => super::numbers::format_short(stack.number(index).unwrap_or_default()),
        Kind::Boolean => stack.truth(index).to_string(),
        Kind::Nil => "nil".to_string(),
        kind => format!("{}: {:#x}", kind.name(), stack.identity(index)),
    }
}

/// Texts of errors are texts, whatever bytes a script puts into them.
pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a table with a field `err` says.
pub struct Failure {
    pub text: String,
    /// Where it was raised, if that is known.
    pub place: Option<(String, String)>,
    /// Whether the statistics have it already.
    pub is_counted: bool,
}

/// Reads the error at a place.
pub fn read(stack: &mut Stack, index: i32) -> Failure {
    let index = stack.absolute(index);
    if let Some(bytes) = stack.bytes(index) {
        return Failure { text: format!("ERR {}", lossy(bytes)), place: None, is_counted: false };
    }
    let text = field(stack, index, b"err").unwrap_or_else(|| "ERR unknown error".to_string());
    let source = field(stack, index, b"source");
    let line = field(stack, index, b"line");
    stack.push_field(index, b"ignore_error_stats_update");
    let is_counted = stack.truth(-1);
    stack.pop(1);
    Failure { text, place: source.zip(line), is_counted }
}

fn field(stack: &mut Stack, table: i32, name: &[u8]) -> Option<String> {
    stack.push_field(table, name);
    let text = match stack.kind(-1) {
        Kind::String | Kind::Number => Some(text_of(stack, -1)),
        _ => None,
    };
    stack.pop(1);
    text
}

/// The error reply for an uncaught error, which lies on top: its text, the script or function, and the place.
pub fn uncaught(stack: &mut Stack, name: &str) -> CommandError {
    if stack.kind(-1) != Kind::Table {
        let text = stack.bytes(-1).map_or("execution failure".to_string(), lossy);
        let shown: String = text.chars().take(100).collect();
        return CommandError::new(format!("ERR Error running script {name}, {shown}"));
    }
    let failure = read(stack, -1);
    let Failure { text, place, .. } = &failure;
    let whole = match place {
        Some((source, line)) => format!("{text} script: {name}, on {source}:{line}."),
        None => format!("{text} script: {name}"),
    };
    if failure.is_counted { CommandError::already_counted(whole) } else { CommandError::new(whole) }
}
