//! Values between the keyspace and the snapshot format: `save` writes one as Redis would (`ValueCursor` in
//! bounded pieces), `load` builds one of its pieces.
//!
//! Never changes the keyspace, and never trusts a piece further than the format's reader vouches for it.

pub mod cursor;
pub mod load;
pub mod long_text;
pub mod producers;
pub mod save;
pub mod streams;

pub use cursor::{Saved, ValueCursor, save, save_key, saved_bytes};
pub use load::{LoadBuffer, LoadSettings, Loaded, ValueBuilder, load};
pub use save::kind_of;

use super::rdb::{RdbVersion, Writer};
use crate::keyspace::Record;
use crate::text::lzf::Compressor;

/// What commands share that write and read values.
#[derive(Default)]
pub struct Serialization {
    /// Compresses longer strings.
    pub compressor: Compressor,
    /// Whether payloads with a wrong checksum are taken (DEBUG SET-SKIP-CHECKSUM-VALIDATION).
    pub skips_checksum: bool,
}

impl Serialization {
    /// What DUMP gives of a value, and RESTORE takes. O(bytes).
    pub fn payload_of(&mut self, record: &Record, compresses: bool) -> Vec<u8> {
        self.payload_in(record, compresses, RdbVersion::default())
    }

    /// What DUMP gives of a value, for a reader of this version. Fields that expire need a newer one in any case.
    /// O(bytes).
    pub fn payload_in(&mut self, record: &Record, compresses: bool, version: RdbVersion) -> Vec<u8> {
        let compressor = compresses.then_some(&mut self.compressor);
        let mut writer = Writer::new(Vec::new(), compressor).in_version(version);
        let version = save(record, &mut writer);
        producers::write_behind(record, &mut writer);
        writer.footer(version.number());
        writer.into_bytes()
    }
}
