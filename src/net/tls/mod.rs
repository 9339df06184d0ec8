//! TLS through rustls: what the settings ask for, and one connection's records.
//!
//! Never does a handshake of its own accord: all is driven by what a socket brings, so a peer that
//! stops half-way costs its buffers and nothing else until the loop gives it up.

mod acceptor;
mod ciphers;
mod connector;
mod files;
mod session;
mod session_cache;
mod stamp;

pub use acceptor::Acceptor;
pub use connector::Connector;
pub use session::{CIPHER_BYTES, Received, TlsSession};
pub use stamp::{check_files, files_stamp};
