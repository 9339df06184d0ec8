//! A file as a sink: a thread writes it, and the loop goes on.

use std::path::{Path, PathBuf};

use crate::storage::file::new_file::StepFailed;
use crate::storage::file::writer::{FileWriter, WriterState};
use crate::storage::save::job::{Pace, SaveJob, SaveStep};
use crate::storage::save::sink::{Chunk, SaveSink, SinkState};

/// No more is taken while so many bytes wait for the disk.
const PENDING_BYTES_MAX: usize = 4 << 20;

/// A file that a thread writes. Dropped before it is complete, it is removed.
pub struct FileSink {
    writer: FileWriter,
    /// The name that it gets in the end; none if it keeps its temporary one.
    target: Option<PathBuf>,
}

impl FileSink {
    /// A file that takes the place of the one with this name, if there is one.
    pub fn replacing(writer: FileWriter, target: &Path) -> FileSink {
        FileSink { writer, target: Some(target.to_path_buf()) }
    }

    /// The SHA-256 sum of the file that is complete, if the writer makes one.
    pub fn sum(&self) -> Option<[u8; 32]> {
        self.writer.sum()
    }

    /// A file that keeps its temporary name.
    pub fn keeping_name(writer: FileWriter) -> FileSink {
        FileSink { writer, target: None }
    }
}

impl SaveSink for FileSink {
    type Error = StepFailed;

    fn state(&mut self) -> SinkState<StepFailed> {
        match self.writer.state() {
            WriterState::Writing if self.writer.pending_bytes() > PENDING_BYTES_MAX => SinkState::Full,
            WriterState::Writing => SinkState::Open,
            WriterState::Complete => SinkState::Complete,
            WriterState::Failed(failed) => SinkState::Failed(failed),
        }
    }

    fn write(&mut self, chunk: &mut Chunk) {
        self.writer.write(chunk.take(self.writer.empty_buffer()));
    }

    fn finish(&mut self) {
        match &self.target {
            Some(target) => self.writer.publish(target),
            None => self.writer.keep(),
        }
    }
}

/// A job with the file that it writes.
pub struct FileSave {
    pub job: SaveJob,
    pub sink: FileSink,
}

impl FileSave {
    /// Does a piece: some ten microseconds' worth.
    pub fn step(&mut self, pace: Pace) -> SaveStep<StepFailed> {
        self.job.step(&mut self.sink, pace)
    }
}
