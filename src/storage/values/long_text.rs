//! Writes one string, in bounded pieces however long it is.

use std::collections::VecDeque;

use crate::collections::element::Element;
use crate::keyspace::{Record, Value};
use crate::storage::rdb::Writer;
use crate::text::lzf::{Compression, CompressionStep};
use crate::types::list::BlockRef;
use crate::types::object::Object;

/// Longer strings are written piece by piece.
pub(crate) const LONG_TEXT_BYTES: usize = 16 * 1024;
/// Compressed in one step, in bytes: some fifty microseconds' worth.
const COMPRESSED_STEP_BYTES: usize = 16 * 1024;
/// Copied in one step.
const COPIED_STEP_BYTES: usize = 64 * 1024;

/// Where a string lies that belongs to a record, which does not change meanwhile.
#[derive(Clone)]
pub(crate) enum Source {
    Key,
    /// The whole value: a string, or a packed collection.
    Value,
    ListBlock(usize),
    StreamBlock(usize),
    ElementKey(Element),
    ElementValue(Element),
    /// No string, but eight bytes behind one: the score of a member.
    Score(f64),
    /// Eight bytes as well: the expiry time of a field, in ms since the epoch.
    Time(i64),
}

impl Source {
    /// The string's bytes. O(log n).
    pub fn bytes<'a>(&'a self, record: &'a Record) -> &'a [u8] {
        let object = record.value().object();
        match (self, object) {
            (Source::Key, _) => record.key(),
            (Source::Value, _) => match record.value() {
                Value::Embedded(text) | Value::Raw(text) | Value::Packed(_, text) => text,
                Value::Large(text) => text,
                Value::Integer(_) | Value::Object(_) => &[],
            },
            (Source::ListBlock(number), Some(Object::List(list))) => match list.stored_block(*number) {
                Some(BlockRef::Run(listpack)) => listpack.bytes(),
                Some(BlockRef::Large(element)) => element,
                Some(BlockRef::Compressed { bytes, .. }) => bytes,
                None => &[],
            },
            (Source::StreamBlock(index), Some(Object::Stream(stream))) => {
                let block = stream.entries.block_at(*index);
                block.map_or(&[], |block| block.bytes)
            }
            (Source::ElementKey(element), _) => element.key(),
            (Source::ElementValue(element), _) => element.value(),
            _ => &[],
        }
    }
}

/// A long string that is being written.
pub(crate) struct LongText {
    source: Source,
    stage: Stage,
}

enum Stage {
    Compressing(Compression),
    /// The compressed form, its head written.
    Compressed(VecDeque<Vec<u8>>),
    /// As it is, its head written; so many bytes are done.
    Plain(usize),
}

impl LongText {
    /// A string that is to be compressed if that pays and compression is on.
    pub fn begin(source: Source, record: &Record, writer: &mut Writer<'_>) -> LongText {
        let bytes = source.bytes(record);
        let stage = match writer.begin_compression(bytes) {
            Some(compression) => Stage::Compressing(compression),
            None => Stage::begin_plain(bytes, writer),
        };
        LongText { source, stage }
    }

    /// Bytes whose head is written already.
    pub fn of_plain(source: Source) -> LongText {
        LongText { source, stage: Stage::Plain(0) }
    }

    /// Writes a piece of it; tells whether there is more.
    pub fn step(&mut self, record: &Record, writer: &mut Writer<'_>) -> bool {
        let bytes = self.source.bytes(record);
        match &mut self.stage {
            Stage::Compressing(compression) => {
                match writer.compression_step(compression, bytes, COMPRESSED_STEP_BYTES) {
                    CompressionStep::More => return true,
                    CompressionStep::DoesNotPay => {
                        self.stage = Stage::begin_plain(bytes, writer);
                        return true;
                    }
                    CompressionStep::Done => {}
                }
                writer.compressed_head(compression.len() as u64, bytes.len() as u64);
                let before = std::mem::replace(&mut self.stage, Stage::Plain(0));
                if let Stage::Compressing(compression) = before {
                    self.stage = Stage::Compressed(compression.into_pieces().into());
                }
                true
            }
            Stage::Compressed(pieces) => {
                if let Some(piece) = pieces.pop_front() {
                    writer.bytes(&piece);
                }
                !pieces.is_empty()
            }
            Stage::Plain(done) => {
                let end = (*done + COPIED_STEP_BYTES).min(bytes.len());
                writer.bytes(&bytes[*done..end]);
                *done = end;
                end < bytes.len()
            }
        }
    }
}

impl Stage {
    fn begin_plain(bytes: &[u8], writer: &mut Writer<'_>) -> Stage {
        writer.length(bytes.len() as u64);
        Stage::Plain(0)
    }
}
