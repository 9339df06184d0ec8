//! The commands, one family a file: each opens with its `COMMANDS` table, the handlers follow in
//! the same order. Never touches a socket.

pub mod command;
pub mod key_finders;
pub mod client;
mod client_kill;
mod client_list;
mod client_table;
pub mod connection;
pub mod databases;
pub mod expiry;
pub mod keys;
pub mod object;
pub mod scan;
pub mod strings;

use crate::command::spec::CommandSpec;

/// Every family's table.
pub static FAMILIES: &[&[CommandSpec]] = &[
    client::COMMANDS,
    command::COMMANDS,
    connection::COMMANDS,
    strings::values::COMMANDS,
    strings::many::COMMANDS,
    strings::parts::COMMANDS,
    strings::counters::COMMANDS,
    strings::increx::COMMANDS,
    strings::compare::COMMANDS,
    strings::lcs::COMMANDS,
    keys::COMMANDS,
    scan::COMMANDS,
    object::COMMANDS,
    expiry::COMMANDS,
    databases::COMMANDS,
];
