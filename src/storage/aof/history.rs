//! Marks that say how far the history of writes had come, so that replication goes on after a restart from the file.
//!
//! ```text
//! #HISTORY:8f3c…40 digits 1402 0      the commands before this line are the history up to byte 1402; database 0 is selected
//! *3 $3 SET …
//! #HISTORY:1467 0                     the same history, up to byte 1467
//! ```
//!
//! A mark stands behind all that one turn of the loop appends. So a file that does not end with a mark holds more than
//! the last one says, and its place in the history is not known. Bytes that are in no file (PING, PUBLISH) move the
//! offset, too: then a mark stands alone. Other servers skip the marks.

use std::io::Write;

/// What each mark begins with.
const PREFIX: &[u8] = b"#HISTORY:";
/// Length of the name of a history.
const ID_BYTES: usize = 40;

/// A place in a history of writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryMark {
    /// The name of the history; none for the same as before.
    pub id: Option<String>,
    /// Number of the last byte of the stream.
    pub offset: u64,
    /// The database that the stream has selected there.
    pub database: usize,
}

impl HistoryMark {
    /// Reads a line without its end. None if it is no mark.
    pub fn parse(line: &[u8]) -> Option<HistoryMark> {
        let text = std::str::from_utf8(line.strip_prefix(PREFIX)?).ok()?;
        let mut words = text.trim_end().split(' ');
        let first = words.next()?;
        let (id, offset) = match first.len() {
            ID_BYTES => (Some(first.to_string()), words.next()?),
            _ => (None, first),
        };
        let database = words.next()?.parse().ok()?;
        Some(HistoryMark { id, offset: offset.parse().ok()?, database })
    }

    /// Writes the line, with its end.
    pub(super) fn append_to(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(PREFIX);
        if let Some(id) = &self.id {
            line.extend_from_slice(id.as_bytes());
            line.push(b' ');
        }
        // INVARIANT: writing to memory does not fail.
        let _ = write!(line, "{} {}\r\n", self.offset, self.database);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        for id in [Some("0123456789abcdef0123456789abcdef01234567".to_string()), None] {
            let mark = HistoryMark { id, offset: 1402, database: 7 };
            let mut line = Vec::new();
            mark.append_to(&mut line);
            assert_eq!(HistoryMark::parse(line.strip_suffix(b"\n").expect("a line")), Some(mark));
        }
    }

    #[test]
    fn other_lines_are_no_marks() {
        for line in ["#TS:12", "#HISTORY:", "#HISTORY:12", "#HISTORY:x 0", "#HISTORY:12 x", "#HISTORY:-1 0"] {
            assert_eq!(HistoryMark::parse(line.as_bytes()), None, "{line}");
        }
    }
}
