//! The ACL file (`aclfile`): reading and writing it.

use std::fs;
use std::path::Path;
use std::rc::Rc;

use crate::config::{replace_file, system_reason};
use crate::engine::state::ServerState;

use super::{Restricted, User};
use crate::engine::enforcement;

/// Replaces all users by those of the file, all or nothing. Gives the users that were there before, the default one aside,
/// and the default one if it has lost channels.
///
/// Errors: all that is wrong, in one line.
pub fn load(state: &mut ServerState) -> Result<(Vec<Rc<User>>, Option<Restricted>), String> {
    let name = &state.config.aclfile;
    let text = fs::read(name).map_err(|error| {
        let reason = system_reason(&error);
        format!("Error loading ACLs, opening file '{name}': {reason}")
    })?;
    let book = enforcement::acl_context_of(&state.commands, &state.config);
    state.users.load(&text, name, book)
}

/// Writes all users to the file; at any moment it is whole, old or new.
///
/// Errors: the system's reason.
pub fn save(state: &ServerState) -> Result<(), String> {
    let path = Path::new(&state.config.aclfile);
    replace_file(path, &state.users.file_text()).map_err(|error| system_reason(&error))
}
