//! `oneloop --record FILE`: what the server takes from outside is recorded from the start of the process.
//!
//! Never knows what is recorded: `base::tape` does.

use std::ffi::OsString;
use std::path::Path;

use crate::storage::recording::{Header, Recording};

const OPTION: &str = "--record";

/// Begins to record if the arguments ask for it. Gives the arguments without that, and the recording, which has to be
/// kept until the server has ended.
///
/// Errors: the text for the user.
pub fn begin(arguments: &[OsString]) -> Result<(Vec<OsString>, Option<Recording>), String> {
    let Some(place) = arguments.iter().position(|argument| argument == OPTION) else {
        return Ok((arguments.to_vec(), None));
    };
    let path = arguments.get(place + 1).ok_or("--record wants the name of a file.")?;
    let mut rest = arguments.to_vec();
    rest.drain(place..place + 2);
    let texts: Option<Vec<String>> = rest.iter().map(|argument| argument.to_str().map(str::to_string)).collect();
    let texts = texts.ok_or("A recording can hold arguments in UTF-8 alone.")?;
    let header = Header::of_process(texts).map_err(|error| format!("Cannot read the executable: {error}"))?;
    let recording = Recording::begin(Path::new(path), &header)?;
    Ok((rest, Some(recording)))
}
