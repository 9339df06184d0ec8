//! A value on its own, as DUMP gives it and RESTORE takes it.
//!
//! ```text
//! type │ value │ version: u16 │ checksum of all before: u64
//! ```

use crate::config::RdbVersionCheck;

use super::checksum::Checksum;
use super::error::Fault;
use super::{FormatError, Reader, SanitizeLevel, ValueDecoder, ValueKind, is_readable_version};

const FOOTER_BYTES: usize = 10;

/// A payload whose version and checksum are right.
#[derive(Clone, Debug)]
pub struct Payload<'a> {
    value: &'a [u8],
    version: u16,
}

impl<'a> Payload<'a> {
    /// The payload in these bytes; nothing if its version is not one that is read, or its checksum is wrong and to be
    /// checked. O(length).
    pub fn verify(bytes: &'a [u8], versions: RdbVersionCheck, checks_sum: bool) -> Option<Self> {
        let (value, footer) = bytes.split_at_checked(bytes.len().checked_sub(FOOTER_BYTES)?)?;
        let (version, checksum) = footer.split_first_chunk::<2>()?;
        let version = u16::from_le_bytes(*version);
        let summed = &bytes[..bytes.len() - checksum.len()];
        let is_sound = !checks_sum || Checksum::of(summed).to_le_bytes() == checksum;
        (is_readable_version(version, versions) && is_sound).then_some(Self { value, version })
    }

    /// The bytes before version and checksum.
    pub fn body(&self) -> &'a [u8] {
        self.value
    }

    /// A decoder and a reader for the value.
    ///
    /// # Errors
    ///
    /// When there is no such type of value.
    pub fn open(
        &self,
        string_max_bytes: u64,
        scrutiny: SanitizeLevel,
    ) -> Result<(ValueDecoder, Reader<'a>), FormatError> {
        let mut reader = Reader::new(self.value, 0, string_max_bytes);
        let number = reader.byte()?;
        let kind = ValueKind::of(number, self.version);
        let kind = kind.ok_or_else(|| reader.error(Fault::UnknownType(number)))?;
        Ok((ValueDecoder::new(kind, scrutiny), reader))
    }
}
