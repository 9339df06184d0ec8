//! The file that is appended to: whole batches, or nothing of them.

use std::io;
use std::path::Path;

use crate::storage::file::operations::{Disk, DiskFile, FileOperations};

/// An open file and how long it is.
pub(crate) struct LogFile {
    file: DiskFile,
    /// Bytes of whole batches.
    length: u64,
    /// Whether a torn batch may lie behind them, which could not be cut off so far.
    is_torn: bool,
}

impl LogFile {
    /// Opens a file to append to, or creates it.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn open(disk: &Disk, path: &Path) -> io::Result<LogFile> {
        let file = disk.files().open_to_append(path)?;
        Ok(LogFile { length: file.length()?, file, is_torn: false })
    }

    /// Bytes in the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether something that was not written whole may lie at the end of the file.
    pub fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// The file, to be forced to the disk by a thread.
    pub fn file(&self) -> DiskFile {
        self.file.clone()
    }

    /// Appends a batch. If that fails nothing of it stays in the file, or what does is cut off before the next one.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn append<'a>(&mut self, batch: impl Iterator<Item = &'a [u8]> + Clone) -> io::Result<()> {
        if self.is_torn {
            self.cut_off()?;
        }
        let mut written = 0;
        for piece in batch.clone() {
            let mut rest = piece;
            while !rest.is_empty() {
                let error = match self.file.write(rest) {
                    Ok(0) => io::ErrorKind::WriteZero.into(),
                    Ok(count) => {
                        rest = &rest[count..];
                        written += count;
                        continue;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => error,
                };
                let expected = batch.map(<[u8]>::len).sum();
                return Err(self.tear(error, written, expected));
            }
        }
        self.length += written as u64;
        Ok(())
    }

    /// Cuts off what was written of a batch that failed.
    fn tear(&mut self, error: io::Error, written: usize, expected: usize) -> io::Error {
        if written > 0 {
            self.is_torn = true;
            log::warn!("Short write while writing to the AOF file: (nwritten={written}, expected={expected})");
            if let Err(error) = self.cut_off() {
                log::warn!(
                    "Could not remove short write from the append-only file. Redis may refuse to load the AOF the next time it \
                     starts. ftruncate: {error}"
                );
            }
        }
        error
    }

    fn cut_off(&mut self) -> io::Result<()> {
        self.file.set_length(self.length)?;
        self.is_torn = false;
        Ok(())
    }
}
