//! The commands, one family a file: each opens with its `COMMANDS` table, the handlers follow in
//! the same order. Never touches a socket.

pub mod bitfield;
pub mod bitmaps;
pub mod client;
mod client_kill;
mod client_list;
mod client_table;
pub mod command;
pub mod config;
mod config_apply;
pub mod connection;
pub mod databases;
pub mod debug;
pub mod expiry;
pub mod hyperloglog;
pub mod key_finders;
pub mod keys;
pub mod latency;
pub mod memory;
pub mod object;
pub mod scan;
pub mod server;
pub mod slowlog;
pub mod streams;
pub mod strings;

use crate::command::spec::CommandSpec;

/// Every family's table.
pub static FAMILIES: &[&[CommandSpec]] = &[
    bitfield::COMMANDS,
    bitmaps::COMMANDS,
    client::COMMANDS,
    command::COMMANDS,
    config::COMMANDS,
    connection::COMMANDS,
    databases::COMMANDS,
    debug::COMMANDS,
    expiry::COMMANDS,
    hyperloglog::COMMANDS,
    keys::COMMANDS,
    latency::COMMANDS,
    memory::COMMANDS,
    object::COMMANDS,
    scan::COMMANDS,
    server::COMMANDS,
    slowlog::COMMANDS,
    streams::append::COMMANDS,
    streams::range::COMMANDS,
    streams::read::COMMANDS,
    streams::remove::COMMANDS,
    streams::groups::COMMANDS,
    streams::pending::COMMANDS,
    streams::claim::COMMANDS,
    streams::info::COMMANDS,
    strings::values::COMMANDS,
    strings::many::COMMANDS,
    strings::parts::COMMANDS,
    strings::counters::COMMANDS,
    strings::increx::COMMANDS,
    strings::compare::COMMANDS,
    strings::lcs::COMMANDS,
];
