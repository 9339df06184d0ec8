//! CONFIG GET and CONFIG SET: reading by pattern, and changing several settings all or nothing.

use std::fmt;

use super::directive::{Arity, Directive, Mutability};
use super::fields::Config;
use super::table;
use crate::types::glob::{Case, glob_match};

/// Who asks for a change, and when.
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

impl SetError {
    /// A refusal; for the server too, when applying a change fails.
    pub fn refused(name: &str, reason: impl Into<String>) -> SetError {
        SetError::Refused {
            name: name.into(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => {
                write!(
                    formatter,
                    "ERR Unknown option or number of arguments for CONFIG SET - '{name}'"
                )
            }
            Self::Loading => formatter.write_str("LOADING Redis is loading the dataset in memory"),
            Self::Refused { name, reason } => {
                write!(
                    formatter,
                    "ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"
                )
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
            if !found
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
            {
                found.push((name.to_owned(), directive.value(self)));
            }
        };
        for pattern in patterns {
            if !pattern
                .iter()
                .any(|byte| matches!(byte, b'*' | b'?' | b'['))
            {
                if let Some(directive) = table::find(pattern) {
                    add(&String::from_utf8_lossy(pattern), directive);
                }
                continue;
            }
            for directive in table::directives().filter(|directive| !directive.is_hidden) {
                for name in [Some(directive.name), directive.alias]
                    .into_iter()
                    .flatten()
                {
                    if glob_match(pattern, name.as_bytes(), Case::Insensitive) {
                        add(name, directive);
                    }
                }
            }
        }
        found
    }

    /// CONFIG SET: checks all pairs, then changes all or nothing. Answers the directives whose value really changed, in
    /// the order given; the server applies those (by name) and puts its clone from before back if that fails.
    /// O(pairs × directives).
    pub fn set(
        &mut self,
        pairs: &[(&[u8], &[u8])],
        context: SetContext,
    ) -> Result<Vec<&'static Directive>, SetError> {
        let directives = self.check_names(pairs, context)?;
        let mut changed_config = self.clone();
        for (directive, (_, value)) in directives.iter().zip(pairs) {
            let arguments: Vec<&[u8]> = match directive.arity() {
                Arity::One => vec![value],
                Arity::Many => value.split(|byte| *byte == b' ').collect(),
            };
            directive
                .store(&mut changed_config, &arguments)
                .map_err(|reason| SetError::refused(directive.name, reason))?;
        }
        changed_config.clamp();
        let changed = directives
            .into_iter()
            .filter(|directive| directive.value(self) != directive.value(&changed_config))
            .collect();
        *self = changed_config;
        Ok(changed)
    }

    /// Finds the directives and checks that each may be changed, once.
    fn check_names(
        &self,
        pairs: &[(&[u8], &[u8])],
        context: SetContext,
    ) -> Result<Vec<&'static Directive>, SetError> {
        let mut directives: Vec<&'static Directive> = Vec::with_capacity(pairs.len());
        for (name, _) in pairs {
            let shown_name = String::from_utf8_lossy(name).into_owned();
            let Some(directive) = table::find(name) else {
                return Err(SetError::Unknown { name: shown_name });
            };
            let mutability = directive.mutability;
            if mutability == Mutability::Immutable {
                return Err(SetError::refused(&shown_name, "can't set immutable config"));
            }
            if mutability.is_protected()
                && !self
                    .enable_protected_configs
                    .allows(context.is_local_client)
            {
                return Err(SetError::refused(&shown_name, "can't set protected config"));
            }
            if context.is_loading && mutability.is_denied_while_loading() {
                return Err(SetError::Loading);
            }
            if directives.iter().any(|known| known.name == directive.name) {
                return Err(SetError::refused(&shown_name, "duplicate parameter"));
            }
            directives.push(directive);
        }
        Ok(directives)
    }

    /// Brings accepted hints into the range that is used.
    pub(super) fn clamp(&mut self) {
        self.hz = self.hz.clamp(1, 500);
    }
}
