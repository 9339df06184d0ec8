//! Reads what was appended: commands and times, from bytes that are fed chunk by chunk. Sans I/O.
//!
//! A genuine server accepts more than it writes: a header line needs no CR, its number may be followed by anything, and
//! any two bytes may stand behind an argument. Its tool that checks files accepts none of these. The reader does either
//! ([`Strictness`]).

use std::ops::Range;

use super::history::HistoryMark;

/// Longest header line of a command or an argument, and longest annotation, with the line end, in bytes.
const LINE_MAX: usize = 1023;
/// Most arguments of one command, and the longest one, in bytes: so much no server writes.
const ARGUMENTS_MAX: u64 = 1 << 31;
const ARGUMENT_BYTES_MAX: u64 = 1 << 40;

/// What the reader accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// What a server loads.
    #[default]
    Lenient,
    /// What a server writes.
    Strict,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A whole command; its arguments are in [`AppendedReader::argument`].
    Command,
    /// A time, in seconds since the epoch.
    Time(i64),
    /// An annotation that should be a time, and is not.
    BadTime,
    /// How far the history of writes had come.
    History(HistoryMark),
    /// An annotation of another kind, which is skipped.
    Annotation,
    /// More bytes are needed. At the end of the file: it ends here, in the middle of something if there is a rest.
    Incomplete,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub offset: u64,
    /// Lines up to there, as the tool counts them.
    pub lines: u64,
    pub reason: String,
}

/// A reader of commands.
#[derive(Default)]
pub struct AppendedReader {
    strictness: Strictness,
    /// What was fed and not read, from `start` on.
    bytes: Vec<u8>,
    start: usize,
    /// Where in the file `start` is.
    offset: u64,
    /// Lines read so far, as the tool counts them.
    lines: u64,
    arguments: Vec<Range<usize>>,
    /// Which of them is the first one of the command that was found last, or is being read.
    first: usize,
    /// What is known of a command that is not complete.
    partial: Option<Partial>,
}

/// A command of which a part is there.
struct Partial {
    left: u64,
    /// Behind its last complete argument.
    position: usize,
    lines: u64,
    /// No use looking before so many bytes are there.
    needed: usize,
}

impl AppendedReader {
    /// A reader that has read nothing.
    pub fn new(strictness: Strictness) -> AppendedReader {
        AppendedReader { strictness, ..AppendedReader::default() }
    }

