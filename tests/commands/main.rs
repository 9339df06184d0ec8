//! Every command, in-process, under a virtual clock: one file a family.

#[path = "../support/mod.rs"]
mod support;

mod command;
mod command_table;
mod key_specs;
mod client;
mod connection;
mod expiry;
mod keys;
mod strings;
mod strings_newer;
