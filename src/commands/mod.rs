//! The commands, one family a file: each opens with its `COMMANDS` table, the handlers follow in
//! the same order. Never touches a socket.

pub mod command;
pub mod key_finders;
pub mod strings;

use crate::command::spec::CommandSpec;

/// Every family's table.
pub static FAMILIES: &[&[CommandSpec]] = &[
    command::COMMANDS,
    strings::values::COMMANDS,
    strings::many::COMMANDS,
    strings::parts::COMMANDS,
    strings::counters::COMMANDS,
    strings::increx::COMMANDS,
    strings::compare::COMMANDS,
    strings::lcs::COMMANDS,
];
