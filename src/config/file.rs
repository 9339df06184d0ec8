//! Loading of configuration text: directives, statements that only a file may hold, and included files.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::directive::{Arity, Directive};
use super::error::ConfigError;
use super::fields::Config;
use super::{parse, table};
use crate::base::tape::{self, Kind};
use crate::text::quoting::split_arguments;

/// How deep files may include one another.
pub(super) const DEEPEST_INCLUDE: usize = 16;
/// Directives of old that are passed over.
pub(super) const FORGOTTEN: [&[u8]; 3] =
    [b"list-max-ziplist-entries", b"list-max-ziplist-value", b"lua-replicate-commands"];
const BAD_DIRECTIVE: &str = "Bad directive or wrong number of arguments";

/// A line that the settings do not hold and another part of the server carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Number of the line.
    pub number: usize,
    /// The line, trimmed.
    pub line: String,
    /// Its words after the first.
    pub arguments: Vec<Vec<u8>>,
}

impl Statement {
    /// The error for a statement that was refused when carried out.
    pub fn refused(&self, reason: impl Into<String>) -> ConfigError {
        ConfigError::Line { number: self.number, line: self.line.clone(), reason: reason.into() }
    }
}

/// The statements of all files, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statements {
    /// `user NAME RULE…`: the users of the ACL. Arguments: name and rules.
    pub users: Vec<Statement>,
    /// `rename-command OLD NEW`. Arguments: both names; an empty new one removes the command.
    pub renamed_commands: Vec<Statement>,
}

/// Loads texts into settings; keeps what must be known from one line to the next.
pub(super) struct Loader {
    /// The settings so far.
    pub config: Config,
    /// The statements so far.
    pub statements: Statements,
    /// Whether the default save points were dropped already.
    has_save_line: bool,
}

impl Loader {
    /// Starts from the defaults.
    pub fn new() -> Loader {
        Loader { config: Config::default(), statements: Statements::default(), has_save_line: false }
    }

