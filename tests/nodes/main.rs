//! Several whole servers in one process: their loops are turned by hand, under one virtual clock, on disks in memory,
//! and over a network that delays, cuts and loses what a seed says.
//!
//! `story` plays random stories of writes, lost links, restarts and promotions; `cuts` breaks links at every byte;
//! `faults` tells single stories, each named after what once went wrong.

mod cluster;
mod cuts;
mod data;
mod faults;
mod ledger;
mod network;
mod node;
mod promises;
mod story;
mod tap;
mod writes;
