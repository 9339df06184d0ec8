//! CONFIG GET and CONFIG SET: reading by pattern, and changing several settings all or nothing.

use std::fmt;

use super::directive::{Directive, Mutability};
use super::fields::Config;
use super::table;
use crate::text::glob::{Case, glob_match};

const LEAST_BACKLOG_BYTES: u64 = 16 << 10;

/// A directive with the one of its names that was used.
type Target = (&'static str, &'static Directive);

/// The origin of a change, and its time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetContext {
    /// Whether the client is on the same machine (loopback or Unix socket).
    pub is_local_client: bool,
    /// Whether the data set is being loaded.
    pub is_loading: bool,
}

/// Why CONFIG SET refused. `Display` gives the text of the reply after `-`, with its code (`ERR` or `LOADING`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// There is no directive of that name.
    Unknown {
        /// The name as the client wrote it.
        name: String,
    },
    /// The directive must not change while the data set is being loaded.
    Loading,
    /// The value or the change was refused.
    Refused {
        /// The directive to blame.
        name: String,
        /// Why.
        reason: String,
    },
}

impl Config {
    /// Number of databases that a server with these settings has.
    pub fn database_count(&self) -> usize {
        let count = if self.cluster_enabled { self.cluster_databases } else { self.databases };
        count as usize
    }
}

impl SetError {
    /// A refusal; for the server too, when applying a change fails.
    pub fn refused(name: &str, reason: impl Into<String>) -> SetError {
        SetError::Refused { name: name.into(), reason: reason.into() }
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => {
                write!(formatter, "ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
            }
            Self::Loading => formatter.write_str("LOADING Redis is loading the dataset in memory"),
            Self::Refused { name, reason } => {
                write!(formatter, "ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")
            }
        }
    }
}

impl std::error::Error for SetError {}

impl Config {
    /// CONFIG GET: each directive whose name or old name matches a pattern, under the matching name, with its value.
    /// A word without `*`, `?` and `[` is looked up as a name and answers as spelled. O(patterns × directives).
    pub fn get(&self, patterns: &[&[u8]]) -> Vec<(String, Vec<u8>)> {
        let mut found: Vec<(String, Vec<u8>)> = Vec::new();
        let mut add = |name: &str, directive: &Directive| {
            if !found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                found.push((name.to_owned(), directive.value(self)));
            }
        };
        for pattern in patterns {
            if !pattern.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[')) {
                if let Some(directive) = table::find(pattern) {
                    add(&String::from_utf8_lossy(pattern), directive);
                }
                continue;
            }
            for directive in table::directives().filter(|directive| !directive.is_hidden) {
                for name in [Some(directive.name), directive.alias].into_iter().flatten() {
                    if glob_match(pattern, name.as_bytes(), Case::Insensitive) {
                        add(name, directive);
                    }
                }
            }
        }
        found
    }

    /// CONFIG SET: checks all pairs, then changes all or nothing. Answers the directives whose value really changed, or
    /// whose file is to be read anew, in the order given; the server applies those (by their effects) and puts its
    /// clone from before back if that fails. O(pairs × directives).
    pub fn set(&mut self, pairs: &[(&[u8], &[u8])], context: SetContext) -> Result<Vec<&'static Directive>, SetError> {
        let targets = self.check_names(pairs, context)?;
        let mut next = self.clone();
        for ((name, directive), (_, value)) in targets.iter().zip(pairs) {
            directive.store(&mut next, &directive.split(value)).map_err(|reason| SetError::refused(name, reason))?;
        }
        next.clamp();
        let mut changed: Vec<&'static Directive> = Vec::new();
        for (_, directive) in targets {
            let is_listed = changed.iter().any(|known| known.name == directive.name);
            let differs = directive.value(self) != directive.value(&next);
            if !is_listed && (differs || directive.is_file) {
                changed.push(directive);
            }
        }
        *self = next;
        Ok(changed)
    }

    /// Finds the directives, each with the one of its names that was used, and checks that each may be changed, once.
    fn check_names(&self, pairs: &[(&[u8], &[u8])], context: SetContext) -> Result<Vec<Target>, SetError> {
        let mut targets: Vec<Target> = Vec::with_capacity(pairs.len());
        for (given, _) in pairs {
            let shown = String::from_utf8_lossy(given).into_owned();
            let Some(directive) = table::find(given) else {
                return Err(SetError::Unknown { name: shown });
            };
            let mutability = directive.mutability;
            if mutability == Mutability::Immutable {
                return Err(SetError::refused(&shown, "can't set immutable config"));
            }
            if mutability.is_protected() && !self.enable_protected_configs.allows(context.is_local_client) {
                return Err(SetError::refused(&shown, "can't set protected config"));
            }
            if context.is_loading && mutability.is_denied_while_loading() {
                return Err(SetError::Loading);
            }
            // As in Redis, a name and its old name do not count as the same here; the later one wins.
            let name = directive.alias.filter(|alias| alias.as_bytes().eq_ignore_ascii_case(given));
            let name = name.unwrap_or(directive.name);
            if targets.iter().any(|(known, _)| *known == name) {
                return Err(SetError::refused(&shown, "duplicate parameter"));
            }
            targets.push((name, directive));
        }
        Ok(targets)
    }

    /// Brings accepted hints into the range that is used.
    pub(super) fn clamp(&mut self) {
        self.hz = self.hz.clamp(1, 500);
        self.repl_backlog_size = self.repl_backlog_size.max(LEAST_BACKLOG_BYTES);
    }
}
