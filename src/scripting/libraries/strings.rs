//! The functions of `string` that take long where a text is long: the searches, which some patterns keep busy for ever,
//! and those that make a text of each byte. Lua's own could not be stopped.
//!
//! To Lua 5.1 a pattern ends at its first zero byte.

use std::borrow::Cow;

use crate::scripting::lua::{Kind, Native, Outcome, Raise, Saved, Stack, Step};
use crate::scripting::numbers::format_short;

use super::patterns::{Capture, Matcher};
use super::{VALUES_PER_LOOK, arguments, check_len, set_functions};

/// Pushes the table of them.
pub fn push_table(stack: &mut Stack) {
    const FUNCTIONS: &[(&[u8], Native)] = &[
        (b"find", find),
        (b"match", match_),
        (b"gmatch", gmatch),
        (b"gfind", gmatch),
        (b"lower", lower),
        (b"upper", upper),
        (b"reverse", reverse),
        (b"rep", rep),
    ];
    stack.push_table(0, 16);
    set_functions(stack, FUNCTIONS);
    stack.push_stepped(gsub);
    stack.set_field(-2, b"gsub");
}

/// The pattern that an argument is.
fn pattern(stack: &Stack, index: i32) -> Result<Cow<'_, [u8]>, Raise> {
    let whole = arguments::text(stack, index)?;
    let Some(end) = memchr::memchr(0, &whole) else {
        return Ok(whole);
    };
    Ok(match whole {
        Cow::Borrowed(whole) => Cow::Borrowed(&whole[..end]),
        Cow::Owned(mut whole) => {
            whole.truncate(end);
            Cow::Owned(whole)
        }
    })
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
    let whole = arguments::text(stack, 2)?;
    let start = start(stack, 3, text.len())?;
    let pattern = pattern(stack, 2)?;
    if stack.truth(4) || is_plain(&pattern) {
        let Some(found) = memchr::memmem::find(&text[start..], &whole) else {
            stack.push_nil();
            return Ok(1);
        };
        stack.push_number((start + found + 1) as f64);
        stack.push_number((start + found + whole.len()) as f64);
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
    let pattern = pattern(stack, 2)?;
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

/// Makes a function of which each call gives the next match. Its state: the text, the pattern, and where to go on.
fn gmatch(stack: &mut Stack) -> Outcome {
    arguments::text(stack, 1)?;
    arguments::text(stack, 2)?;
    stack.push_table(3, 0);
    for index in [1, 2] {
        stack.push_copy(index);
        stack.set_element(-2, index);
    }
    stack.push_native_with_state(next_match);
    Ok(1)
}

fn next_match(stack: &mut Stack) -> Outcome {
    stack.truncate(0);
    stack.push_state();
    for number in 1..=3 {
        stack.push_element(1, number);
    }
    let text = arguments::text(stack, 2)?;
    // A `^` is a byte like any other here.
    let pattern = pattern(stack, 3)?;
    let place = stack.number(4).unwrap_or_default() as usize;
    let mut matcher = Matcher::new(stack, &text, &pattern);
    let found = match place <= text.len() {
        true => matcher.search(place, false)?,
        false => None,
    };
    let Some((first, end)) = found else {
        return Ok(0);
    };
    let next = if end == first { end + 1 } else { end };
    stack.push_number(next as f64);
    let count = push_captures(stack, &matcher, first, end)?;
    drop((text, pattern));
    // What comes next stands below the captures.
    stack.push_copy(5);
    stack.set_element(1, 3);
    Ok(count)
}

/// The places of what `gsub` works with: its arguments, and the pieces of which the result is made.
const TEXT: i32 = 1;
const PATTERN: i32 = 2;
const REPLACEMENT: i32 = 3;
const PIECES: i32 = 4;

/// What `gsub` saves: where it looks at the text; where the match ends that is being replaced; up to where the text is
/// in the pieces, and their number; the number of matches, and the most that it may be.
const AT: usize = 0;
const END: usize = 1;
const COPIED: usize = 2;
const PIECE_COUNT: usize = 3;
const COUNT: usize = 4;
const LIMIT: usize = 5;
/// How often it has looked for a match.
const LOOKS: usize = 6;

/// `gsub`: where a function or a table gives what replaces a match, each step goes up to the next one.
fn gsub(stack: &mut Stack, saved: &mut Saved) -> Result<Step, Raise> {
    if saved.stage == 0 {
        let limit = begin_gsub(stack)?;
        if stack.kind(REPLACEMENT) == Kind::String {
            let mut out = Vec::new();
            let count = substitute(stack, limit, &mut out)?;
            stack.push_bytes(&out);
            stack.push_number(count as f64);
            return Ok(Step::Done(2));
        }
        saved.stage = 1;
        saved.numbers[LIMIT] = limit;
        stack.push_table(0, 0);
    } else {
        take_value(stack, saved)?;
        if !move_on(stack, saved) {
            return finish_gsub(stack, saved);
        }
    }
    while saved.numbers[COUNT] < saved.numbers[LIMIT] {
        if let Some(step) = ask_for_value(stack, saved)? {
            return Ok(step);
        }
        if !move_on(stack, saved) {
            break;
        }
    }
    finish_gsub(stack, saved)
}

/// Checks the arguments, makes texts of numbers, and gives how many matches may be replaced.
fn begin_gsub(stack: &mut Stack) -> Result<usize, Raise> {
    let text_len = arguments::text(stack, TEXT)?.len();
    arguments::text(stack, PATTERN)?;
    let limit = arguments::optional_integer(stack, 4)?.unwrap_or(text_len as i64 + 1) as i32;
    let kind = stack.kind(REPLACEMENT);
    if !matches!(kind, Kind::String | Kind::Number | Kind::Table | Kind::Function) {
        let reason = "string/function/table expected";
        return Err(Raise::Argument(REPLACEMENT, reason.to_string()));
    }
    stack.truncate(REPLACEMENT);
    for index in [TEXT, PATTERN, REPLACEMENT] {
        if let Some(number) = stack.number(index) {
            stack.push_bytes(format_short(number).as_bytes());
            stack.replace(index);
        }
    }
    Ok(limit.max(0) as usize)
}

/// Looks for a match right here and, if there is one, asks for what is to replace it.
fn ask_for_value(stack: &Stack, saved: &mut Saved) -> Result<Option<Step>, Raise> {
    let text = stack.bytes(TEXT).unwrap_or_default();
    let whole = pattern(stack, PATTERN)?;
    let (_, pattern) = anchor(&whole);
    let mut matcher = Matcher::new(stack, text, pattern);
    let at = saved.numbers[AT];
    saved.numbers[LOOKS] += 1;
    if saved.numbers[LOOKS].is_multiple_of(VALUES_PER_LOOK as usize) {
        stack.breathe()?;
    }
    saved.numbers[END] = at;
    let Some(end) = matcher.match_at(at)? else {
        return Ok(None);
    };
    saved.numbers[COUNT] += 1;
    saved.numbers[END] = end;
    if stack.kind(REPLACEMENT) == Kind::Table {
        push_capture(stack, matcher.capture(0, at, end)?);
        return Ok(Some(Step::Read(REPLACEMENT)));
    }
    stack.push_copy(REPLACEMENT);
    let count = push_captures(stack, &matcher, at, end)?;
    Ok(Some(Step::Call(count)))
}

/// Takes the value off that replaces the match; nil and false leave it as it is.
fn take_value(stack: &mut Stack, saved: &mut Saved) -> Result<(), Raise> {
    if !stack.truth(-1) {
        stack.pop(1);
        return Ok(());
    }
    if !matches!(stack.kind(-1), Kind::String | Kind::Number) {
        let kind = stack.kind(-1).name();
        let text = format!("invalid replacement value (a {kind})");
        return Err(Raise::Text(text));
    }
    let [at, end, copied, pieces, ..] = saved.numbers;
    let before = &stack.bytes(TEXT).unwrap_or_default()[copied..at];
    stack.push_bytes(before);
    stack.set_element(PIECES, pieces as i32 + 1);
    stack.set_element(PIECES, pieces as i32 + 2);
    saved.numbers[PIECE_COUNT] += 2;
    saved.numbers[COPIED] = end;
    Ok(())
}

/// Goes behind the match, or to the next byte; tells whether there is more to look at.
fn move_on(stack: &Stack, saved: &mut Saved) -> bool {
    let text_len = stack.bytes(TEXT).unwrap_or_default().len();
    let is_anchored = stack.bytes(PATTERN).unwrap_or_default().first() == Some(&b'^');
    let [at, end, ..] = saved.numbers;
    if end > at {
        saved.numbers[AT] = end;
    } else if at < text_len {
        saved.numbers[AT] = at + 1;
    } else {
        return false;
    }
    !is_anchored
}

/// Pushes the result and the number of matches.
fn finish_gsub(stack: &mut Stack, saved: &Saved) -> Result<Step, Raise> {
    let [_, _, copied, pieces, count, ..] = saved.numbers;
    let mut out = Vec::new();
    for number in 1..=pieces {
        stack.push_element(PIECES, number as i32);
        out.extend_from_slice(&arguments::text(stack, -1)?);
        stack.pop(1);
        check_len(stack, &out)?;
    }
    out.extend_from_slice(&stack.bytes(TEXT).unwrap_or_default()[copied..]);
    stack.push_bytes(&out);
    stack.push_number(count as f64);
    Ok(Step::Done(2))
}

/// `gsub` with a text for each match; gives the number of matches.
fn substitute(stack: &Stack, limit: usize, out: &mut Vec<u8>) -> Result<usize, Raise> {
    let text = stack.bytes(TEXT).unwrap_or_default();
    let replacement = stack.bytes(REPLACEMENT).unwrap_or_default();
    let whole = pattern(stack, PATTERN)?;
    let (is_anchored, pattern) = anchor(&whole);
    let mut matcher = Matcher::new(stack, text, pattern);
    let (mut at, mut count) = (0, 0);
    while count < limit {
        let found = matcher.match_at(at)?;
        if let Some(end) = found {
            count += 1;
            check_len(stack, out)?;
            replace(&matcher, replacement, at, end, out)?;
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

/// Bytes that are written between two looks at the clock.
const PIECE_BYTES: usize = 1 << 20;

/// Makes a text of the bytes of another.
fn make(stack: &mut Stack, change: fn(&[u8], &mut Vec<u8>), is_backwards: bool) -> Outcome {
    let mut out = Vec::new();
    let text = arguments::text(stack, 1)?;
    out.reserve_exact(text.len());
    let pieces = text.len().div_ceil(PIECE_BYTES);
    for number in 0..pieces {
        let number = if is_backwards { pieces - 1 - number } else { number };
        let begin = number * PIECE_BYTES;
        change(&text[begin..text.len().min(begin + PIECE_BYTES)], &mut out);
        stack.breathe()?;
    }
    drop(text);
    stack.push_bytes(&out);
    Ok(1)
}

fn lower(stack: &mut Stack) -> Outcome {
    let change = |piece: &[u8], out: &mut Vec<u8>| {
        out.extend(piece.iter().map(u8::to_ascii_lowercase));
    };
    make(stack, change, false)
}

fn upper(stack: &mut Stack) -> Outcome {
    let change = |piece: &[u8], out: &mut Vec<u8>| {
        out.extend(piece.iter().map(u8::to_ascii_uppercase));
    };
    make(stack, change, false)
}

fn reverse(stack: &mut Stack) -> Outcome {
    let change = |piece: &[u8], out: &mut Vec<u8>| out.extend(piece.iter().rev());
    make(stack, change, true)
}

fn rep(stack: &mut Stack) -> Outcome {
    let text = arguments::text(stack, 1)?;
    let count = usize::try_from(arguments::integer(stack, 2)? as i32).unwrap_or(0);
    let len = text.len().saturating_mul(count);
    if len > stack.memory_limit_bytes() {
        return Err(Raise::Bare("not enough memory".to_string()));
    }
    let mut out = Vec::with_capacity(len);
    if !text.is_empty() {
        while out.len() < len {
            // Doubled, a piece at a time.
            let more = match out.len() {
                0 => text.len(),
                done => done.min(len - done).min(PIECE_BYTES.next_multiple_of(text.len())),
            };
            if out.is_empty() {
                out.extend_from_slice(&text);
            } else {
                out.extend_from_within(..more);
            }
            if more >= PIECE_BYTES {
                stack.breathe()?;
            }
        }
    }
    drop(text);
    stack.push_bytes(&out);
    Ok(1)
}
