//! The wire protocol, sans I/O: request parser and reply writer. Never touches a socket.
//!
//! The way in is [`Parser`], which fills a [`Batch`] whose requests are seen as [`Args`]; the way
//! out is [`Reply`].

pub mod batch;
pub mod big_argument;
pub mod inline;
pub mod number;
pub mod parser;
pub mod protocol_error;
pub mod queue;
pub mod reply;

pub use batch::{Args, BATCH_MAX, Batch, OwnedArgs};
pub use big_argument::BigArgument;
pub use parser::{Limits, Parser};
pub use protocol_error::ProtocolError;
pub use queue::RequestQueue;
pub use reply::{Protocol, Reply};