    /// Takes in more bytes; the commands that were found are forgotten. O(bytes).
    pub fn feed(&mut self, chunk: &[u8]) {
        self.forget();
        if self.start > 0 {
            // Positions count from the start of the command.
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(chunk);
    }

    /// Where what was read ends: the next command begins there.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the last argument of the command that was found last begins.
    pub fn last_argument_offset(&self) -> u64 {
        let begin = self.arguments.last().map_or(self.start, |last| last.start);
        self.offset - (self.start - begin) as u64
    }

    /// What is missing of an argument, if the file ends within one.
    pub fn missing(&self) -> Option<Malformed> {
        let partial = self.partial.as_ref()?;
        let number = self.number(self.start + partial.position, b'$');
        let (length, begin) = number.ok()??;
        let (wanted, found) = (length + 2, self.bytes.len() - begin);
        let reason = format!("Expected to read {wanted} bytes, got {found} bytes");
        let malformed = self.malformed(begin, reason);
        Some(Malformed { lines: malformed.lines + partial.lines + 1, ..malformed })
    }

    /// Number of lines up to there.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Where what was fed ends.
    pub fn end(&self) -> u64 {
        self.offset + (self.bytes.len() - self.start) as u64
    }

    /// Whether bytes are left that are no whole command.
    pub fn has_rest(&self) -> bool {
        self.start < self.bytes.len()
    }

    /// Whether these bytes begin a command or an annotation.
    pub fn begins_command(&self) -> bool {
        matches!(self.bytes.get(self.start), Some(b'*' | b'#'))
    }

    /// Whether these bytes begin an annotation, so that no command is lost with them.
    pub fn rest_is_annotation(&self) -> bool {
        self.bytes.get(self.start) == Some(&b'#')
    }

    /// Number of arguments of the command that was found last.
    pub fn len(&self) -> usize {
        self.last_arguments().len()
    }

    /// Whether no command was found last.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An argument of the command that was found last.
    pub fn argument(&self, index: usize) -> &[u8] {
        &self.bytes[self.arguments[self.first + index].clone()]
    }

    /// All arguments of it.
    pub fn arguments(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.arguments_at(self.last_arguments())
    }

    /// Where its arguments are among those of all commands that were found and not forgotten.
    pub fn last_arguments(&self) -> Range<usize> {
        self.first..self.arguments.len()
    }

    /// The arguments of a command that is not forgotten.
    pub fn arguments_at(&self, place: Range<usize>) -> impl ExactSizeIterator<Item = &[u8]> {
        let ranges = self.arguments[place].iter();
        ranges.map(|range| &self.bytes[range.clone()])
    }

    /// Finds what comes next, and forgets the commands that were found before.
    ///
    /// # Errors
    ///
    /// It is neither a command nor an annotation.
    pub fn advance(&mut self) -> Result<Found, Malformed> {
        self.forget();
        self.find_more()
    }

    /// Forgets the commands that were found.
    pub fn forget(&mut self) {
        let done = match self.partial {
            Some(_) => self.first,
            None => self.arguments.len(),
        };
        self.arguments.drain(..done);
        self.first = 0;
    }

    /// Finds what comes next; the commands that were found before are still there.
    ///
    /// # Errors
    ///
    /// It is neither a command nor an annotation.
    pub fn find_more(&mut self) -> Result<Found, Malformed> {
        if self.partial.is_none() {
            self.first = self.arguments.len();
        }
        let Some(first) = self.bytes.get(self.start) else {
            return Ok(Found::Incomplete);
        };
        match first {
            b'#' => self.annotation(),
            _ => self.command(),
        }
    }

    fn malformed(&self, position: usize, reason: String) -> Malformed {
        Malformed { offset: self.offset + (position - self.start) as u64, lines: self.lines, reason }
    }

    /// A line from a position on, without its LF, and where the next one begins.
    fn line(&self, position: usize) -> Result<Option<(&[u8], usize)>, Malformed> {
        let rest = &self.bytes[position..];
        let window = &rest[..rest.len().min(LINE_MAX)];
        match memchr::memchr(b'\n', window) {
            Some(end) => Ok(Some((&rest[..end], position + end + 1))),
            None if window.len() == LINE_MAX => {
                let reason = "The line is too long".to_string();
                Err(self.malformed(position, reason))
            }
            None => Ok(None),
        }
    }

    fn annotation(&mut self) -> Result<Found, Malformed> {
        let Some((line, next)) = self.line(self.start)? else {
            return Ok(Found::Incomplete);
        };
        let found = match line.strip_prefix(b"#TS:") {
            None => HistoryMark::parse(line).map_or(Found::Annotation, Found::History),
            Some(text) => match leading_number(text) {
                (time_s, b"\r") => Found::Time(time_s),
                _ => Found::BadTime,
            },
        };
        self.pass(next, 0);
        Ok(found)
    }

    /// Goes on behind what was found.
    fn pass(&mut self, position: usize, lines: u64) {
        self.offset += (position - self.start) as u64;
        self.start = position;
        self.lines += lines;
    }

    /// A number after a letter, and where the next line begins.
    fn number(&self, position: usize, prefix: u8) -> Result<Option<(i64, usize)>, Malformed> {
        if let Some(found) = self.bytes.get(position)
            && *found != prefix
        {
            let (expected, found) = (prefix as char, *found as char);
            let reason = format!("Expected prefix '{expected}', got: '{found}'");
            return Err(self.malformed(position, reason));
        }
        let Some((line, next)) = self.line(position)? else {
            return Ok(None);
        };
        let (number, rest) = leading_number(&line[1..]);
        if self.strictness == Strictness::Strict && rest != b"\r" {
            let mut found = rest.iter().chain(b"\n\0");
            let mut byte = || found.next().copied().unwrap_or_default();
            let reason = format!("Expected \\r\\n, got: {:02x}{:02x}", byte(), byte());
            return Err(self.malformed(position, reason));
        }
        Ok(Some((number, next)))
    }

    fn command(&mut self) -> Result<Found, Malformed> {
        let mut partial = match self.partial.take() {
            Some(partial) => partial,
            None => {
                let Some((count, position)) = self.number(self.start, b'*')? else {
                    return Ok(Found::Incomplete);
                };
                let left = u64::try_from(count).unwrap_or(0);
                if left == 0 || left > ARGUMENTS_MAX {
                    let reason = format!("Expected the number of arguments, got {count}");
                    return Err(self.malformed(self.start, reason));
                }
                Partial { left, position: position - self.start, lines: 1, needed: 0 }
            }
        };
        let is_complete = self.bytes.len() - self.start >= partial.needed
            && self
                .gather_arguments(&mut partial)
                .map_err(|malformed| Malformed { lines: malformed.lines + partial.lines, ..malformed })?;
        if !is_complete {
            self.partial = Some(partial);
            return Ok(Found::Incomplete);
        }
        // Until now they counted from the start of the command.
        for range in &mut self.arguments[self.first..] {
            *range = range.start + self.start..range.end + self.start;
        }
        self.pass(self.start + partial.position, partial.lines);
        Ok(Found::Command)
    }

    /// Finds the arguments that are there; tells whether these are all.
    fn gather_arguments(&mut self, partial: &mut Partial) -> Result<bool, Malformed> {
        while partial.left > 0 {
            let position = self.start + partial.position;
            let Some((length, begin)) = self.number(position, b'$')? else {
                return Ok(false);
            };
            let bytes = u64::try_from(length).unwrap_or(u64::MAX);
            if bytes > ARGUMENT_BYTES_MAX {
                let reason = format!("Expected to read string of {length} bytes, which is not in the suitable range");
                return Err(self.malformed(position, reason));
            }
            let end = begin + bytes as usize;
            if self.bytes.len() < end + 2 {
                partial.needed = end + 2 - self.start;
                return Ok(false);
            }
            let is_strict = self.strictness == Strictness::Strict;
            if is_strict && &self.bytes[end..end + 2] != b"\r\n" {
                let found = &self.bytes[end..end + 2];
                let reason = format!("Expected \\r\\n, got: {:02x}{:02x}", found[0], found[1]);
                let malformed = self.malformed(begin, reason);
                return Err(Malformed { lines: malformed.lines + 1, ..malformed });
            }
            self.arguments.push(begin - self.start..end - self.start);
            partial.position = end + 2 - self.start;
            partial.lines += 2;
            partial.left -= 1;
        }
        Ok(true)
    }
}

/// The decimal number that a text begins with, after blanks and a sign, and what follows it; 0 if there is none.
fn leading_number(text: &[u8]) -> (i64, &[u8]) {
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let begin = text.iter().take_while(|byte| is_blank(byte)).count();
    let is_negative = text.get(begin) == Some(&b'-');
    let has_sign = is_negative || text.get(begin) == Some(&b'+');
    let begin = begin + usize::from(has_sign);
    let digits = text[begin..].iter().take_while(|byte| byte.is_ascii_digit());
    let (mut number, mut end) = (0_i64, begin);
    for digit in digits {
        number = number.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
        end += 1;
    }
    match (end == begin, is_negative) {
        (true, _) => (0, text),
        (false, true) => (-number, &text[end..]),
        (false, false) => (number, &text[end..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"#TS:17\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n#other\r\n*1\r\n$5\r\n12\r\n3\r\n";

    fn read(chunks: &[&[u8]]) -> (Vec<String>, Result<u64, Malformed>) {
        let mut reader = AppendedReader::default();
        let mut found = Vec::new();
        for chunk in chunks {
            reader.feed(chunk);
            loop {
                match reader.advance() {
                    Ok(Found::Incomplete) => break,
                    Ok(Found::Command) => {
                        let words = reader.arguments().map(|word| word.escape_ascii().to_string());
                        found.push(words.collect::<Vec<_>>().join("|"));
                    }
                    Ok(other) => found.push(format!("{other:?}")),
                    Err(malformed) => return (found, Err(malformed)),
                }
            }
        }
        (found, Ok(reader.offset()))
    }

    #[test]
    fn the_same_is_found_however_the_bytes_come() {
        let whole = read(&[FILE]);
        assert_eq!(whole.0, ["Time(17)", "GET|", "Annotation", "12\\r\\n3"]);
        assert_eq!(whole.1, Ok(FILE.len() as u64));
        for cut in 0..=FILE.len() {
            assert_eq!(read(&[&FILE[..cut], &FILE[cut..]]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = FILE.chunks(1).collect();
        assert_eq!(read(&bytes), whole);
    }

    #[test]
    fn a_torn_end_is_where_the_last_whole_command_ends() {
        let ends = [0, 8, 27, 35, FILE.len()];
        for cut in 0..FILE.len() {
            let expected = ends.iter().rev().find(|end| **end <= cut);
            let (_, offset) = read(&[&FILE[..cut]]);
            assert_eq!(offset.ok(), expected.map(|end| *end as u64), "cut at {cut}");
        }
    }

    #[test]
    fn what_genuine_servers_accept_is_accepted() {
        for (text, expected) in [
            ("*1\n$1\na\r\n", "a"),
            ("* +1 x\r\n$1 y\r\na\r\n", "a"),
            ("*01\r\r\n$01\r\na\r\n", "a"),
            ("*1\r\n$1\r\naxy", "a"),
            ("*1\r\n$x\r\n\r\n", ""),
            ("#TS:12\n", "BadTime"),
            ("#TS:x\r\n", "BadTime"),
            ("#by hand\n", "Annotation"),
        ] {
            let (found, end) = read(&[text.as_bytes()]);
            assert_eq!((found, end.ok()), (vec![expected.to_string()], Some(text.len() as u64)));
        }
    }

    #[test]
    fn a_strict_reader_accepts_what_servers_write() {
        let strictly = |bytes: &[u8]| -> Result<u64, Malformed> {
            let mut reader = AppendedReader::new(Strictness::Strict);
            reader.feed(bytes);
            while reader.advance()? != Found::Incomplete {}
            Ok(reader.offset())
        };
        assert_eq!(strictly(FILE), Ok(FILE.len() as u64));
        assert_eq!(strictly(b"#by hand\n"), Ok(9));
        for (text, offset, got) in [
            ("*1\n", 0, "0a00"),
            ("*1 x\r\n", 0, "2078"),
            ("*1\r\r\n", 0, "0d0d"),
            ("*1\r\n$1x\r\n", 4, "780d"),
            ("*1\r\n$1\r\naxy", 8, "7879"),
        ] {
            let reason = format!("Expected \\r\\n, got: {got}");
            let error = strictly(text.as_bytes()).expect_err(text);
            assert_eq!((error.offset, error.reason), (offset, reason));
        }
    }

    #[test]
    fn what_no_server_accepts_is_refused_with_its_place() {
        for (text, offset) in [
            ("!!!\r\n", 0),
            ("*1\r\n$1\r\na\r\n!", 11),
            ("*0\r\n", 0),
            ("*-1\r\n", 0),
            ("*x\r\n", 0),
            ("*99999999999999\r\n", 0),
            ("*1\r\n$99999999999999\r\n", 4),
            ("*1\r\n$-1\r\n", 4),
            ("*1\r\n#note\r\n", 4),
            ("*1\r\n$1\r\nabcd", 11),
        ] {
            let (_, end) = read(&[text.as_bytes()]);
            assert_eq!(end.expect_err(text).offset, offset, "{text}");
        }
    }
}
