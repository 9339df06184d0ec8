//! What a stream knows of idempotent producers, as a command. No command of Redis 7.2 says it, and a server that meets
//! one that it does not know drops the transaction around it, or does not load the file at all. So it is the name of a
//! group in an XACK: where there is no group of that name the command does nothing, on servers of any make. A client
//! may have made a group of that name: then there are more spaces in it, until there is no group that is called so.
//!
//! ```text
//! XACK key "\0producers retention <seconds> <messages>" 0-0
//! XACK key "\0producers counts <added> <duplicates>" 0-0
//! XACK key "\0producers message <length of the producer's name> <producer><message>" <id>
//! ```

use crate::resp::number::parse_u64;
use crate::types::stream::{Groups, Retention};

const PREFIX: &[u8] = b"\0producers";

/// One fact about the idempotent producers of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProducerNote<'a> {
    /// How long messages are known. Where that is new, all are forgotten.
    Retention(Retention),
    /// How many messages were ever added, and how many sent again.
    Counts { added: u64, duplicates: u64 },
    /// A message, whose entry the ID behind the group's name is of.
    Message { producer: &'a [u8], message: &'a [u8] },
}

impl<'a> ProducerNote<'a> {
    /// The note that the name of a group is, if it is one.
    pub fn parse(group: &'a [u8]) -> Option<ProducerNote<'a>> {
        let spaced = group.strip_prefix(PREFIX)?;
        let text = spaced.trim_ascii_start();
        let spaces = spaced.len() - text.len();
        if spaces == 0 || spaced[..spaces].iter().any(|byte| *byte != b' ') {
            return None;
        }
        let (word, rest) = split(text)?;
        let (first, rest) = split(rest)?;
        let first = parse_u64(first)?;
        match word {
            b"retention" => Some(ProducerNote::Retention(Retention {
                duration_s: u32::try_from(first).ok()?,
                messages: u32::try_from(parse_u64(rest)?).ok().filter(|messages| *messages > 0)?,
            })),
            b"counts" => Some(ProducerNote::Counts { added: first, duplicates: parse_u64(rest)? }),
            b"message" => {
                let (producer, message) = rest.split_at_checked(usize::try_from(first).ok()?)?;
                Some(ProducerNote::Message { producer, message })
            }
            _ => None,
        }
    }

    /// The name of a group that stands for it, and that none of these groups has.
    pub fn group(self, groups: &Groups) -> Vec<u8> {
        let mut name = [PREFIX, b" ", &self.text()].concat();
        while groups.get(&name).is_some() {
            name.insert(PREFIX.len(), b' ');
        }
        name
    }

    fn text(self) -> Vec<u8> {
        let (head, names): (String, [&[u8]; 2]) = match self {
            ProducerNote::Retention(Retention { duration_s, messages }) => {
                (format!("retention {duration_s} {messages}"), [b"", b""])
            }
            ProducerNote::Counts { added, duplicates } => (format!("counts {added} {duplicates}"), [b"", b""]),
            ProducerNote::Message { producer, message } => {
                (format!("message {} ", producer.len()), [producer, message])
            }
        };
        [head.as_bytes(), names[0], names[1]].concat()
    }
}

/// What is before the first space, and behind it.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().position(|byte| *byte == b' ')?;
    Some((&text[..space], &text[space + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_written() {
        for note in [
            ProducerNote::Retention(Retention { duration_s: 300, messages: 7 }),
            ProducerNote::Counts { added: u64::MAX, duplicates: 0 },
            ProducerNote::Message { producer: b"a b\0", message: b" \xff " },
            ProducerNote::Message { producer: b"", message: b"" },
        ] {
            let group = note.group(&Groups::default());
            assert_eq!(ProducerNote::parse(&group), Some(note), "{group:?}");
        }
        let counts = ProducerNote::Counts { added: 5, duplicates: 2 };
        assert_eq!(counts.group(&Groups::default()), b"\0producers counts 5 2");
        assert_eq!(ProducerNote::parse(b"\0producers   counts 5 2"), Some(counts));
        for other in
            ["", "g", " ", " counts 1", " message 9 a", " x 1 2", "counts 5 2", "\tcounts 5 2", " retention 1 0"]
        {
            let group = [PREFIX, other.as_bytes()].concat();
            assert_eq!(ProducerNote::parse(&group), None, "{other:?}");
        }
    }
}
