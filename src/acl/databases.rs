//! The check of the databases that a request uses.

use smallvec::{SmallVec, smallvec};

use crate::acl::error::AclError;
use crate::command::databases::{Databases, Selection, parse_database};
use crate::command::keys::has_keys;
use crate::command::registry::Command;
use crate::command::spec::{Category, Flag};
use crate::resp::Args;

/// Whether the databases that a request uses are among these, which are in order. A command that uses all of them needs
/// the right to all, which this is not.
///
/// Errors: which is not.
pub(super) fn check(allowed: &[u32], command: &Command, args: Args<'_>, selection: Selection) -> Result<(), AclError> {
    let allows = |database: usize| u32::try_from(database).is_ok_and(|number| allowed.binary_search(&number).is_ok());
    if matches!(command.spec.databases, Databases::All) {
        return Err(AclError::Database { index: 0 });
    }
    for (index, database) in named(command, args, selection.count) {
        if !allows(database) {
            return Err(AclError::Database { index });
        }
    }
    match !uses_selected(command) || allows(selection.database) {
        true => Ok(()),
        false => Err(AclError::Database { index: 0 }),
    }
}

/// Whether requests of a command use the selected database, whatever they name.
fn uses_selected(command: &Command) -> bool {
    let is_about_keys = command.categories >> Category::Keyspace as u32 & 1 == 1;
    match command.spec.databases {
        Databases::Named(_) | Databases::Chosen => false,
        _ => is_about_keys || command.flags.has(Flag::ReadOnly) || command.flags.has(Flag::Write) || has_keys(command),
    }
}

/// The databases that a request names, each with the argument that names it. None if one of them is no database: such a
/// request fails by itself.
fn named(command: &Command, args: Args<'_>, count: usize) -> SmallVec<[(usize, usize); 2]> {
    let indexes = match command.spec.databases {
        Databases::NamedAndSelected(find) | Databases::Named(find) => find(args),
        Databases::Chosen => Some(smallvec![1]),
        Databases::Selected | Databases::All => None,
    };
    let number =
        |index: usize| args.get(index).and_then(|text| parse_database(text, count)).map(|number| (index, number));
    let found = indexes.and_then(|indexes| indexes.into_iter().map(number).collect());
    found.unwrap_or_default()
}
