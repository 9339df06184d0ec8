//! Tests of the whole room: frames of genuine servers, single members, a simulated cluster. Never touches a socket.

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
