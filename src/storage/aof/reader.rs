//! Reads what was appended: commands and times, from bytes that are fed chunk by chunk. Sans I/O.

use std::ops::Range;

/// Longest header line of a command or an argument, and longest annotation, in bytes.
const LINE_MAX: usize = 1024;
/// Most arguments of one command, and the longest one, in bytes: so much no server writes.
const ARGUMENTS_MAX: u64 = 1 << 31;
const ARGUMENT_BYTES_MAX: u64 = 1 << 40;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A whole command; its arguments are in [`AppendedReader::argument`].
    Command,
    /// A time, in seconds since the epoch.
    Time(i64),
    /// An annotation of another kind, which is skipped.
    Annotation,
    /// More bytes are needed. At the end of the file: it ends here, in the middle of something if there is a rest.
    Incomplete,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub offset: u64,
    pub reason: String,
}

/// A reader of commands.
#[derive(Default)]
pub struct AppendedReader {
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

    /// Number of lines up to there.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Whether bytes are left that are no whole command.
    pub fn has_rest(&self) -> bool {
        self.start < self.bytes.len()
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
        Malformed { offset: self.offset + (position - self.start) as u64, reason }
    }

    /// A line from a position on, without its end, and where the next one begins.
    fn line(&self, position: usize) -> Result<Option<(&[u8], usize)>, Malformed> {
        let rest = &self.bytes[position..];
        let window = &rest[..rest.len().min(LINE_MAX)];
        match memchr::memchr(b'\n', window) {
            Some(end) => {
                let line = &rest[..end];
                let Some(line) = line.strip_suffix(b"\r") else {
                    let reason = "Expected \\r\\n at the end of the line".to_string();
                    return Err(self.malformed(position, reason));
                };
                Ok(Some((line, position + end + 1)))
            }
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
            None => Found::Annotation,
            Some(text) => {
                let text = std::str::from_utf8(text).unwrap_or_default();
                match text.parse() {
                    Ok(time_s) => Found::Time(time_s),
                    Err(_) => {
                        let reason = "Invalid timestamp annotation".to_string();
                        return Err(self.malformed(self.start, reason));
                    }
                }
            }
        };
        self.pass(next, 1);
        Ok(found)
    }

    /// Goes on behind what was found.
    fn pass(&mut self, position: usize, lines: u64) {
        self.offset += (position - self.start) as u64;
        self.start = position;
        self.lines += lines;
    }

    /// A number after a letter, and where the next line begins.
    fn number(&self, position: usize, prefix: u8) -> Result<Option<(u64, usize)>, Malformed> {
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
        let text = std::str::from_utf8(&line[1..]).unwrap_or_default();
        match text.parse() {
            Ok(number) => Ok(Some((number, next))),
            Err(_) => {
                let reason = "Expected a number".to_string();
                Err(self.malformed(position, reason))
            }
        }
    }

    fn command(&mut self) -> Result<Found, Malformed> {
        let mut partial = match self.partial.take() {
            Some(partial) => partial,
            None => {
                let Some((count, position)) = self.number(self.start, b'*')? else {
                    return Ok(Found::Incomplete);
                };
                if count == 0 || count > ARGUMENTS_MAX {
                    let reason = format!("Expected the number of arguments, got {count}");
                    return Err(self.malformed(self.start, reason));
                }
                Partial { left: count, position: position - self.start, lines: 1, needed: 0 }
            }
        };
        let is_complete = self.bytes.len() - self.start >= partial.needed && self.gather_arguments(&mut partial)?;
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
            if length > ARGUMENT_BYTES_MAX {
                let reason = format!("Expected to read string of {length} bytes, which is not in the suitable range");
                return Err(self.malformed(position, reason));
            }
            let end = begin + length as usize;
            if self.bytes.len() < end + 2 {
                partial.needed = end + 2 - self.start;
                return Ok(false);
            }
            if &self.bytes[end..end + 2] != b"\r\n" {
                let found = &self.bytes[end..end + 2];
                let reason = format!("Expected \\r\\n, got: {:02x}{:02x}", found[0], found[1]);
                return Err(self.malformed(end, reason));
            }
            self.arguments.push(begin - self.start..end - self.start);
            partial.position = end + 2 - self.start;
            partial.lines += 2;
            partial.left -= 1;
        }
        Ok(true)
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
    fn what_no_server_writes_is_refused_with_its_place() {
        for (text, offset) in [
            ("!!!\r\n", 0),
            ("*1\r\n$1\r\na\r\n!", 11),
            ("*0\r\n", 0),
            ("*-1\r\n", 0),
            ("*99999999999999\r\n", 0),
            ("*1\r\n$99999999999999\r\n", 4),
            ("*1\r\n$1\r\nabc", 9),
            ("*1\n", 0),
            ("#TS:x\r\n", 0),
        ] {
            let (_, end) = read(&[text.as_bytes()]);
            assert_eq!(end.expect_err(text).offset, offset, "{text}");
        }
    }
}
