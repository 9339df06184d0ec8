//! `oneloop --record FILE`: what the server takes from outside is recorded from the start of the process.
//!
//! Never knows what is recorded: `base::tape` does.

use std::ffi::OsString;
use std::path::Path;

use crate::storage::recording::{Header, Recording};
use crate::text::memory_size;

const OPTION: &str = "--record";
const LIMIT: &str = "--record-max-size";

/// Begins to record if the arguments ask for it. Gives the arguments without that, and the recording, which has to be
/// kept until the server has ended.
///
/// Errors: the text for the user.
pub fn begin(arguments: &[OsString]) -> Result<(Vec<OsString>, Option<Recording>), String> {
    let mut rest = arguments.to_vec();
    let path = take_option(&mut rest, OPTION)?;
    let limit = take_option(&mut rest, LIMIT)?;
    let Some(path) = path else {
        return match limit {
            Some(_) => Err(format!("{LIMIT} wants {OPTION} too.")),
            None => Ok((rest, None)),
        };
    };
    let bytes_max = match &limit {
        None => u64::MAX,
        Some(text) => {
            memory_size::parse(text.as_encoded_bytes()).ok_or(format!("{LIMIT} wants a size, such as 1gb."))?
        }
    };
    let texts: Option<Vec<String>> = rest.iter().map(|argument| argument.to_str().map(str::to_string)).collect();
    let texts = texts.ok_or("A recording can hold arguments in UTF-8 alone.")?;
    let header = Header::of_process(texts).map_err(|error| format!("Cannot read the executable: {error}"))?;
    let recording = Recording::begin(Path::new(&path), &header, bytes_max)?;
    Ok((rest, Some(recording)))
}

/// Removes an option from the arguments; gives its value.
fn take_option(arguments: &mut Vec<OsString>, name: &str) -> Result<Option<OsString>, String> {
    let Some(place) = arguments.iter().position(|argument| argument == name) else {
        return Ok(None);
    };
    if place + 1 == arguments.len() {
        return Err(format!("{name} wants a value."));
    }
    Ok(arguments.drain(place..place + 2).nth(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_options_are_no_directives() {
        let mut arguments = words("oneloop a.conf --record file --port 7");
        assert_eq!(take_option(&mut arguments, OPTION), Ok(Some("file".into())));
        assert_eq!(arguments, words("oneloop a.conf --port 7"));
        assert_eq!(take_option(&mut arguments, OPTION), Ok(None));
        assert!(take_option(&mut words("oneloop --record"), OPTION).is_err());
        for wrong in ["oneloop --record-max-size 1gb", "oneloop --record /tmp/x --record-max-size much"] {
            assert!(begin(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
