//! Every command, in-process, under a virtual clock: one file a family.

#[path = "../support/mod.rs"]
mod support;

mod command;
mod command_table;
mod key_specs;
mod strings;
mod strings_newer;
