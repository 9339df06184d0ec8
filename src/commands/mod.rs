//! The commands, one family a file: each opens with its `COMMANDS` table, the handlers follow in
//! the same order. Never touches a socket.

pub mod client;
mod client_kill;
mod client_list;
mod client_table;
pub mod connection;
pub mod strings;

use crate::command::spec::CommandSpec;

/// Every family's table.
pub static FAMILIES: &[&[CommandSpec]] = &[client::COMMANDS, connection::COMMANDS, strings::COMMANDS];
