//! The machinery of commands: what one declares, how it is found, admitted and run.
//!
//! Never knows a particular command: policy follows from flags.

pub mod timeout;

pub mod arguments;
pub mod databases;
pub mod error;
pub mod id;
pub mod key_list;
pub mod keys;
pub mod lone_key;
pub mod names;
pub mod options;
pub mod registry;
pub mod spec;

pub use crate::engine::context::Context;
pub use crate::resp::Args;
pub use error::{CommandError, CommandResult};
pub use registry::{Command, CommandId, Registry};
