//! The machinery of commands: what one declares, how it is found, admitted and run.
//!
//! Never knows a particular command: policy follows from flags.

pub mod arguments;
pub mod call;
mod context;
mod error;
pub mod gate;
pub mod help;
pub mod keys;
pub mod lookahead;
mod names;
pub mod options;
pub mod registry;
pub mod spec;
pub mod stats;

pub use crate::resp::Args;
pub use context::Context;
pub use error::{CommandError, CommandResult};
pub use registry::{Command, CommandId, Registry};
