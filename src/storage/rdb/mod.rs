//! The format of Redis's snapshots (RDB files), as DUMP, RESTORE and full synchronisation use it too. Sans I/O.
//!
//! [`Writer`] and [`Reader`] know the primitives: numbers, strings, doubles. [`ValueKind`] is the type before each
//! value; [`ValueDecoder`] takes a value apart into [`Piece`]s; [`Payload`] is a value on its own. What is read may
//! come from an adversary: every read is bounded by what is there, every block is checked before it is given out, and
//! no more memory is set aside than the data at hand justifies. The format is described in <https://rdb.fnordig.de>,
//! what is newer in the sources of Redis and Valkey.
//!
//! ```text
//! length = 00nnnnnn | 01nnnnnn n | 0x80 and 4 bytes | 0x81 and 8 bytes         high byte first
//! string = length bytes | 0xC0 i8 | 0xC1 i16 | 0xC2 i32 | 0xC3 packed-length length packed
//! double = 8 bytes, low byte first; until version 7 a length and text
//! ```
//!
//! Never knows how a type keeps its elements, and never touches the keyspace.

pub mod blocks;
pub mod checksum;
pub mod decode;
pub mod error;
pub mod kind;
pub mod payload;
pub mod reader;
pub mod stream_node;
pub mod streams;
#[cfg(test)]
mod tests;
pub mod version;
pub mod writer;
pub mod ziplist;
pub mod zipmap;

pub use checksum::Checksum;
pub use decode::{Piece, ValueDecoder};
pub use error::{Fault, FormatError, module_name};
pub use kind::ValueKind;
pub use payload::Payload;
pub use reader::{Reader, Text};
pub use stream_node::StreamId;
#[cfg(test)]
pub(crate) use stream_node::check as check_stream_node;
pub use streams::{EntriesRead, StreamPiece};
pub use version::{RdbVersion, is_readable_version};
pub use writer::Writer;

/// Field expiry times must fit in 48 bits.
pub const EXPIRY_MAX_MS: i64 = (1 << 48) - 1;

/// How closely packed collections are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SanitizeLevel {
    /// Every entry, so that nothing that reads the bytes later can go astray. For files that a server has written.
    Structure,
    /// Also that no element comes twice, and that sorted sets are sorted. For everything else.
    Full,
}
