//! Who may do what: users, their passwords and rules, the check of a request, the log of what was refused.
//!
//! ```text
//! Users ── by name ──► User ── Rights ──► Selector: commands (a bit each), keys and channels (patterns)
//!                        ▲                (the user's own rules, and any number of others: one that allows is enough)
//!                        └── shared by the sessions that have logged in as that user
//! ```
//!
//! Who may do everything, as the default user of a new server, costs one test of a flag. For others the command's bit
//! is tested, then the patterns are tried on the keys that the request names.
//!
//! Never touches a socket; `file` alone touches files, `guard` alone knows of clients.

mod databases;
pub mod error;

pub mod file;
pub mod log;
pub mod password;
pub mod pattern;
pub mod rules;
pub mod selector;
pub mod user;
pub mod users;

#[cfg(test)]
mod tests;

pub use crate::acl::error::AclError;
pub use log::{AclLog, AclLogEntry, Reason, Refusal, Scene};
pub use password::{Password, PasswordSource};
pub use rules::{AclContext, RuleError, RulesError, has_blanks};
pub use selector::Selector;
pub use user::{ChannelsLeft, Rights, User};
pub use users::{DEFAULT_USER, Restricted, Users};

use crate::command::databases::Selection;
use crate::command::registry::Command;
use crate::resp::Args;

/// Whether a user may run a request: the command, in the databases that it uses, on its keys and channels. O(1) for a
/// user with all rights, else O(keys × patterns).
///
/// Errors: what there is no permission for.
#[inline]
pub fn check(user: &User, command: &Command, args: Args<'_>, selection: Selection) -> Result<(), AclError> {
    user.check(command, args, selection)
}
