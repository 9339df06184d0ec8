//! Every command, in-process, under a virtual clock: one file a family.

#[path = "../support/mod.rs"]
mod support;

mod client;
mod command;
mod command_table;
mod connection;
mod expiry;
mod key_specs;
mod keys;
mod strings;
