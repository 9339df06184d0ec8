//! Owns the reasons why bytes are not a listpack.

use std::fmt;

/// Why bytes are not a listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There are fewer bytes than an empty listpack has.
    TooShort,
    /// The total in the header is not the number of bytes.
    WrongTotal,
    /// The last byte is not the end.
    NoEnd,
    /// There is no such entry, or it reaches beyond the end.
    BadEntry,
    /// The back length of an entry is not the number of its bytes.
    WrongBackLength,
    /// The count in the header is not the number of elements.
    WrongCount,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Error::TooShort => "a listpack is too short",
            Error::WrongTotal => "a listpack has another length than it says",
            Error::NoEnd => "a listpack does not end",
            Error::BadEntry => "a listpack has an entry that is none",
            Error::WrongBackLength => "a listpack has an entry with a wrong back length",
            Error::WrongCount => "a listpack has another number of elements than it says",
        })
    }
}

impl std::error::Error for Error {}
