//! A server within the process of a test: the library's supported interface.
//!
//! [`TestServer::start`] gives a server with a port of its own, on a thread of its own; when it is dropped it is
//! stopped and its thread joined. Any number of them run side by side.
//!
//! ```
//! use oneloop::testing::{Content, TestServer};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = TestServer::builder().config("maxmemory", "10mb").seed(7).virtual_clock().start()?;
//!
//! // Any client library, at `server.url()`; here the `redis` crate.
//! let mut client = redis::Client::open(server.url())?.get_connection()?;
//! redis::cmd("SET").arg("session:1").arg("Ada").arg("EX").arg(60).exec(&mut client)?;
//!
//! let entry = server.entry(0, "session:1")?.expect("the key is there");
//! assert_eq!(entry.content, Content::String(b"Ada".to_vec()));
//! assert_eq!(entry.ttl, Some(Duration::from_secs(60)));
//!
//! server.advance(Duration::from_secs(60))?;
//! assert_eq!(server.keys(0)?, Vec::<Vec<u8>>::new());
//! # Ok(())
//! # }
//! ```
//!
//! *What belongs to the program stays its own.* No signal handler, logger or panic hook is installed, the working
//! folder stays, and directives that would change the process are refused. The server's log goes to the program's `log`
//! logger, if it has one. What the server persists goes to a disk in memory that ends with it. Its memory is what its
//! own heap and its strings take: the program's global allocator is not asked.
//!
//! *Faults* are methods of [`TestServer`]: connections that break off, replies that are late, a failing `fsync`,
//! evicted keys, LOADING, a lost primary.
//!
//! *A panic* in the server's thread becomes an error of the call that is made next, or of the drop.
//!
//! The loop stays without locks: each call goes to the server's thread as a message, which the loop takes between two
//! turns, after all that clients had sent before. Never a second thread reads or changes the server's state.

mod builder;
mod connection;
mod content;
mod error;
mod server;
mod stage;

pub use builder::TestServerBuilder;
pub use connection::{TestConnection, Value};
pub use content::{Content, Entry};
pub use error::TestError;
pub use server::TestServer;
