//! Why the server cannot start with what it was given.

use std::fmt;
use std::path::PathBuf;

/// Why the settings could not be loaded. `Display` gives what Redis prints to standard error before it exits with
/// status 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// A line was refused.
    Line {
        /// Number of the line, from 1; lines made from command-line arguments follow those of the file.
        number: usize,
        /// The line, trimmed.
        line: String,
        /// Why.
        reason: String,
    },
    /// The settings as a whole were refused.
    Whole {
        /// Why.
        reason: String,
    },
    /// A file could not be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why, in the system's words.
        reason: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = crate::REDIS_VERSION;
        match self {
            Self::Line { number, line, reason } => {
                writeln!(formatter, "\n*** FATAL CONFIG FILE ERROR (Redis {version}) ***")?;
                writeln!(formatter, "Reading the configuration file, at line {number}")?;
                write!(formatter, ">>> '{line}'\n{reason}")
            }
            Self::Whole { reason } => {
                write!(formatter, "\n*** FATAL CONFIG FILE ERROR (Redis {version}) ***\n{reason}")
            }
            Self::Unreadable { path, reason } => {
                write!(formatter, "Fatal error, can't open config file '{}': {reason}", path.display())
            }
        }
    }
}

impl std::error::Error for ConfigError {}
