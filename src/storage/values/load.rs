//! Builds values of the pieces that the format's reader gives.

use bytes::Bytes;

use crate::collections::hash::HashSeed;
use crate::collections::intset;
use crate::config::{Config, RdbVersionCheck};
use crate::keyspace::NewValue;
use crate::storage::rdb::{Fault, FormatError, Payload, Piece, SanitizeLevel, StreamPiece, Text, ValueKind};
use crate::types::object::Object;
use crate::types::slot::{OwnedSlot, OwnedValue, PackedForm};
use crate::types::stream::Producers;
use crate::types::{hash, list, set, sorted_set};

use super::producers;
use super::streams::{MISPLACED, StreamBuilder};

const TWICE: Fault = Fault::Corrupt("a collection holds the same element twice");

/// What the settings say of values that are read.
#[derive(Clone, Copy, Debug)]
pub struct LoadSettings {
    /// Versions of the format that are read.
    pub versions: RdbVersionCheck,
    /// Longest string.
    pub string_max_bytes: u64,
    pub lists: list::Limits,
    pub sets: set::Limits,
    pub hashes: hash::Limits,
    pub sorted_sets: sorted_set::Limits,
}

impl LoadSettings {
    /// As the configuration has it.
    pub fn of(config: &Config) -> LoadSettings {
        let limit = |setting: u64| usize::try_from(setting).unwrap_or(usize::MAX);
        LoadSettings {
            versions: config.rdb_version_check,
            string_max_bytes: config.proto_max_bulk_len,
            lists: list::Limits {
                max_listpack_size: config.list_max_listpack_size,
                compress_depth: config.list_compress_depth,
                large_bytes: None,
            },
            sets: set::Limits {
                integers: limit(config.set_max_intset_entries),
                members: limit(config.set_max_listpack_entries),
                text_bytes: limit(config.set_max_listpack_value),
            },
            hashes: hash::Limits {
                fields: limit(config.hash_max_listpack_entries),
                text_bytes: limit(config.hash_max_listpack_value),
            },
            sorted_sets: sorted_set::Limits {
                entries: limit(config.zset_max_listpack_entries),
                member_bytes: limit(config.zset_max_listpack_value),
            },
        }
    }
}

/// A value that was read.
#[derive(Debug)]
pub enum Loaded {
    Text(Bytes),
    Collection(OwnedValue),
}

impl Loaded {
    /// Gives it what it knows of idempotent producers, if it is a stream.
    pub fn set_producers(&mut self, producers: Producers) {
        if let Loaded::Collection(OwnedValue::Object(object)) = self
            && let Object::Stream(stream) = &mut **object
        {
            stream.producers = producers;
        }
    }

    /// The value, to make a record of. O(1).
    pub fn into_new(self, buffer: &mut LoadBuffer) -> NewValue<'_> {
        match self {
            Loaded::Text(text) => {
                buffer.text = text;
                NewValue::text(&buffer.text, || buffer.text.clone())
            }
            Loaded::Collection(value) => NewValue::owned(value, &mut buffer.packed),
        }
    }
}

/// Where the bytes of a value lie that a record is made of.
#[derive(Debug, Default)]
pub struct LoadBuffer {
    text: Bytes,
    packed: Vec<u8>,
}

/// A value that is being built of its pieces.
pub struct ValueBuilder {
    settings: LoadSettings,
    seed: HashSeed,
    part: Part,
    packed_blocks: u64,
}

/// What there is of a value.
enum Part {
    Nothing,
    Text(Bytes),
    Packed(OwnedValue),
    List(list::ListBuilder),
    Set(OwnedSlot),
    Hash(OwnedSlot),
    SortedSet(sorted_set::Builder),
    Stream(StreamBuilder),
}

impl ValueBuilder {
    /// Nothing yet of a value of this kind.
    pub fn new(kind: ValueKind, settings: &LoadSettings, seed: &HashSeed) -> Self {
        let part = match kind {
            ValueKind::List | ValueKind::ListZiplist | ValueKind::ListZiplists | ValueKind::ListListpacks => {
                Part::List(list::ListBuilder::new(&settings.lists))
            }
            ValueKind::Hash | ValueKind::HashTimes | ValueKind::HashTimesPreRelease | ValueKind::HashTimesValkey => {
                Part::Hash(OwnedSlot::new(hash::empty(), seed))
            }
            ValueKind::Set => Part::Set(OwnedSlot::new(OwnedValue::Packed(PackedForm::IntSet, intset::create()), seed)),
            ValueKind::SortedSet | ValueKind::SortedSetText => Part::SortedSet(sorted_set::Builder::new(seed)),
            ValueKind::Stream1 | ValueKind::Stream2 | ValueKind::Stream3 => Part::Stream(StreamBuilder::default()),
            _ => Part::Nothing,
        };
        Self { settings: *settings, seed: seed.clone(), part, packed_blocks: 0 }
    }

