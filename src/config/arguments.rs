//! Command lines: turning arguments into configuration text that follows the file's.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::error::ConfigError;
use super::fields::Config;
use super::file::{self, Loader, Statements};
use crate::base::tape::{self, Kind};
use crate::text::quoting::{quote, split_arguments};

/// What the start knows besides the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartInfo {
    /// The program, absolute as far as it was given as a path.
    pub executable: PathBuf,
    /// All arguments as given, the program first, but the configuration file absolute: enough to start again.
    pub arguments: Vec<OsString>,
    /// The configuration file, absolute. None: CONFIG REWRITE is not possible.
    pub config_file: Option<PathBuf>,
    /// Whether settings were read from standard input.
    pub has_read_standard_input: bool,
    /// Statements for other parts of the server to carry out.
    pub statements: Statements,
}

/// What a command line asks for.
struct Request {
    config_file: Option<PathBuf>,
    reads_standard_input: bool,
    /// The options as configuration text.
    text: Vec<u8>,
}

impl Config {
    /// Loads the settings that a text, as of a configuration file, holds.
    pub fn parse_text(text: &[u8]) -> Result<(Config, Statements), ConfigError> {
        let mut loader = Loader::new();
        loader.load(text, 0)?;
        loader.finish()
    }

    /// Loads the settings that a command line (the program first) asks for: the file named first if any, standard input
    /// for `-`, then `--name value…`; later ones win.
    pub fn parse_command_line(arguments: &[OsString]) -> Result<(Config, StartInfo), ConfigError> {
        let request = request(arguments);
        let mut text = Vec::new();
        if let Some(path) = &request.config_file {
            text = file::read_file(path)?;
        }
        if request.reads_standard_input {
            text.extend(file::read_standard_input()?);
        }
        // Redis numbers the lines made from options after those of the file.
        text.push(b'\n');
        text.extend(request.text);
        let (config, statements) = Config::parse_text(&text)?;
        let mut given = arguments.to_vec();
        if let (Some(path), Some(place)) = (&request.config_file, given.get_mut(1)) {
            *place = path.clone().into_os_string();
        }
        let program = arguments.first().map(PathBuf::from).unwrap_or_default();
        // A bare name was found on the search path, not in the working folder.
        let is_path = program.as_os_str().as_bytes().contains(&b'/');
        let info = StartInfo {
            executable: if is_path { absolute(&program) } else { program },
            arguments: given,
            config_file: request.config_file,
            has_read_standard_input: request.reads_standard_input,
            statements,
        };
        Ok((config, info))
    }
}

/// Sorts the arguments into a file name, `-` and options.
fn request(arguments: &[OsString]) -> Request {
    let words: Vec<&[u8]> = arguments.iter().skip(1).map(|argument| argument.as_bytes()).collect();
    let config_file = words.first().filter(|word| !word.starts_with(b"-"));
    let config_file = config_file.map(|word| absolute(Path::new(OsStr::from_bytes(word))));
    let mut reads_standard_input = false;
    let mut text = Vec::new();
    let mut is_value_due = false;
    for (index, word) in words.iter().enumerate().skip(usize::from(config_file.is_some())) {
        let is_last = index + 1 == words.len();
        if *word == b"-" && (index == 0 || is_last) {
            reads_standard_input = true;
        } else if word.starts_with(b"--") && !is_value_due {
            let is_next_name = words.get(index + 1).is_some_and(|next| next.starts_with(b"--"));
            is_value_due = option_name(&mut text, word, is_last, is_next_name);
        } else {
            text.extend(quote(word).into_bytes());
            text.push(b' ');
            is_value_due = false;
        }
    }
    Request { config_file, reads_standard_input, text }
}

/// Starts a line for `--name` or `--name value…`; answers whether the next argument is its value whatever it looks
/// like.
fn option_name(text: &mut Vec<u8>, word: &[u8], is_last: bool, is_next_name: bool) -> bool {
    if !text.is_empty() {
        text.push(b'\n');
    }
    text.extend(&word[2..]);
    text.push(b' ');
    let is_only_name = split_arguments(word).is_some_and(|parts| parts.len() == 1);
    // `--save` without a value means no save points: scripts produce that from an empty list.
    let is_bare_save = word.eq_ignore_ascii_case(b"--save") && (is_last || is_next_name);
    if is_bare_save {
        text.extend(b"\"\"");
    }
    let is_bare_sentinel = word.eq_ignore_ascii_case(b"--sentinel") && is_next_name;
    is_only_name && !(is_bare_save && is_next_name) && !is_bare_sentinel
}

fn current_dir() -> PathBuf {
    let current = tape::pass(Kind::Process, || {
        std::env::current_dir().map_or_else(|_| "/".to_string(), |path| path.to_string_lossy().into_owned())
    });
    PathBuf::from(current)
}

/// The path from the root: symbolic links stay, leading `..` are resolved.
fn absolute(path: &Path) -> PathBuf {
    if path.is_absolute() {
        return path.to_owned();
    }
    let mut result: PathBuf = current_dir();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                result.pop();
            }
            other => result.push(other),
        }
    }
    result
}
