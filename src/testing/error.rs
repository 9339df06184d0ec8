//! Why something could not be done with a server within a test.

use std::fmt;
use std::io;

/// Why a server could not be started or asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum TestError {
    /// The server refuses it, for this reason: a directive, most likely.
    Refused(String),
    /// The server's thread has panicked, with this message.
    Panicked(String),
    /// The server has ended: by SHUTDOWN, or since its disk has failed under `appendfsync always`.
    Ended,
    /// The system refuses a socket or a thread, or a connection is broken.
    Io(io::Error),
}

impl fmt::Display for TestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TestError::Refused(reason) => formatter.write_str(reason),
            TestError::Panicked(message) => write!(formatter, "the test server's thread has panicked: {message}"),
            TestError::Ended => formatter.write_str("the test server has ended"),
            TestError::Io(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for TestError {}

impl From<io::Error> for TestError {
    fn from(error: io::Error) -> TestError {
        TestError::Io(error)
    }
}
