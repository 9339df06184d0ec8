//! The settings: one table of directives, the typed fields, files, command lines, CONFIG GET, SET and REWRITE.
//!
//! Adding a directive: a field in `fields.rs` and an entry in a file of `table/`; all else derives from the entry.
//! Never applies a setting: the server does, as the [`Effect`]s say that the entry names.

mod arguments;
mod checks;
mod declare;
mod directive;
mod effect;
mod error;
mod examine;
mod fields;
mod file;
mod notation;
mod parse;
mod rewrite;
mod runtime;
mod special;
mod table;
mod values;

pub use arguments::StartInfo;
pub use directive::{Arity, Directive, EmptyText, Kind, Mutability};
pub use effect::{Effect, Stage};
pub use error::ConfigError;
pub use examine::{Examination, Finding, Verdict, examine};
pub use fields::Config;
pub use file::{Statement, Statements};
pub use parse::system_reason;
pub use rewrite::replace_file;
pub use runtime::{SetContext, SetError};
pub use table::{GROUPS, Group, directives, find};
pub use values::{
    AppendFsync, AuthClients, CertificateUser, ClientMemoryLimit, DumpSanitizing, EndpointType, EventClass,
    KeyspaceEvents, LogLevel, MaxmemoryPolicy, Named, OomScoreAdjust, OutputBufferLimit, OutputBufferLimits,
    PrimaryAddress, PropagationErrorBehavior, ProtectedAction, PubsubDefault, RdbVersionCheck, ReplicaDisklessLoad,
    SavePoint, ShutdownFlags, SpinLimit, Supervision, SyncDelay, SyslogFacility,
};

#[cfg(test)]
mod tests;
