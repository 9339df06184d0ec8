//! The functions of `string` that search: find, match, gsub, and what gmatch is made of.

use crate::scripting::lua::{Kind, Native, Outcome, Raise, Stack};
use crate::scripting::numbers::format_short;

use super::patterns::{Capture, Matcher};
use super::{arguments, check_len, set_functions};

/// Pushes the table of them. `search` and `walk` are for the sandbox to make functions of.
pub fn push_table(stack: &mut Stack) {
    const FUNCTIONS: &[(&[u8], Native)] =
        &[(b"find", find), (b"match", match_), (b"gsub", gsub), (b"search", search), (b"walk", walk)];
    stack.push_table(0, 5);
    set_functions(stack, FUNCTIONS);
}

/// Where a search begins, from zero: negative numbers count from the end.
fn start(stack: &Stack, index: i32, len: usize) -> Result<usize, Raise> {
    let given = arguments::optional_integer(stack, index)?.unwrap_or(1);
    let from_one = if given < 0 { given.saturating_add(len as i64 + 1) } else { given };
    Ok(usize::try_from(from_one - 1).unwrap_or(0).min(len))
}

fn is_plain(pattern: &[u8]) -> bool {
    !pattern.iter().any(|byte| b"^$*+?.([%-".contains(byte))
}

/// Takes the `^` off that binds a pattern to the beginning.
fn anchor(pattern: &[u8]) -> (bool, &[u8]) {
    match pattern.split_first() {
        Some((b'^', rest)) => (true, rest),
        _ => (false, pattern),
    }
}

fn push_capture(stack: &Stack, capture: Capture<'_>) {
    match capture {
        Capture::Text(text) => stack.push_bytes(text),
        Capture::Position(position) => stack.push_number(position as f64),
    }
}

/// Pushes all captures; gives their number.
fn push_captures(stack: &Stack, matcher: &Matcher<'_>, start: usize, end: usize) -> Outcome {
    let count = matcher.capture_count();
    if !stack.reserve(count as i32 + 2) {
        return Err(Raise::Text("stack overflow (too many captures)".to_string()));
    }
    for index in 0..count {
        push_capture(stack, matcher.capture(index, start, end)?);
    }
    Ok(count as i32)
}

fn find(stack: &mut Stack) -> Outcome {
    let stack = &*stack;
    let text = arguments::text(stack, 1)?;
    let pattern = arguments::text(stack, 2)?;
    let start = start(stack, 3, text.len())?;
    if stack.truth(4) || is_plain(&pattern) {
        let Some(found) = memchr::memmem::find(&text[start..], &pattern) else {
            stack.push_nil();
            return Ok(1);
        };
        stack.push_number((start + found + 1) as f64);
        stack.push_number((start + found + pattern.len()) as f64);
        return Ok(2);
    }
    let (is_anchored, pattern) = anchor(&pattern);
    let mut matcher = Matcher::new(stack, &text, pattern);
    let Some((first, end)) = matcher.search(start, is_anchored)? else {
        stack.push_nil();
        return Ok(1);
    };
    stack.push_number((first + 1) as f64);
    stack.push_number(end as f64);
    // Unlike elsewhere the match itself is none of its captures.
    if !matcher.has_captures() {
        return Ok(2);
    }
    Ok(2 + push_captures(stack, &matcher, first, end)?)
}

fn match_(stack: &mut Stack) -> Outcome {
    let stack = &*stack;
    let text = arguments::text(stack, 1)?;
    let pattern = arguments::text(stack, 2)?;
    let start = start(stack, 3, text.len())?;
    let (is_anchored, pattern) = anchor(&pattern);
    let mut matcher = Matcher::new(stack, &text, pattern);
    match matcher.search(start, is_anchored)? {
        Some((first, end)) => push_captures(stack, &matcher, first, end),
        None => {
            stack.push_nil();
            Ok(1)
        }
    }
}

