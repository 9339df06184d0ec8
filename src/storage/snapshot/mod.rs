//! Snapshots of all databases: written from a version of the keyspace that is pinned, and read into a keyspace. Sans
//! I/O: bytes are taken from a [`Snapshot`] chunk by chunk, wherever they go (a file, the base of an append-only log, a
//! replica).
//!
//! ```text
//! REDIS0011 │ 250 name value … │ 245 library … │ { 254 number │ 251 keys volatile │ { key } } │ 255 │ checksum: u64
//! key = [252 time: i64] [248 idle | 249 frequency: u8] kind key value
//! ```
//!
//! Never touches a file, never looks at the clock, and never does more than a bounded piece of work at a time.

pub mod aux_fields;

pub mod loading;
pub mod reader;
pub mod writer;

pub use crate::storage::snapshot::aux_fields::AuxFields;
pub use loading::{Duplicates, LoadFigures, LoadStep, LoaderSettings, Purpose};
pub use reader::{Loader, begins_snapshot};
pub use writer::{AccessNote, Origin, Progress, Snapshot, SnapshotSettings};

/// What may stand where a key could: the format's own marks. What is below them is a type of value.
mod mark {
    /// Of Valkey: a slot that was being moved.
    pub const SLOT_IMPORT: u8 = 243;
    /// How many keys a slot of a cluster has.
    pub const SLOT_SIZES: u8 = 244;
    pub const FUNCTION: u8 = 245;
    pub const FUNCTION_PRE_RELEASE: u8 = 246;
    pub const MODULE_AUXILIARY: u8 = 247;
    pub const IDLE_SECONDS: u8 = 248;
    pub const FREQUENCY: u8 = 249;
    pub const AUXILIARY: u8 = 250;
    pub const SIZES: u8 = 251;
    pub const EXPIRY_MS: u8 = 252;
    pub const EXPIRY_SECONDS: u8 = 253;
    pub const DATABASE: u8 = 254;
    pub const END: u8 = 255;
}
