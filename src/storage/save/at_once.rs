//! Synchronous saving to a file.

use std::path::Path;

use crate::storage::file::new_file::{NewFile, StepFailed};
use crate::storage::save::job::{Pace, SaveJob, SaveStep};
use crate::storage::save::sink::{Chunk, SaveSink, SinkState};
use crate::storage::save::source::SaveSource;

/// A file that is written at once.
struct WaitingFile<'a> {
    /// None once it is published, or has failed.
    file: Option<NewFile>,
    target: &'a Path,
    outcome: Option<Result<(), StepFailed>>,
}

impl SaveSink for WaitingFile<'_> {
    type Error = StepFailed;

    fn state(&mut self) -> SinkState<StepFailed> {
        match self.outcome.take() {
            None => SinkState::Open,
            Some(Ok(())) => SinkState::Complete,
            Some(Err(failed)) => SinkState::Failed(failed),
        }
    }

    fn write(&mut self, chunk: &mut Chunk) {
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write(chunk.rest()));
        chunk.advance(chunk.rest().len());
        if written.is_err() {
            self.outcome = Some(written);
            self.file = None;
        }
    }

    fn finish(&mut self) {
        if let Some(file) = self.file.take() {
            self.outcome = Some(file.publish(self.target));
        }
    }
}

/// Writes a source to its end and gives the file its name. `pause` is called after each piece. O(bytes).
///
/// # Errors
///
/// The system's. The file is removed, and what has the name stays.
pub fn save_at_once(
    source: impl Into<SaveSource>,
    file: NewFile,
    target: &Path,
    mut pause: impl FnMut(),
) -> Result<(), StepFailed> {
    let mut job = SaveJob::new(source, 0);
    let mut sink = WaitingFile { file: Some(file), target, outcome: None };
    loop {
        match job.step(&mut sink, Pace::default()) {
            SaveStep::More | SaveStep::Waits => pause(),
            SaveStep::Complete => return Ok(()),
            SaveStep::Failed(failed) => return Err(failed),
        }
    }
}
