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
    /// A collection without elements. The reader stands behind it: loading may go on.
    Empty,
    /// No type of value has this number.
    UnknownType(u8),
    /// Data in a version of the format that is not known.
    Version(u16),
    /// A value of the module with this number.
    ModuleValue(u64),
    /// What the module with this number has written besides its values.
    ModuleAuxiliary(u64),
    /// Data that only a server with a certain feature can load.
    Unsupported(&'static str),
    /// Bytes that no server writes.
    Corrupt(&'static str),
}

impl fmt::Display for FormatError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "at byte {}: {}", self.offset, self.reason())
    }
}

impl FormatError {
    /// What is wrong, without the place.
    pub fn reason(&self) -> String {
        match self.check {
            Some(check) => format!("{check} integrity check failed: {}", self.fault),
            None => self.fault.to_string(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Fault::Truncated { missing } => {
                write!(formatter, "the data ends early, {missing} bytes or more are missing")
            }
            Fault::Empty => formatter.write_str("a collection without elements"),
            Fault::UnknownType(number) => write!(formatter, "no type of value has number {number}"),
            Fault::Version(version) => {
                write!(formatter, "Can't handle RDB format version {version}")
            }
            Fault::ModuleValue(module) => write!(
                formatter,
                "The RDB file contains module data I can't load: no matching module type '{}'",
                module_name(module)
            ),
            Fault::ModuleAuxiliary(module) => write!(
                formatter,
                "The RDB file contains AUX module data I can't load: no matching module '{}'",
                module_name(module)
            ),
            Fault::Unsupported(what) => write!(formatter, "{what} cannot be loaded"),
            Fault::Corrupt(reason) => formatter.write_str(reason),
        }
    }
}

impl std::error::Error for FormatError {}

/// The name of the module with this number: nine letters of six bits each, above ten bits of a version.
pub fn module_name(module: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letter = |place: u32| char::from(LETTERS[(module >> (10 + 6 * place)) as usize % 64]);
    (0..9).rev().map(letter).collect()
}

/// What a check of a block says: nothing, or what is wrong with it.
pub(crate) type Checked<T = ()> = Result<T, Fault>;

/// Refuses, with a reason, what does not hold.
pub(crate) fn ensure(holds: bool, reason: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(Fault::Corrupt(reason)) }
}
