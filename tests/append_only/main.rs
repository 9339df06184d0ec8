//! The append-only file on a disk that fails, delays and forgets: the whole server, its loop turned by hand.
//!
//! `simulation` plays random stories; `faults` tells single ones, each named after what once went wrong.

mod faults;
mod simulation;
mod world;