/// The next match from a place on: the place of its first byte, of its last, and its captures. Nil if there is none.
fn search(stack: &mut Stack) -> Outcome {
    let stack = &*stack;
    let text = arguments::text(stack, 1)?;
    let pattern = arguments::text(stack, 2)?;
    let start = start(stack, 3, text.len())?;
    let (is_anchored, pattern) = anchor(&pattern);
    let mut matcher = Matcher::new(stack, &text, pattern);
    let Some((first, end)) = matcher.search(start, is_anchored)? else {
        stack.push_nil();
        return Ok(1);
    };
    stack.push_number((first + 1) as f64);
    stack.push_number(end as f64);
    Ok(2 + push_captures(stack, &matcher, first, end)?)
}

/// One step of gmatch: where the next one begins, and this one's captures. Nil if there is no match, or no place.
fn walk(stack: &mut Stack) -> Outcome {
    let stack = &*stack;
    let text = arguments::text(stack, 1)?;
    let pattern = arguments::text(stack, 2)?;
    let place = stack.number(3).map(|place| place as usize);
    let start = place.filter(|place| *place <= text.len() + 1);
    // A `^` is a byte like any other here.
    let mut matcher = Matcher::new(stack, &text, &pattern);
    let found = match start {
        Some(start) => matcher.search(start - 1, false)?,
        None => None,
    };
    let Some((first, end)) = found else {
        stack.push_nil();
        return Ok(1);
    };
    let next = if end == first { end + 1 } else { end };
    stack.push_number((next + 1) as f64);
    Ok(1 + push_captures(stack, &matcher, first, end)?)
}

/// `gsub` with a string for each match.
fn gsub(stack: &mut Stack) -> Outcome {
    let mut out = Vec::new();
    let count = substitute(stack, &mut out)?;
    stack.push_bytes(&out);
    stack.push_number(count as f64);
    Ok(2)
}

fn substitute(stack: &Stack, out: &mut Vec<u8>) -> Result<usize, Raise> {
    let text = arguments::text(stack, 1)?;
    let pattern = arguments::text(stack, 2)?;
    let (is_anchored, pattern) = anchor(&pattern);
    let limit = arguments::optional_integer(stack, 4)?.unwrap_or(text.len() as i64 + 1);
    if !matches!(stack.kind(3), Kind::String | Kind::Number) {
        let reason = "string/function/table expected";
        return Err(Raise::Argument(3, reason.to_string()));
    }
    let replacement = arguments::text(stack, 3)?;
    let mut matcher = Matcher::new(stack, &text, pattern);
    let (mut at, mut count) = (0, 0);
    while (count as i64) < limit {
        let found = matcher.match_at(at)?;
        if let Some(end) = found {
            count += 1;
            check_len(stack, out)?;
            replace(&matcher, &replacement, at, end, out)?;
        }
        match found {
            Some(end) if end > at => at = end,
            _ if at < text.len() => {
                out.push(text[at]);
                at += 1;
            }
            _ => break,
        }
        if is_anchored {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
    Ok(count)
}

/// Writes a replacement, with captures in place of `%1`.
fn replace(
    matcher: &Matcher<'_>,
    replacement: &[u8],
    start: usize,
    end: usize,
    out: &mut Vec<u8>,
) -> Result<(), Raise> {
    let mut rest = replacement;
    while let Some(percent) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..percent]);
        // As in C the end of the string is a zero byte.
        let letter = rest.get(percent + 1).copied().unwrap_or(0);
        rest = rest.get(percent + 2..).unwrap_or_default();
        match letter {
            b'0' => out.extend_from_slice(matcher.whole(start, end)),
            b'1'..=b'9' => match matcher.capture(usize::from(letter - b'1'), start, end)? {
                Capture::Text(text) => out.extend_from_slice(text),
                Capture::Position(position) => {
                    out.extend_from_slice(format_short(position as f64).as_bytes());
                }
            },
            _ => out.push(letter),
        }
    }
    out.extend_from_slice(rest);
    Ok(())
}
