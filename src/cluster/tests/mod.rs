//! Tests of the whole room: frames of genuine servers, and a simulated cluster. Never touches a socket.

mod simulation;
mod world;
