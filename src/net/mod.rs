//! Sockets: listening, and one connection's bytes in and out. Never looks into a request.

pub mod address;
pub mod connection;
pub mod listener;
pub mod stream;
