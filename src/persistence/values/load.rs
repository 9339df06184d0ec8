//! Builds values of the pieces that the format's reader gives.

use bytes::Bytes;

use crate::config::Config;
use crate::keyspace::NewValue;
use crate::persistence::rdb::{Fault, FormatError, Payload, Piece, Scrutiny};
use crate::types::slot::OwnedValue;

/// What the settings say of values that are read.
#[derive(Clone, Copy, Debug)]
pub struct LoadSettings {
    /// Longest string.
    pub string_max_bytes: u64,
}

impl LoadSettings {
    /// As the configuration has it.
    pub fn of(config: &Config) -> LoadSettings {
        LoadSettings {
            string_max_bytes: config.proto_max_bulk_len,
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
#[derive(Debug, Default)]
pub struct ValueBuilder {
    text: Option<Bytes>,
    packed_blocks: u64,
}

impl ValueBuilder {
    /// Takes the next piece.
    ///
    /// # Errors
    ///
    /// When it does not go with the ones before.
    pub fn add(&mut self, piece: Piece<'_>) -> Result<(), Fault> {
        match piece {
            Piece::Text(text) => self.text = Some(Bytes::from(text.into_vec())),
            _ => return Err(Fault::Unsupported("a collection")),
        }
        Ok(())
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn finish(self) -> Result<Loaded, Fault> {
        self.text.map(Loaded::Text).ok_or(Fault::Empty)
    }

    /// How many of the pieces were packed collections.
    pub fn packed_blocks(&self) -> u64 {
        self.packed_blocks
    }
}

/// The value of a payload, and of how many packed collections it is. O(n), O(n log n) for packed collections and sorted sets.
///
/// # Errors
///
/// What is wrong with it.
pub fn load(payload: &Payload<'_>, settings: &LoadSettings) -> Result<(Loaded, u64), FormatError> {
    let (mut decoder, mut reader) = payload.open(settings.string_max_bytes, Scrutiny::Full)?;
    let mut builder = ValueBuilder::default();
    while let Some(piece) = decoder.next(&mut reader)? {
        builder.add(piece).map_err(|fault| reader.error(fault))?;
    }
    let packed_blocks = builder.packed_blocks();
    let loaded = builder.finish().map_err(|fault| reader.error(fault))?;
    Ok((loaded, packed_blocks))
}
