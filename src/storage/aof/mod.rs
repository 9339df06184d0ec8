//! The format of the append-only file, sans I/O: what commands become in it, the manifest that lists its parts, and the
//! reader.
//!
//! Never touches a file, and never runs a command.

pub mod append_only;
pub mod history;
pub mod log_file;
pub mod loss;
pub mod machine;
pub mod marking;
pub mod orders;
pub mod part;
pub mod paths;
pub mod rewrite_stats;
pub mod rewriting;
pub mod size_estimator;
pub mod switching;

pub mod command;
pub mod dump;
pub mod manifest;
pub mod producer_note;
pub mod reader;
pub mod stream_dump;

pub use dump::CommandDump;
pub use manifest::{BaseFormat, Manifest, ManifestError, Part, PartKind};
pub use reader::{AppendedReader, Found, Malformed, Strictness};
