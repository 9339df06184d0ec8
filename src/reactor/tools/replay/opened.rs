//! A recording that was opened, and that this process can replay.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::Path;

use crate::base::tape::{End, Player};
use crate::storage::recording::{Header, RecordingReader};

/// A recording that this process can replay.
pub struct Opened(RecordingReader);

/// Opens a recording.
///
/// Errors: it cannot be read, is none, or another build has made it.
pub fn open(name: &str) -> Result<Opened, String> {
    reader(name).map(Opened)
}

/// What reads a recording that this process can replay.
///
/// Errors: it cannot be read, is none, or another build has made it.
pub fn reader(name: &str) -> Result<RecordingReader, String> {
    let reader = RecordingReader::open(Path::new(name))?;
    let own = Header::of_process(Vec::new()).map_err(|error| format!("Cannot read the executable: {error}"))?;
    if (&own.version, own.build) != (&reader.header.version, reader.header.build) {
        let version = &reader.header.version;
        return Err(format!("{name} was made by another build (version {version}): only the same one can replay it."));
    }
    Ok(reader)
}

impl Opened {
    /// The arguments of the process that was recorded.
    pub fn arguments(&self) -> Vec<OsString> {
        self.0.header.arguments.iter().map(OsString::from).collect()
    }

    /// What plays it; `on_end` ends the run.
    pub fn player(self, on_end: Box<dyn FnMut(&End) -> Infallible>) -> Player {
        let mut reader = self.0;
        Player::new(Box::new(move || reader.next_piece()), on_end)
    }
}
