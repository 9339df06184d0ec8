//! What can be wrong with a client's bytes, in the words that clients know from Redis.

use std::fmt;

/// Why a client's bytes are no request. The connection is closed after the error was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// An inline request opened quotes and did not close them.
    UnbalancedQuotes,
    /// More than 64 KiB without a line end, not starting with `*`.
    TooBigInlineRequest,
    /// More than 64 KiB without a line end after `*`.
    TooBigMultibulkCount,
    /// The number of arguments is no integer or above `i32::MAX`.
    InvalidMultibulkLength,
    /// More than ten arguments before authentication.
    UnauthenticatedMultibulkLength,
    /// More than 64 KiB without a line end where an argument's length should be.
    TooBigBulkCount,
    /// An argument did not start with `$` but with this byte.
    ExpectedDollar(u8),
    /// An argument's length is no integer, negative or too large.
    InvalidBulkLength,
    /// An argument of more than 16 KiB before authentication.
    UnauthenticatedBulkLength,
}

impl ProtocolError {
    /// The whole error reply without the leading `-`; may hold a byte that is not UTF-8, quoted
    /// from the input.
    pub fn reply_text(&self) -> Vec<u8> {
        let mut text = b"ERR Protocol error: ".to_vec();
        text.extend_from_slice(self.message().as_bytes());
        if let ProtocolError::ExpectedDollar(byte) = *self {
            text.extend_from_slice(&[byte, b'\'']);
        }
        text
    }

    fn message(&self) -> &'static str {
        match self {
            ProtocolError::UnbalancedQuotes => "unbalanced quotes in request",
            ProtocolError::TooBigInlineRequest => "too big inline request",
            ProtocolError::TooBigMultibulkCount => "too big mbulk count string",
            ProtocolError::InvalidMultibulkLength => "invalid multibulk length",
            ProtocolError::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            ProtocolError::TooBigBulkCount => "too big bulk count string",
            ProtocolError::ExpectedDollar(_) => "expected '$', got '",
            ProtocolError::InvalidBulkLength => "invalid bulk length",
            ProtocolError::UnauthenticatedBulkLength => "unauthenticated bulk length",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.reply_text()))
    }
}

impl std::error::Error for ProtocolError {}
