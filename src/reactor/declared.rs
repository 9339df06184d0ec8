//! What the lines of a configuration declare, beside the settings: users, and other names for commands.

use std::collections::BTreeSet;

use crate::acl::{AclContext, Users};
use crate::command::registry::{Registry, RenameError};
use crate::commands;
use crate::config::{Config, ConfigError, StartInfo};

/// What only the lines of the configuration tell.
pub struct Declared {
    /// The table of commands.
    pub commands: Registry,
    /// The users.
    pub users: Users,
}

/// What the lines of a configuration declare.
///
/// Errors: the line that was refused.
pub fn declared(config: &Config, start: &StartInfo) -> Result<Declared, ConfigError> {
    let commands = named_commands(start)?;
    let users = declared_users(start, config, &commands)?;
    Ok(Declared { commands, users })
}

/// The table of commands, under the names that `rename-command` gives them.
fn named_commands(start: &StartInfo) -> Result<Registry, ConfigError> {
    let mut commands = Registry::new(commands::FAMILIES);
    for statement in &start.statements.renamed_commands {
        let [old, new] = statement.arguments.as_slice() else {
            return Err(statement.refused("Bad directive or wrong number of arguments"));
        };
        commands.rename(old, new).map_err(|error| {
            statement.refused(match error {
                RenameError::NoSuchCommand => "No such command in rename-command",
                RenameError::NameTaken => "Target command name already exists",
            })
        })?;
    }
    Ok(commands)
}

/// The users: the default one, with the password that `requirepass` gives it, and those that `user` lines declare.
fn declared_users(start: &StartInfo, config: &Config, commands: &Registry) -> Result<Users, ConfigError> {
    let book = AclContext::new(commands, config);
    let mut users = Users::new(book);
    users.set_default_password(&config.requirepass);
    let mut declared = BTreeSet::new();
    for statement in &start.statements.users {
        let words: Vec<&[u8]> = statement.arguments.iter().map(Vec::as_slice).collect();
        let name = words.first().copied().unwrap_or_default();
        if !declared.insert(name) {
            let name = String::from_utf8_lossy(name);
            return Err(statement.refused(format!(
                "Error in user declaration '{name}': Duplicate user found. A user can only be defined once in config files"
            )));
        }
        users.declare(&words, book).map_err(|reason| statement.refused(reason))?;
    }
    Ok(users)
}