    /// Takes the next piece. O(bytes) amortised.
    ///
    /// # Errors
    ///
    /// When it does not go with the ones before: an element that is there already.
    pub fn add(&mut self, piece: Piece<'_>) -> Result<(), Fault> {
        match (&mut self.part, piece) {
            (part @ Part::Nothing, Piece::Text(text)) => {
                *part = Part::Text(Bytes::from(text.into_vec()));
            }
            (Part::List(list), Piece::Block(PackedForm::List, block)) => {
                self.packed_blocks += 1;
                list.push_listpack(block.into_vec());
            }
            (Part::List(list), Piece::Element(element)) => list.push(&&*element),
            (Part::Set(slot), Piece::Element(member)) => {
                let mut set = set::SetEditor::of_empty(slot, self.settings.sets);
                if !set.add(&member) {
                    return Err(TWICE);
                }
            }
            (Part::Nothing, Piece::Block(form, block)) => self.adopt(form, block)?,
            (Part::Hash(slot), Piece::Field { field, value, expiry_ms }) => {
                let expiry = expiry_ms.map_or(hash::Expiry::Clear, hash::Expiry::At);
                let editor = hash::HashEditor::of(slot, self.settings.hashes);
                if editor.is_none_or(|mut hash| hash.set(&field, &value, expiry)) {
                    return Err(TWICE);
                }
            }
            (Part::SortedSet(sorted_set), Piece::Scored(member, score)) => {
                if !sorted_set.push(&member, score) {
                    return Err(TWICE);
                }
            }
            (Part::Stream(stream), Piece::Stream(piece)) => {
                self.packed_blocks += u64::from(matches!(piece, StreamPiece::Node { .. }));
                stream.add(piece)?;
            }
            _ => return Err(MISPLACED),
        }
        Ok(())
    }

    /// Takes over a packed collection, in the form that suits it.
    fn adopt(&mut self, form: PackedForm, block: Text<'_>) -> Result<(), Fault> {
        self.packed_blocks += 1;
        let bytes = block.into_vec();
        let value = match form {
            PackedForm::Hash | PackedForm::HashExpiring => hash::adopt(form, bytes, self.settings.hashes, &self.seed),
            PackedForm::Set | PackedForm::IntSet => set::adopt(form, bytes, self.settings.sets, &self.seed),
            PackedForm::SortedSet => sorted_set::adopt(bytes, self.settings.sorted_sets, &self.seed),
            PackedForm::List => None,
        };
        self.part = Part::Packed(value.ok_or(TWICE)?);
        Ok(())
    }

    /// The value, in the form that suits it.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn finish(self) -> Result<Loaded, Fault> {
        Ok(match self.part {
            Part::Text(text) => Loaded::Text(text),
            Part::Packed(value) => Loaded::Collection(value),
            Part::List(list) => Loaded::Collection(list.finish()),
            Part::Set(slot) | Part::Hash(slot) => Loaded::Collection(slot.value),
            Part::SortedSet(sorted_set) => Loaded::Collection(sorted_set.finish(self.settings.sorted_sets)),
            Part::Stream(stream) => Loaded::Collection(OwnedValue::object(Object::Stream(stream.finish()?))),
            Part::Nothing => return Err(Fault::Empty),
        })
    }

    /// How many of the pieces were packed collections.
    pub fn packed_blocks(&self) -> u64 {
        self.packed_blocks
    }
}

/// The value of a payload, and of how many packed collections it is. O(n), O(n log n) for packed collections and sorted
/// sets.
///
/// # Errors
///
/// What is wrong with it.
pub fn load(payload: &Payload<'_>, settings: &LoadSettings, seed: &HashSeed) -> Result<(Loaded, u64), FormatError> {
    let (mut decoder, mut reader) = payload.open(settings.string_max_bytes, SanitizeLevel::Full)?;
    let mut builder = ValueBuilder::new(decoder.kind(), settings, seed);
    while let Some(piece) = decoder.next(&mut reader)? {
        builder.add(piece).map_err(|fault| reader.error(fault))?;
    }
    let packed_blocks = builder.packed_blocks();
    let mut loaded = builder.finish().map_err(|fault| reader.error(fault))?;
    if let Some(producers) = producers::read_behind(&mut reader)? {
        loaded.set_producers(producers);
    }
    Ok((loaded, packed_blocks))
}
