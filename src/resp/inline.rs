//! Inline requests: one line of words, quoted as in the Redis command line.

use super::batch::Span;

/// Quotes were left open, or a closing quote was followed by something other than a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnbalancedQuotes;

/// Splits `line` into words: unquoted ones are appended to `scratch`, with a space between two, and their places to
/// `spans`. O(line length).
///
/// Within double quotes `\n \r \t \b \a \xHH` and `\` before any other byte are escapes; within
/// single quotes only `\'` is. Quotes may open in the middle of a word, but a closing quote must
/// end it.
pub fn split_words(line: &[u8], scratch: &mut Vec<u8>, spans: &mut Vec<Span>) -> Result<(), UnbalancedQuotes> {
    let (mut rest, first) = (line, spans.len());
    loop {
        rest = skip_spaces(rest);
        if rest.is_empty() {
            return Ok(());
        }
        if spans.len() > first {
            scratch.push(b' ');
        }
        let start = scratch.len();
        rest = take_word(rest, scratch)?;
        spans.push(Span::range(start, scratch.len() - start));
    }
}

/// What C's `isspace` says in the "C" locale (which differs from `u8::is_ascii_whitespace` by the
/// vertical tab).
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn skip_spaces(line: &[u8]) -> &[u8] {
    let spaces = line.iter().take_while(|&&byte| is_space(byte)).count();
    &line[spaces..]
}

/// Appends the word at the start of `rest` to `scratch` and returns what follows it.
fn take_word<'a>(mut rest: &'a [u8], scratch: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        rest = match rest {
            [] => return Ok(rest),
            // Vertical tab and form feed separate words but do not end one.
            [b' ' | b'\n' | b'\r' | b'\t', ..] => return Ok(rest),
            [b'"', quoted @ ..] => return take_double_quoted(quoted, scratch),
            [b'\'', quoted @ ..] => return take_single_quoted(quoted, scratch),
            [byte, after @ ..] => {
                scratch.push(*byte);
                after
            }
        };
    }
}

fn take_double_quoted<'a>(mut rest: &'a [u8], scratch: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        rest = match rest {
            [] => return Err(UnbalancedQuotes),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                scratch.push(hex_digit(*high) << 4 | hex_digit(*low));
                after
            }
            [b'\\', escaped, after @ ..] => {
                scratch.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                after
            }
            [b'"', after @ ..] => return end_of_quotes(after),
            [byte, after @ ..] => {
                scratch.push(*byte);
                after
            }
        };
    }
}

fn take_single_quoted<'a>(mut rest: &'a [u8], scratch: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        rest = match rest {
            [] => return Err(UnbalancedQuotes),
            [b'\\', b'\'', after @ ..] => {
                scratch.push(b'\'');
                after
            }
            [b'\'', after @ ..] => return end_of_quotes(after),
            [byte, after @ ..] => {
                scratch.push(*byte);
                after
            }
        };
    }
}

fn end_of_quotes(after: &[u8]) -> Result<&[u8], UnbalancedQuotes> {
    match after.first() {
        Some(&byte) if !is_space(byte) => Err(UnbalancedQuotes),
        _ => Ok(after),
    }
}

fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}
