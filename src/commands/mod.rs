//! The commands, one family a file: each opens with its `COMMANDS` table, the handlers follow in
//! the same order. Never touches a socket.

pub mod command;
pub mod key_finders;
pub mod client;
mod client_kill;
mod client_list;
mod client_table;
pub mod connection;
pub mod strings;

use crate::command::spec::CommandSpec;

/// Every family's table.
pub static FAMILIES: &[&[CommandSpec]] = &[
    client::COMMANDS,
    command::COMMANDS,
    connection::COMMANDS,
    strings::COMMANDS,
];
