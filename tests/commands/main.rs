//! Every command, in-process, under a virtual clock: one file a family.

#[path = "../support/mod.rs"]
mod support;

mod expiry;
mod keys;
mod strings;
