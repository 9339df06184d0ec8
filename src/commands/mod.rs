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
pub mod hashes;
pub mod hyperloglog;
pub mod key_finders;
pub mod keys;
pub mod latency;
pub mod memory;
pub mod object;
pub mod scan;
pub mod server;
pub mod sets;
pub mod slowlog;
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
    hashes::setting::COMMANDS,
    hashes::counters::COMMANDS,
    hashes::reading::COMMANDS,
    hashes::walks::COMMANDS,
    hyperloglog::COMMANDS,
    keys::COMMANDS,
    latency::COMMANDS,
    memory::COMMANDS,
    object::COMMANDS,
    scan::COMMANDS,
    server::COMMANDS,
    sets::members::COMMANDS,
    sets::random::COMMANDS,
    sets::algebra::COMMANDS,
    sets::cardinality::COMMANDS,
    slowlog::COMMANDS,
    strings::values::COMMANDS,
    strings::many::COMMANDS,
    strings::parts::COMMANDS,
    strings::counters::COMMANDS,
    strings::increx::COMMANDS,
    strings::compare::COMMANDS,
    strings::lcs::COMMANDS,
];
