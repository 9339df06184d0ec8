//! What a stream knows of idempotent producers, beside its value: no version of the format that others read has a place
//! for it.
//!
//! It is written in pieces. In a snapshot each is a note (an auxiliary field) before the key, in a payload of DUMP they
//! follow the value. Other servers pass over both, and have the stream without it.
//!
//! ```text
//! piece:     HEAD     │ duration in s │ most messages │ added │ duplicates
//!            MESSAGES │ producer │ count │ (message │ time │ sequence)...
//! payload:   value │ NAME │ count │ pieces │ footer
//! ```

use crate::keyspace::Record;
use crate::storage::rdb::{Fault, FormatError, Reader, Text, Writer};
use crate::types::object::Object;
use crate::types::stream::{Id, Producers, Retention};

use super::streams::MISPLACED;

/// What the notes are called.
pub const NAME: &[u8] = b"oneloop-stream-producers";

const HEAD: u8 = 0;
const MESSAGES: u8 = 1;

/// Messages in a piece at most, and bytes of their names from which on it ends.
const PIECE_MESSAGES: usize = 64;
const PIECE_BYTES: usize = 8 * 1024;

/// The producers of a record's stream, if there are or were any.
pub(crate) fn producers_of(record: &Record) -> Option<&Producers> {
    match record.value().object() {
        Some(Object::Stream(stream)) => Some(&stream.producers).filter(|producers| producers.are_used()),
        _ => None,
    }
}

/// How far producers have been written.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProducersCursor {
    has_head: bool,
    producer: usize,
    message: usize,
}

impl ProducersCursor {
    /// The next piece, if there is one. O(log n) and a bounded number of messages.
    pub fn next(&mut self, producers: &Producers) -> Option<Vec<u8>> {
        let mut writer = Writer::new(Vec::new(), None);
        if !self.has_head {
            self.has_head = true;
            let retention = producers.retention()?;
            let (added, duplicates) = producers.counts();
            writer.bytes(&[HEAD]);
            for number in [retention.duration_s.into(), retention.messages.into(), added, duplicates] {
                writer.length(number);
            }
            return Some(writer.into_bytes());
        }
        let producer = producers.at(self.producer)?;
        let mut bytes = 0;
        let piece = producer.messages(self.message).take(PIECE_MESSAGES).take_while(|(name, _)| {
            let fits = bytes < PIECE_BYTES;
            bytes += name.len();
            fits
        });
        let piece: Vec<(&[u8], Id)> = piece.collect();
        writer.bytes(&[MESSAGES]);
        writer.string(producer.name());
        writer.length(piece.len() as u64);
        for (name, id) in &piece {
            writer.string(name);
            writer.length(id.ms);
            writer.length(id.seq);
        }
        self.message += piece.len();
        if producer.messages(self.message).next().is_none() {
            (self.producer, self.message) = (self.producer + 1, 0);
        }
        Some(writer.into_bytes())
    }
}

/// Takes a piece in.
///
/// # Errors
///
/// When it is none.
pub(crate) fn read_piece(piece: &[u8], producers: &mut Producers) -> Result<(), Fault> {
    let mut reader = Reader::new(piece, 0, u64::MAX);
    read_fields(&mut reader, producers).map_err(|_| Fault::Corrupt("a note on idempotent producers is damaged"))
}

fn read_fields(reader: &mut Reader<'_>, producers: &mut Producers) -> Result<(), FormatError> {
    if reader.byte()? == HEAD {
        let [duration_s, messages] = [reader.length()?, reader.length()?];
        let retention = match (u32::try_from(duration_s), u32::try_from(messages)) {
            (Ok(duration_s), Ok(messages @ 1..)) => Retention { duration_s, messages },
            _ => return Err(reader.error(MISPLACED)),
        };
        producers.set_retention(retention);
        let (added, duplicates) = (reader.length()?, reader.length()?);
        producers.set_counts(added, duplicates);
        return Ok(());
    }
    let producer = plain_string(reader)?;
    for _ in 0..reader.length()? {
        let message = plain_string(reader)?;
        let id = Id::new(reader.length()?, reader.length()?);
        producers.adopt(&producer, &message, id);
    }
    Ok(())
}

/// A string that is not compressed. The piece itself may be: if its strings were too, a few bytes would take as much
/// memory as two compressions save together.
fn plain_string<'a>(reader: &mut Reader<'a>) -> Result<Text<'a>, FormatError> {
    match reader.string()? {
        Text::Owned(_) => Err(reader.error(MISPLACED)),
        text => Ok(text),
    }
}

/// Writes the producers of a record, if it has any, behind its value in a payload.
pub(crate) fn write_behind(record: &Record, writer: &mut Writer<'_>) {
    let Some(producers) = producers_of(record) else { return };
    let mut cursor = ProducersCursor::default();
    let pieces: Vec<Vec<u8>> = std::iter::from_fn(|| cursor.next(producers)).collect();
    writer.string(NAME);
    writer.length(pieces.len() as u64);
    pieces.iter().for_each(|piece| writer.string(piece));
}

/// Reads what is behind the value in a payload, if it is producers.
///
/// # Errors
///
/// When it is, and they are damaged.
pub(crate) fn read_behind(reader: &mut Reader<'_>) -> Result<Option<Producers>, FormatError> {
    if !reader.string().is_ok_and(|name| *name == *NAME) {
        return Ok(None);
    }
    let mut producers = Producers::default();
    for _ in 0..reader.length()? {
        let piece = reader.string()?;
        read_piece(&piece, &mut producers).map_err(|fault| reader.error(fault))?;
    }
    Ok(Some(producers))
}
