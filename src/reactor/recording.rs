//! `oneloop --record FILE`: what the server takes from outside is recorded from the start of the process.
//!
//! Never knows what is recorded: `base::tape` does.

use std::ffi::OsString;
use std::path::Path;

use crate::storage::recording::{Header, Recording, RecordingOptions};
use crate::text::memory_size;

const OPTION: &str = "--record";
const SIZE_LIMIT: &str = "--record-max-size";
const TIME_LIMIT: &str = "--record-max-time";
const DIGESTS: &str = "--record-digest";
/// Seconds between two digests of the data, unless the option says otherwise.
const DIGEST_PERIOD_S: f64 = 60.0;

/// Begins to record if the arguments ask for it. Gives the arguments without that, and the recording, which has to be
/// kept until the server has ended.
///
/// Errors: the text for the user.
pub fn begin(arguments: &[OsString]) -> Result<(Vec<OsString>, Option<Recording>), String> {
    let mut rest = arguments.to_vec();
    let path = take_option(&mut rest, OPTION)?;
    let [size, time, digests] = [SIZE_LIMIT, TIME_LIMIT, DIGESTS].map(|name| take_option(&mut rest, name));
    let limits = [size?, time?, digests?];
    let Some(path) = path else {
        let lonely = [SIZE_LIMIT, TIME_LIMIT, DIGESTS].iter().zip(&limits).find(|(_, limit)| limit.is_some());
        return match lonely {
            Some((name, _)) => Err(format!("{name} wants {OPTION} too.")),
            None => Ok((rest, None)),
        };
    };
    let options = options_of(&limits)?;
    let texts: Option<Vec<String>> = rest.iter().map(|argument| argument.to_str().map(str::to_string)).collect();
    let texts = texts.ok_or("A recording can hold arguments in UTF-8 alone.")?;
    let header = Header::of_process(texts).map_err(|error| format!("Cannot read the executable: {error}"))?;
    let recording = Recording::begin(Path::new(&path), &header, options)?;
    Ok((rest, Some(recording)))
}

/// The options by their values, in the order size, time, digests.
fn options_of([size, time, digests]: &[Option<OsString>; 3]) -> Result<RecordingOptions, String> {
    let size = size.as_ref().map(|text| memory_size::parse(text.as_encoded_bytes()));
    let number = |text: &OsString| text.to_str()?.parse::<f64>().ok().filter(|number| (0.0..=1e9).contains(number));
    let [time, digests] = [time, digests].map(|text| text.as_ref().map(number));
    let digest_s = digests.unwrap_or(Some(DIGEST_PERIOD_S));
    Ok(RecordingOptions {
        bytes_max: size.unwrap_or(Some(u64::MAX)).ok_or(format!("{SIZE_LIMIT} wants a size, such as 1gb."))?,
        seconds_max: match time {
            None => u64::MAX,
            Some(seconds) => seconds.ok_or(format!("{TIME_LIMIT} wants seconds."))?.ceil() as u64,
        },
        digest_period_us: (digest_s.ok_or(format!("{DIGESTS} wants seconds."))? * 1e6) as u64,
    })
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
        for wrong in [
            "oneloop --record-max-size 1gb",
            "oneloop --record-max-time 5",
            "oneloop --record-digest 5",
            "oneloop --record /tmp/x --record-max-size much",
            "oneloop --record /tmp/x --record-max-time -1",
            "oneloop --record /tmp/x --record-digest often",
        ] {
            assert!(begin(&words(wrong)).is_err(), "{wrong}");
        }
        let given = [Some("1kb".into()), Some("7".into()), Some("0.5".into())];
        let RecordingOptions { bytes_max, seconds_max, digest_period_us } = options_of(&given).unwrap();
        assert_eq!((bytes_max, seconds_max, digest_period_us), (1024, 7, 500_000));
        let RecordingOptions { bytes_max, seconds_max, digest_period_us } = options_of(&[None, None, None]).unwrap();
        assert_eq!((bytes_max, seconds_max, digest_period_us), (u64::MAX, u64::MAX, 60_000_000));
    }
}