    /// Loads the lines of a text. `depth` counts the inclusions around it. On an error the settings are part-loaded.
    pub fn load(&mut self, text: &[u8], depth: usize) -> Result<(), ConfigError> {
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = trim(line);
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let number = index + 1;
            let shown = || String::from_utf8_lossy(line).into_owned();
            let refused = |reason: String| ConfigError::Line { number, line: shown(), reason };
            let Some(words) = split_arguments(line) else {
                return Err(refused("Unbalanced quotes in configuration line".into()));
            };
            let Some((name, arguments)) = words.split_first() else {
                continue;
            };
            if name.eq_ignore_ascii_case(b"include") && arguments.len() == 1 {
                if depth == DEEPEST_INCLUDE {
                    return Err(refused("Files include one another too deeply".into()));
                }
                self.include(&arguments[0], depth)?;
                continue;
            }
            let statement = || Statement { number, line: shown(), arguments: arguments.to_vec() };
            self.line(name, arguments, statement).map_err(refused)?;
        }
        Ok(())
    }

    /// Carries out one line other than `include`; the error is the reason for refusing it.
    fn line(
        &mut self,
        name: &[u8],
        arguments: &[Vec<u8>],
        statement: impl FnOnce() -> Statement,
    ) -> Result<(), String> {
        if let Some(directive) = table::find(name) {
            return self.directive(directive, arguments);
        }
        match (name.to_ascii_lowercase().as_slice(), arguments.len()) {
            (old, 1) if FORGOTTEN.contains(&old) => {}
            (b"rename-command", 2) => self.statements.renamed_commands.push(statement()),
            (b"user", 1..) => self.statements.users.push(statement()),
            (b"loadmodule", 1..) => return Err("Modules are not supported".into()),
            (b"sentinel", 0) => {}
            (b"sentinel", _) => return Err("sentinel directive while not in sentinel mode".into()),
            (dotted, count) if dotted.contains(&b'.') => {
                return Err(match count {
                    1 => "Module Configuration detected without loadmodule directive or no ApplyConfig call: aborting",
                    _ => "Module config specified without value",
                }
                .into());
            }
            _ => return Err(BAD_DIRECTIVE.into()),
        }
        Ok(())
    }

    /// Stores the value of a directive. The first `save` line drops the default save points, later ones add to it.
    fn directive(&mut self, directive: &Directive, arguments: &[Vec<u8>]) -> Result<(), String> {
        let arguments: Vec<&[u8]> = match (directive.arity(), arguments) {
            // Several values in one quoted word count as several words.
            (Arity::Many, [one]) if !one.is_empty() => directive.split(one),
            _ => arguments.iter().map(Vec::as_slice).collect(),
        };
        if directive.name != "save" {
            return directive.store(&mut self.config, &arguments);
        }
        let earlier_points = std::mem::take(&mut self.config.save);
        directive.store(&mut self.config, &arguments)?;
        if self.has_save_line && arguments != [b""] {
            self.config.save.splice(..0, earlier_points);
        }
        self.has_save_line = true;
        Ok(())
    }

    /// Loads a file, or all files of a pattern, in place of an `include` line.
    fn include(&mut self, path: &[u8], depth: usize) -> Result<(), ConfigError> {
        let mut text = Vec::new();
        for file in self.included(path) {
            text.extend(read_file(&file)?);
        }
        self.load(&text, depth + 1)
    }

    /// The files that an `include` line names: one, or those of a pattern. A relative path starts at `dir`, as Redis
    /// has entered that by then.
    pub fn included(&self, path: &[u8]) -> Vec<PathBuf> {
        let path = PathBuf::from(String::from_utf8_lossy(path).into_owned());
        let path = if self.config.dir.is_empty() { path } else { Path::new(&self.config.dir).join(path) };
        let shown = path.to_string_lossy();
        if !shown.contains(['*', '?', '[']) {
            return vec![path];
        }
        let files = tape::pass(Kind::Process, || {
            let found = glob::glob(&shown).into_iter().flatten().flatten();
            found.map(|path| path.to_string_lossy().into_owned()).collect::<Vec<String>>()
        });
        files.into_iter().map(PathBuf::from).collect()
    }

    /// Checks the settings as a whole, once all is loaded.
    pub fn finish(mut self) -> Result<(Config, Statements), ConfigError> {
        let config = &mut self.config;
        config.clamp();
        if config.dir.is_empty() {
            config.dir = tape::pass(Kind::Process, || {
                let current = std::env::current_dir().unwrap_or_default();
                current.to_string_lossy().into_owned()
            });
        }
        if !config.logfile.is_empty() {
            // The server could not say so later: there would be nowhere to log it.
            let path = Path::new(&config.dir).join(&config.logfile);
            let opened =
                tape::pass(Kind::Process, || fs::OpenOptions::new().append(true).create(true).open(path).map(|_| ()));
            opened.map_err(|error| ConfigError::Whole {
                reason: format!("Can't open the log file: {}", parse::system_reason(&error)),
            })?;
        }
        match self.refusal() {
            Some(error) => Err(error),
            None => Ok((self.config, self.statements)),
        }
    }

    /// Why the settings as a whole are refused, if they are.
    pub fn refusal(&self) -> Option<ConfigError> {
        let config = &self.config;
        let reason = if config.cluster_enabled && config.replicaof.is_some() {
            "replicaof directive not allowed in cluster mode"
        } else if !config.aclfile.is_empty() && !self.statements.users.is_empty() {
            USERS_TWICE
        } else {
            return None;
        };
        Some(ConfigError::Whole { reason: reason.into() })
    }

    /// The settings and statements so far.
    pub fn into_parts(self) -> (Config, Statements) {
        (self.config, self.statements)
    }
}

const USERS_TWICE: &str = "Users come either from an ACL file or from lines of the configuration file, not from both";

/// Reads a configuration file.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, ConfigError> {
    tape::pass(Kind::Process, || fs::read(path)).map_err(|error| unreadable(path, &error))
}

/// Reads the configuration on standard input to its end.
pub(super) fn read_standard_input() -> Result<Vec<u8>, ConfigError> {
    let read = tape::pass(Kind::Process, || {
        let mut text = Vec::new();
        io::stdin().lock().read_to_end(&mut text).map(|_| text)
    });
    read.map_err(|error| unreadable(Path::new("-"), &error))
}

fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError::Unreadable { path: path.to_owned(), reason: parse::system_reason(error) }
}

/// Strips blanks and line ends.
pub(super) fn trim(line: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = line.iter().take_while(|byte| is_blank(byte)).count();
    let end = line.len() - line[start..].iter().rev().take_while(|byte| is_blank(byte)).count();
    &line[start..end]
}
