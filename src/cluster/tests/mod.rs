//! Tests of the whole folder: frames of genuine servers, single members, simulated clusters. Never touches a socket.

mod cast;
mod clusters;
mod elections;
mod failures;
mod frames;
mod hostile;
mod members;
mod migration;
mod ownership;
mod peers;
mod promises;
mod simulation;
mod stories;
mod world;
