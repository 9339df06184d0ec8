//! Takes a serialized value apart, piece by piece.
//!
//! A value is a row of pieces, none of which is larger than one string or block: so a value of any size is loaded in
//! slices, from data of which only a part is at hand. The pieces are independent of how the types keep their elements;
//! code that builds a value of them finds elements that come twice.

use crate::types::slot::PackedForm;

use super::error::{Checked, Fault, FormatError, ensure};
use super::kind::ValueKind;
use super::reader::{Reader, Text};
use super::streams::{StreamDecoder, StreamPiece};
use super::{EXPIRY_MAX_MS, SanitizeLevel, blocks, ziplist, zipmap};

/// A part of a value.
#[derive(Clone, PartialEq, Debug)]
pub enum Piece<'a> {
    /// A string: the whole value.
    Text(Text<'a>),
    /// A packed collection, checked. Of a list there may be several; else it is the whole value.
    Block(PackedForm, Text<'a>),
    /// An element of a list or a member of a set.
    Element(Text<'a>),
    /// A member of a sorted set with its score, which is not NaN.
    Scored(Text<'a>, f64),
    /// A field of a hash.
    Field {
        /// Its name.
        field: Text<'a>,
        /// Its value.
        value: Text<'a>,
        /// When it expires, in ms since the epoch.
        expiry_ms: Option<i64>,
    },
    /// A part of a stream.
    Stream(StreamPiece<'a>),
}

/// How far a value has been read.
#[derive(Clone, Debug)]
enum Stage {
    /// Nothing yet.
    Start,
    /// So many pieces are left.
    Pieces(u64),
    Stream(StreamDecoder),
    End,
}

/// Reads one value, behind its type.
#[derive(Clone, Debug)]
pub struct ValueDecoder {
    kind: ValueKind,
    scrutiny: SanitizeLevel,
    stage: Stage,
    /// A piece of it has been given out.
    has_elements: bool,
    /// What the expiry times of a hash's fields are relative to, in ms.
    times_base_ms: i64,
}

impl ValueDecoder {
    /// A decoder of a value of this kind.
    pub fn new(kind: ValueKind, scrutiny: SanitizeLevel) -> Self {
        Self { kind, scrutiny, stage: Stage::Start, has_elements: false, times_base_ms: 0 }
    }

    /// The kind of the value.
    pub fn kind(&self) -> ValueKind {
        self.kind
    }

    /// The next piece of the value, or nothing at its end. O(bytes of the piece); O(n log n) for packed ones with full
    /// scrutiny.
    ///
    /// # Errors
    ///
    /// What is wrong with the data. With [`Fault::Truncated`] the reader stands where the part begins that is not all
    /// there, and the call may be repeated with one that has more of the data from there on.
    pub fn next<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Option<Piece<'a>>, FormatError> {
        let mut taken = reader.position();
        let piece = self.read(reader, &mut taken);
        if let Err(error) = &piece
            && matches!(error.fault, Fault::Truncated { .. })
        {
            reader.rewind(taken);
        }
        piece
    }

    /// Reads a piece; `taken` is where the reader stood when the stage last changed.
    fn read<'a>(&mut self, reader: &mut Reader<'a>, taken: &mut usize) -> Result<Option<Piece<'a>>, FormatError> {
        loop {
            *taken = reader.position();
            match &mut self.stage {
                Stage::Start => {
                    if let Some(piece) = self.begin(reader)? {
                        self.stage = Stage::End;
                        return Ok(Some(piece));
                    }
                }
                Stage::Pieces(0) => {
                    self.stage = Stage::End;
                    return if self.has_elements { Ok(None) } else { Err(reader.error(Fault::Empty)) };
                }
                Stage::Pieces(left) => {
                    let rest = *left - 1;
                    let piece = self.piece(reader)?;
                    self.stage = Stage::Pieces(rest);
                    if let Some(piece) = piece {
                        self.has_elements = true;
                        return Ok(Some(piece));
                    }
                }
                Stage::Stream(stream) => return Ok(stream.next(reader)?.map(Piece::Stream)),
                Stage::End => return Ok(None),
            }
        }
    }

    /// How many entries the stream says that it has, and how many there are, if that is not the same.
    pub fn miscount(&self) -> Option<(u64, u64)> {
        match &self.stage {
            Stage::Stream(stream) => stream.miscount(),
            _ => None,
        }
    }

    /// Reads a value that is one piece, or what stands before several.
    fn begin<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Option<Piece<'a>>, FormatError> {
        if let Some(form) = self.packed_form() {
            return self.packed(form, reader).map(Some);
        }
        match self.kind {
            ValueKind::String => return reader.string().map(Piece::Text).map(Some),
            ValueKind::Stream1 | ValueKind::Stream2 | ValueKind::Stream3 => {
                self.stage = Stage::Stream(StreamDecoder::begin(self.kind, reader)?);
                return Ok(None);
            }
            ValueKind::Module => {
                let module = reader.length()?;
                return Err(reader.error(Fault::ModuleValue(module)));
            }
            ValueKind::ModulePreRelease => {
                let reason = "Pre-release module format not supported";
                return Err(reader.error(Fault::Corrupt(reason)));
            }
            ValueKind::HashTimes => {
                let base_ms = reader.time_ms()?;
                reader.checked(expiry(base_ms))?;
                self.times_base_ms = base_ms;
            }
            _ => {}
        }
        self.stage = Stage::Pieces(reader.length()?);
        Ok(None)
    }

    /// The form of a value that is one packed collection, whatever it was when it was written.
    fn packed_form(&self) -> Option<PackedForm> {
        Some(match self.kind {
            ValueKind::HashZipmap | ValueKind::HashZiplist | ValueKind::HashListpack => PackedForm::Hash,
            ValueKind::HashTimesListpack | ValueKind::HashTimesListpackPreRelease => PackedForm::HashExpiring,
            ValueKind::ListZiplist => PackedForm::List,
            ValueKind::SetIntset => PackedForm::IntSet,
            ValueKind::SetListpack => PackedForm::Set,
            ValueKind::SortedSetZiplist | ValueKind::SortedSetListpack => PackedForm::SortedSet,
            _ => return None,
        })
    }

    fn packed<'a>(&self, form: PackedForm, reader: &mut Reader<'a>) -> Result<Piece<'a>, FormatError> {
        if self.kind == ValueKind::HashTimesListpack {
            // The earliest of the times, which the block tells as well.
            reader.time_ms()?;
        }
        let stored = reader.string()?;
        let check = self.kind.check_name();
        // Redis checks those that it converts fully, whatever is set.
        let (block, scrutiny) = match self.kind {
            ValueKind::HashZipmap => (zipmap::to_listpack(&stored).map(Text::Owned), SanitizeLevel::Full),
            ValueKind::HashZiplist | ValueKind::SortedSetZiplist | ValueKind::ListZiplist => {
                (ziplist::to_listpack(&stored).map(Text::Owned), SanitizeLevel::Full)
            }
            _ => (Ok(stored), self.scrutiny),
        };
        let block = reader.checked_block(check, block)?;
        match reader.checked_block(check, blocks::check(form, &block, scrutiny))? {
            0 => Err(reader.error(Fault::Empty)),
            _ => Ok(Piece::Block(form, block)),
        }
    }

    /// One of several pieces; nothing for an empty block of a list, which old servers may have written.
    fn piece<'a>(&self, reader: &mut Reader<'a>) -> Result<Option<Piece<'a>>, FormatError> {
        Ok(Some(match self.kind {
            ValueKind::SortedSet | ValueKind::SortedSetText => {
                let member = reader.string()?;
                let score = match self.kind {
                    ValueKind::SortedSet => reader.double()?,
                    _ => reader.double_text()?,
                };
                reader.checked(ensure(!score.is_nan(), "a score is not a number"))?;
                Piece::Scored(member, score)
            }
            ValueKind::Hash | ValueKind::HashTimes | ValueKind::HashTimesPreRelease | ValueKind::HashTimesValkey => {
                self.field(reader)?
            }
            ValueKind::ListListpacks => return list_part(reader),
            ValueKind::ListZiplists => {
                let stored = reader.string()?;
                let block = ziplist::to_listpack(&stored).map(Text::Owned);
                let block = reader.checked_block(self.kind.check_name(), block)?;
                return list_block(reader, block);
            }
            _ => Piece::Element(reader.string()?),
        }))
    }

    fn field<'a>(&self, reader: &mut Reader<'a>) -> Result<Piece<'a>, FormatError> {
        let time = match self.kind {
            ValueKind::HashTimes | ValueKind::HashTimesPreRelease => Some(reader.length()?),
            _ => None,
        };
        let (field, value) = (reader.string()?, reader.string()?);
        let expiry_ms = match (self.kind, time) {
            (_, Some(0)) => None,
            (ValueKind::HashTimes, Some(time)) => {
                // One more than the distance, so that it is not zero.
                let time_ms = self.times_base_ms.saturating_add_unsigned(time - 1);
                Some(reader.checked(expiry(time_ms))?)
            }
            (_, Some(time)) => {
                let time_ms = i64::try_from(time).unwrap_or(i64::MAX);
                Some(reader.checked(expiry(time_ms))?)
            }
            (ValueKind::HashTimesValkey, None) => match reader.time_ms()? {
                -1 => None,
                time_ms => Some(reader.checked(expiry(time_ms))?),
            },
            _ => None,
        };
        Ok(Piece::Field { field, value, expiry_ms })
    }
}

fn expiry(time_ms: i64) -> Checked<i64> {
    let possible = (0..=EXPIRY_MAX_MS).contains(&time_ms);
    ensure(possible, "a field's expiry time is out of range").map(|()| time_ms)
}

/// An element too large for a block, or a block.
fn list_part<'a>(reader: &mut Reader<'a>) -> Result<Option<Piece<'a>>, FormatError> {
    const PLAIN: u64 = 1;
    const PACKED: u64 = 2;
    let container = reader.length()?;
    let known = container == PLAIN || container == PACKED;
    reader.checked(ensure(known, "a list has a block of an unknown form"))?;
    let part = reader.string()?;
    if container == PACKED {
        return list_block(reader, part);
    }
    reader.checked(ensure(!part.is_empty(), "a list has a large element that is empty"))?;
    Ok(Some(Piece::Element(part)))
}

fn list_block<'a>(reader: &Reader<'a>, block: Text<'a>) -> Result<Option<Piece<'a>>, FormatError> {
    let checked = blocks::check(PackedForm::List, &block, SanitizeLevel::Structure);
    let count = reader.checked_block(ValueKind::ListListpacks.check_name(), checked)?;
    Ok((count > 0).then_some(Piece::Block(PackedForm::List, block)))
}
