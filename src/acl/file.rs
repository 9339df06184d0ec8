//! The ACL file (`aclfile`): reading and writing it.

use std::fs;
use std::path::Path;
use std::rc::Rc;

use crate::base::tape::{self, Kind};
use crate::config::{replace_file, system_reason};

use super::{AclContext, Restricted, User, Users};

/// Replaces all users by those of the file, all or nothing. Gives the users that were there before, the default one
/// aside, and the default one if it has lost channels.
///
/// Errors: all that is wrong, in one line.
pub fn load(
    users: &mut Users,
    name: &str,
    context: AclContext<'_>,
) -> Result<(Vec<Rc<User>>, Option<Restricted>), String> {
    let text = tape::pass(Kind::Process, || fs::read(name)).map_err(|error| {
        let reason = system_reason(&error);
        format!("Error loading ACLs, opening file '{name}': {reason}")
    })?;
    users.load(&text, name, context)
}

/// Writes all users to the file; at any moment it is whole, old or new.
///
/// Errors: the system's reason.
pub fn save(users: &Users, name: &str) -> Result<(), String> {
    replace_file(Path::new(name), &users.file_text()).map_err(|error| system_reason(&error))
}
