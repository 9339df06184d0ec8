//! How integers are written in configuration texts.

/// How an integer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// Decimal digits.
    Decimal,
    /// Decimal digits with an optional unit of memory.
    Memory,
    /// Octal digits.
    Octal,
}
