//! ACL: who may do what. Never decides itself: the rules and their check are in `acl/`.

mod log;
mod reports;
mod table;
mod users;

pub use table::COMMANDS;

use crate::command::error::CommandError;
use crate::resp::Args;

/// The error of a subcommand that has too many arguments.
fn wrong_form(args: Args<'_>) -> CommandError {
    CommandError::unknown_subcommand("acl", args.at(1))
}
