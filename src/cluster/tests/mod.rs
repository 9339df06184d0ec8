//! Tests of the whole room: frames of genuine servers, single members, a simulated cluster. Never touches a socket.

mod frames;
mod members;
mod migration;
mod simulation;
mod world;
