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
pub mod dump;
pub mod expiry;
pub mod hashes;
pub mod hyperloglog;
pub mod key_finders;
pub mod keys;
pub mod latency;
pub mod lists;
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
    dump::COMMANDS,
    expiry::COMMANDS,
    hashes::setting::COMMANDS,
    hashes::counters::COMMANDS,
    hashes::reading::COMMANDS,
    hashes::walks::COMMANDS,
    hashes::expiry::COMMANDS,
    hashes::expiring::COMMANDS,
    hyperloglog::COMMANDS,
    keys::COMMANDS,
    latency::COMMANDS,
    lists::ends::COMMANDS,
    lists::elements::COMMANDS,
    lists::moves::COMMANDS,
    lists::blocking::COMMANDS,
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
