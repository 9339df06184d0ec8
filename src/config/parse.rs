//! Parsing of single values, with the reasons for refusal in Redis's words.

use super::directive::Notation;
use crate::text::memory_size;

/// `yes` or `no`.
pub(super) fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// Parses `yes` or `no`, whatever the case.
pub(super) fn boolean(argument: &[u8]) -> Result<bool, String> {
    if argument.eq_ignore_ascii_case(b"yes") {
        Ok(true)
    } else if argument.eq_ignore_ascii_case(b"no") {
        Ok(false)
    } else {
        Err("argument must be 'yes' or 'no'".into())
    }
}

/// Parses a text, which must be UTF-8.
pub(super) fn text(argument: &[u8]) -> Result<String, String> {
    String::from_utf8(argument.to_vec()).map_err(|_| "argument must be valid UTF-8".into())
}

/// Parses a number in the notation and checks its range.
pub(super) fn integer(notation: Notation, minimum: i128, maximum: i128, argument: &[u8]) -> Result<i128, String> {
    let value = match notation {
        Notation::Decimal => {
            strict_decimal(argument).map(i128::from).ok_or("argument couldn't be parsed into an integer")?
        }
        Notation::Memory => memory_size::parse(argument).map(i128::from).ok_or("argument must be a memory value")?,
        Notation::Octal => octal(argument).ok_or("argument couldn't be parsed as an octal number")?,
    };
    if (minimum..=maximum).contains(&value) {
        return Ok(value);
    }
    Err(match notation {
        Notation::Octal => {
            format!("argument must be between {minimum:o} and {maximum:o} inclusive")
        }
        _ => format!("argument must be between {minimum} and {maximum} inclusive"),
    })
}

/// Parses a signed 64-bit number in its one canonical form: no blanks, no plus sign, no leading zeros.
pub(super) fn strict_decimal(argument: &[u8]) -> Option<i64> {
    let digits = argument.strip_prefix(b"-").unwrap_or(argument);
    let is_canonical = match digits {
        [b'0'] => argument.len() == 1,
        [b'1'..=b'9', ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !is_canonical {
        return None;
    }
    std::str::from_utf8(argument).ok()?.parse().ok()
}

/// Parses a number as C's `strtoll` does, but to its end: leading blanks and a sign are let through.
pub(super) fn lenient_number(argument: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(argument).ok()?;
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    text.parse().ok()
}

fn octal(argument: &[u8]) -> Option<i128> {
    let text = std::str::from_utf8(argument).ok()?;
    i64::from_str_radix(text, 8).ok().map(i128::from)
}

/// The system's reason for an error as C's `strerror` words it, without the number that Rust adds.
pub fn system_reason(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::NotFound {
        return "No such file or directory".into();
    }
    let reason = error.to_string();
    reason.split_once(" (os error ").map_or(reason.clone(), |(text, _)| text.to_owned())
}

/// The reason for refusing a word that is not in the list.
pub(super) fn unknown_word(words: &[&str]) -> String {
    format!("argument(s) must be one of the following: {}", words.join(", "))
}
