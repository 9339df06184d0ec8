//! Looking a configuration file over, line by line: what is wrong, what has no effect here, what differs from Redis's
//! default. Unlike loading it goes on behind a mistake, and it touches no file but those that it reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::directive::Directive;
use super::error::ConfigError;
use super::fields::Config;
use super::file::{DEEPEST_INCLUDE, FORGOTTEN, Loader, Statements, read_file, trim};
use super::table;
use crate::text::quoting::split_arguments;

/// What was found in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server refuses to start with it.
    Wrong,
    /// It is accepted, and this design has no use for it.
    NoEffect,
    /// It sets another value than Redis's default.
    Differs,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Number of the line, from 1; 0 for the settings as a whole.
    pub line: usize,
    /// What was found.
    pub verdict: Verdict,
    /// In words.
    pub text: String,
}

/// What was found in a file and those that it includes.
#[derive(Default)]
pub struct Examination {
    /// The findings, in the order of the lines.
    pub findings: Vec<Finding>,
    /// The settings, as far as they could be loaded.
    pub config: Config,
    /// The statements that another part of the server carries out, with the numbers of their lines.
    pub statements: Statements,
    /// The file of each statement, in order: users first, then renamed commands.
    statement_files: Vec<(String, PathBuf)>,
    /// Where each directive was set last.
    places: BTreeMap<&'static str, (PathBuf, usize)>,
}

impl Examination {
    /// Adds what is wrong with the value of a directive, at the line that sets it.
    pub fn blame(&mut self, directive: &str, reason: &str) {
        let (file, line) = self.places.get(directive).cloned().unwrap_or_default();
        let text = format!("'{directive}': {reason}");
        self.findings.push(Finding { file, line, verdict: Verdict::Wrong, text });
    }

    /// Adds the error with which a statement was refused when it was carried out.
    pub fn refuse(&mut self, error: &ConfigError) {
        let (file, line, text) = match error {
            ConfigError::Line { number, line, reason } => {
                let file = self.statement_files.iter().find(|(known, _)| known == line);
                (file.map(|(_, file)| file.clone()).unwrap_or_default(), *number, reason.clone())
            }
            ConfigError::Whole { reason } => (PathBuf::new(), 0, reason.clone()),
            ConfigError::Unreadable { path, reason } => (path.clone(), 0, reason.clone()),
        };
        self.findings.push(Finding { file, line, verdict: Verdict::Wrong, text });
    }
}

/// Looks a file over.
///
/// Errors: it cannot be read.
pub fn examine(path: &Path) -> Result<Examination, ConfigError> {
    let text = read_file(path)?;
    let mut examiner = Examiner {
        loader: Loader::new(),
        defaults: Config::default(),
        findings: Vec::new(),
        statement_files: Vec::new(),
        places: BTreeMap::new(),
    };
    examiner.text(path, &text, 0);
    let mut examination = Examination {
        findings: examiner.findings,
        statement_files: examiner.statement_files,
        places: examiner.places,
        ..Examination::default()
    };
    if let Some(error) = examiner.loader.refusal() {
        examination.refuse(&error);
    }
    (examination.config, examination.statements) = examiner.loader.into_parts();
    Ok(examination)
}

struct Examiner {
    loader: Loader,
    defaults: Config,
    findings: Vec<Finding>,
    statement_files: Vec<(String, PathBuf)>,
    places: BTreeMap<&'static str, (PathBuf, usize)>,
}

impl Examiner {
    fn text(&mut self, file: &Path, text: &[u8], depth: usize) {
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = trim(line);
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            if let Some((verdict, text)) = self.line(file, index + 1, line, depth) {
                self.findings.push(Finding { file: file.to_path_buf(), line: index + 1, verdict, text });
            }
        }
    }

    /// What one line holds; what an included file holds is added at once.
    fn line(&mut self, file: &Path, number: usize, line: &[u8], depth: usize) -> Option<(Verdict, String)> {
        let words = split_arguments(line).unwrap_or_default();
        if let [name, path] = words.as_slice()
            && name.eq_ignore_ascii_case(b"include")
            && depth < DEEPEST_INCLUDE
        {
            return self.include(path, depth);
        }
        let known = self.loader.statements.clone();
        match self.loader.load(line, DEEPEST_INCLUDE) {
            Err(ConfigError::Line { reason, .. } | ConfigError::Whole { reason }) => Some((Verdict::Wrong, reason)),
            Err(error @ ConfigError::Unreadable { .. }) => Some((Verdict::Wrong, error.to_string())),
            Ok(()) => {
                self.note_statement(file, number, &known);
                self.note_place(file, number, words.first()?);
                self.accepted(words.first()?)
            }
        }
    }

    /// Notes where a directive is set. What was said of an earlier line of it no longer holds: this one wins, or adds
    /// to it.
    fn note_place(&mut self, file: &Path, number: usize, name: &[u8]) {
        let Some(directive) = table::find(name) else {
            return;
        };
        if let Some((file, line)) = self.places.insert(directive.name, (file.to_path_buf(), number)) {
            self.findings.retain(|found| (found.verdict, found.line, &found.file) != (Verdict::Differs, line, &file));
        }
    }

    fn include(&mut self, path: &[u8], depth: usize) -> Option<(Verdict, String)> {
        for file in self.loader.included(path) {
            match read_file(&file) {
                Ok(text) => self.text(&file, &text, depth + 1),
                Err(error) => return Some((Verdict::Wrong, error.to_string())),
            }
        }
        None
    }

    /// Gives a statement that has come the number of its line: the loader was given one line alone.
    fn note_statement(&mut self, file: &Path, number: usize, known: &Statements) {
        let statements = &mut self.loader.statements;
        let users = statements.users[known.users.len()..].iter_mut();
        for statement in users.chain(&mut statements.renamed_commands[known.renamed_commands.len()..]) {
            statement.number = number;
            self.statement_files.push((statement.line.clone(), file.to_path_buf()));
        }
    }

    /// What is to be said of a line that was accepted.
    fn accepted(&self, name: &[u8]) -> Option<(Verdict, String)> {
        if FORGOTTEN.iter().any(|old| name.eq_ignore_ascii_case(old)) {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            return Some((Verdict::NoEffect, format!("'{name}' is of an older Redis, and is passed over")));
        }
        let directive = table::find(name)?;
        let value = directive.value(&self.loader.config);
        if value == directive.value(&self.defaults) {
            return None;
        }
        let shown = shown(directive, &value);
        Some(if directive.works {
            let default = shown_default(directive);
            (Verdict::Differs, format!("'{}' is {shown}, the default is {default}", directive.name))
        } else {
            (Verdict::NoEffect, format!("'{}' is kept and reported, but this design has no use for it", directive.name))
        })
    }
}

fn shown(directive: &Directive, value: &[u8]) -> String {
    match (directive.is_sensitive, value) {
        (true, _) => "set".to_string(),
        (false, b"") => "empty".to_string(),
        (false, value) => String::from_utf8_lossy(value).into_owned(),
    }
}

fn shown_default(directive: &Directive) -> &'static str {
    if directive.default.is_empty() { "empty" } else { directive.default }
}
