//! Requests as they come over the wire.

use std::ops::Range;

use crate::text::quoting::split_arguments;

/// A request within received bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Where the bytes behind it begin.
    pub end: usize,
    pub words: Words,
}

/// The words of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Words {
    /// Where each of them stands.
    Multibulk(Vec<Range<usize>>),
    /// A line, to be split.
    Inline(Range<usize>),
}

/// What was received begins no request: the server closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The request that begins the bytes; nothing while it is not complete. O(words).
///
/// Errors: these bytes begin none.
pub fn next_request(bytes: &[u8]) -> Result<Option<Found>, Malformed> {
    let Some((line, mut at)) = line_at(bytes, 0) else { return Ok(None) };
    if bytes[0] != b'*' {
        return Ok(Some(Found { end: at, words: Words::Inline(line) }));
    }
    let count = number(&bytes[line])?;
    let mut words = Vec::new();
    for _ in 0..count.max(0) {
        let Some((line, start)) = line_at(bytes, at) else { return Ok(None) };
        if bytes[line.start] != b'$' {
            return Err(Malformed);
        }
        let end = usize::try_from(number(&bytes[line])?).ok().and_then(|length| start.checked_add(length));
        let end = end.ok_or(Malformed)?;
        if bytes.len() < end + 2 {
            return Ok(None);
        }
        words.push(start..end);
        at = end + 2;
    }
    Ok(Some(Found { end: at, words: Words::Multibulk(words) }))
}

impl Found {
    /// The words themselves.
    ///
    /// Errors: a line with unbalanced quotes.
    pub fn words(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
        match &self.words {
            Words::Multibulk(places) => Ok(places.iter().map(|place| bytes[place.clone()].to_vec()).collect()),
            Words::Inline(line) => split_arguments(&bytes[line.clone()]).ok_or(Malformed),
        }
    }
}

/// The line that begins there without its end, and where the next one begins.
fn line_at(bytes: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    let rest = bytes.get(at..)?;
    let length = memchr::memchr(b'\n', rest)?;
    let shown = if rest[..length].ends_with(b"\r") { length - 1 } else { length };
    // Within a request no line is empty: its first byte can be looked at.
    (shown > 0 || at == 0).then_some((at..at + shown, at + length + 1))
}

fn number(line: &[u8]) -> Result<i64, Malformed> {
    let text = std::str::from_utf8(&line[1..]).map_err(|_| Malformed)?;
    text.parse().map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_found_as_soon_as_they_are_complete() {
        let bytes = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING 'a b'\r\n\r\n*0\r\n";
        for end in 1..20 {
            assert_eq!(next_request(&bytes[..end]), Ok(None), "{end}");
        }
        let mut at = 0;
        let mut found = Vec::new();
        while let Some(request) = next_request(&bytes[at..]).unwrap() {
            found.push(request.words(&bytes[at..]).unwrap());
            at += request.end;
            if at == bytes.len() {
                break;
            }
        }
        let words = |text: &str| text.split('|').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(found, [words("GET|k"), words("PING|a b"), vec![], vec![]]);
        for wrong in ["*x\r\n", "*1\r\n:1\r\n", "*1\r\n$-1\r\n", "*1\r\n$x\r\n"] {
            assert_eq!(next_request(wrong.as_bytes()), Err(Malformed), "{wrong}");
        }
    }
}
