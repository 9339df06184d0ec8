//! Why a request is refused, and in which words.

use std::fmt::Display;

use crate::command::registry::Command;
use crate::resp::Args;

/// What a user has no permission for. A later variant, and of two alike the one of the later argument, is nearer to
/// being allowed: of several selectors that one is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AclError {
    /// To use a database: that at this argument, or the selected one if it is the command's name.
    Database { index: usize },
    /// To run the command at all.
    Command,
    /// To use the key at that argument.
    Key { index: usize },
    /// To use the channel at that argument.
    Channel { index: usize },
}

impl AclError {
    /// The text of an error reply, without its code. It names no key, no channel and no database.
    pub fn text(self, user: &impl Display, command: &Command) -> String {
        match self {
            AclError::Database { .. } => "No permissions to access database".to_string(),
            AclError::Command => run_text(user, command),
            AclError::Key { .. } => "No permissions to access a key".to_string(),
            AclError::Channel { .. } => "No permissions to access a channel".to_string(),
        }
    }

    /// The same with the name of the key or channel, for ACL DRYRUN.
    pub fn full_text(self, user: &impl Display, command: &Command, args: Args<'_>) -> Vec<u8> {
        let (name, kind) = match self {
            AclError::Command => return run_text(user, command).into_bytes(),
            AclError::Database { index } => {
                let text = format!("User {user} has no permissions to access database ").into_bytes();
                return [&text, args.at(index)].concat();
            }
            AclError::Key { index } => (args.at(index), "key"),
            AclError::Channel { index } => (args.at(index), "channel"),
        };
        let mut text = format!("User {user} has no permissions to access the '").into_bytes();
        text.extend_from_slice(name);
        text.extend_from_slice(format!("' {kind}").as_bytes());
        text
    }

    /// The error for a command of a transaction that may no longer run.
    pub fn text_in_transaction(self) -> String {
        let reason = match self {
            AclError::Database { .. } => "no permission",
            AclError::Command => "no permission to execute the command or subcommand",
            AclError::Key { .. } => "no permission to touch the specified keys",
            AclError::Channel { .. } => "no permission to access one of the channels used as arguments to the command",
        };
        format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. \
             This command is no longer allowed for the following reason: {reason}"
        )
    }

    /// What is refused, as ACL LOG calls it.
    pub fn object<'a>(self, command: &'a Command, args: Args<'a>) -> &'a [u8] {
        match self {
            AclError::Command => command.full_name.as_bytes(),
            AclError::Database { index } | AclError::Key { index } | AclError::Channel { index } => args.at(index),
        }
    }
}

fn run_text(user: &impl Display, command: &Command) -> String {
    let name = &command.full_name;
    format!("User {user} has no permissions to run the '{name}' command")
}
