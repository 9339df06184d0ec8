//! The commands, one family a file: each opens with its `COMMANDS` table, the handlers follow in
//! the same order. Never touches a socket.

pub mod acl;
pub mod appending;
pub mod backup;
pub mod bitfield;
pub mod bitmaps;
pub mod client;
pub mod cluster;
pub mod cluster_scan;
pub mod command;
pub mod command_log;
pub mod config;
pub mod connection;
pub mod databases;
pub mod debug;
pub mod dump;
pub mod expiry;
pub mod following;
pub mod geo;
pub mod hashes;
pub mod hot_keys;
mod hyperloglog;
pub mod keys;
pub mod latency;
pub mod lists;
pub mod loop_recorder;
pub mod memory;
pub mod migrate;
pub mod modules;
pub mod object;
pub mod prefix;
pub mod pubsub;
pub mod recording;
pub mod redirection;
pub mod replication;
pub mod saving;
pub mod scan;
pub mod scripting;
pub mod server;
pub mod sets;
pub mod sort;
pub mod sorted_sets;
pub mod streams;
pub mod strings;
pub mod transactions;
pub mod waiting;

use crate::drive::script::debugger;
use crate::drive::settings;
use crate::engine::state::program::CommandSpec;
use crate::engine::state::program::Program;

/// The commands, and what else the engine reaches by pointers.
pub static PROGRAM: Program = Program {
    families: FAMILIES,
    apply_settings: settings::apply_to_state,
    debugger_request: debugger::command,
    debugger_left: debugger::leave,
};

/// Every family's table.
pub static FAMILIES: &[&[CommandSpec]] = &[
    acl::COMMANDS,
    backup::COMMANDS,
    bitfield::COMMANDS,
    bitmaps::COMMANDS,
    client::COMMANDS,
    cluster::COMMANDS,
    cluster_scan::COMMANDS,
    command::COMMANDS,
    config::COMMANDS,
    connection::COMMANDS,
    databases::COMMANDS,
    debug::COMMANDS,
    dump::COMMANDS,
    expiry::COMMANDS,
    following::COMMANDS,
    hashes::setting::COMMANDS,
    hashes::counters::COMMANDS,
    hashes::reading::COMMANDS,
    hashes::walks::COMMANDS,
    hashes::expiry::COMMANDS,
    hashes::expiring::COMMANDS,
    geo::places::COMMANDS,
    geo::search::COMMANDS,
    hot_keys::COMMANDS,
    hyperloglog::COMMANDS,
    keys::COMMANDS,
    latency::COMMANDS,
    lists::ends::COMMANDS,
    lists::elements::COMMANDS,
    lists::moves::COMMANDS,
    lists::blocking::COMMANDS,
    loop_recorder::COMMANDS,
    memory::COMMANDS,
    migrate::COMMANDS,
    modules::COMMANDS,
    object::COMMANDS,
    prefix::COMMANDS,
    pubsub::COMMANDS,
    recording::COMMANDS,
    redirection::COMMANDS,
    replication::COMMANDS,
    saving::COMMANDS,
    appending::COMMANDS,
    scan::COMMANDS,
    scripting::COMMANDS,
    scripting::functions::COMMANDS,
    scripting::scripts::COMMANDS,
    server::COMMANDS,
    sets::members::COMMANDS,
    sets::random::COMMANDS,
    sets::algebra::COMMANDS,
    sets::cardinality::COMMANDS,
    command_log::COMMANDS,
    sort::COMMANDS,
    sorted_sets::update::COMMANDS,
    sorted_sets::members::COMMANDS,
    sorted_sets::RANGE_COMMANDS,
    sorted_sets::removal::COMMANDS,
    sorted_sets::pop::COMMANDS,
    sorted_sets::draw::COMMANDS,
    sorted_sets::ALGEBRA_COMMANDS,
    streams::append::COMMANDS,
    streams::range::COMMANDS,
    streams::read::COMMANDS,
    streams::remove::COMMANDS,
    streams::groups::COMMANDS,
    streams::pending::COMMANDS,
    streams::claim::COMMANDS,
    streams::release::COMMANDS,
    streams::producers::COMMANDS,
    streams::info::COMMANDS,
    strings::values::COMMANDS,
    strings::many::COMMANDS,
    strings::parts::COMMANDS,
    strings::counters::COMMANDS,
    strings::increx::COMMANDS,
    strings::throttle::COMMANDS,
    strings::compare::COMMANDS,
    strings::lcs::COMMANDS,
    transactions::COMMANDS,
    waiting::COMMANDS,
];
