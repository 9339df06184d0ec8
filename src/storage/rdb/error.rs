//! What is wrong with serialized data, and where.

use std::fmt;

/// Why a read failed, and at which byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FormatError {
    /// Where in the whole data (file, payload) the read that failed had got to, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub fault: Fault,
    /// The check of a packed collection that failed, by the name under which Redis logs it.
    pub check: Option<&'static str>,
}

/// What is wrong with serialized data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The data ends within the item; so many bytes more are needed at least. With more data the same read may succeed.
    Truncated {
        /// Bytes that are missing at least.
        missing: u64,
    },
    /// A collection without elements. The reader stands behind it: whoever loads a file may go on.
    Empty,
    /// No type of value has this number.
    UnknownType(u8),
    /// Data that only a server with a certain feature can load.
    Unsupported(&'static str),
    /// Bytes that no server writes.
    Corrupt(&'static str),
}

impl fmt::Display for FormatError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "at byte {}: ", self.offset)?;
        if let Some(check) = self.check {
            write!(formatter, "{check} integrity check failed: ")?;
        }
        match self.fault {
            Fault::Truncated { missing } => {
                write!(formatter, "the data ends early, {missing} bytes or more are missing")
            }
            Fault::Empty => formatter.write_str("a collection without elements"),
            Fault::UnknownType(number) => write!(formatter, "no type of value has number {number}"),
            Fault::Unsupported(what) => write!(formatter, "{what} cannot be loaded"),
            Fault::Corrupt(reason) => formatter.write_str(reason),
        }
    }
}

impl std::error::Error for FormatError {}

/// What a check of a block says: nothing, or what is wrong with it.
pub(crate) type Checked<T = ()> = Result<T, Fault>;

/// Refuses, with a reason, what does not hold.
pub(crate) fn ensure(holds: bool, reason: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(Fault::Corrupt(reason)) }
}
