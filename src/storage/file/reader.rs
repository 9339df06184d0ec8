//! A file that a thread reads ahead.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread;

use super::operations::{Disk, DiskFile, FileOperations};
use crate::base::sys::allocator::InTransit;
use crate::base::tape::{self, Entry, Input, Kind};
use crate::base::wake::Wake;

/// Read in one go, in bytes.
const CHUNK_BYTES: usize = 512 * 1024;
/// A file of so many bytes is read without a thread.
const SMALL_BYTES: u64 = 64 * 1024;
/// So many chunks wait at most.
const CHUNKS_AHEAD: usize = 4;

/// A file that is being read from its beginning to its end.
pub struct FileReader {
    chunks: Receiver<io::Result<InTransit>>,
    used: Sender<InTransit>,
    length: u64,
}

/// What there is of a file.
#[derive(Debug)]
pub enum Read {
    /// The next bytes.
    Chunk(Vec<u8>),
    /// Nothing yet: the loop is woken when there is.
    NotYet,
    /// All has been read.
    End,
    Failed(io::Error),
}

impl Entry for Read {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Read::NotYet => 0_u8.write(out),
            Read::End => 1_u8.write(out),
            Read::Failed(error) => {
                2_u8.write(out);
                error.write(out);
            }
            Read::Chunk(bytes) => {
                3_u8.write(out);
                bytes.write(out);
            }
        }
    }

    fn read(input: &mut Input<'_>) -> Option<Read> {
        match u8::read(input)? {
            0 => Some(Read::NotYet),
            1 => Some(Read::End),
            2 => Entry::read(input).map(Read::Failed),
            3 => Entry::read(input).map(Read::Chunk),
            _ => None,
        }
    }
}

impl FileReader {
    /// Opens a file and starts a thread that reads it, unless it is small.
    ///
    /// # Errors
    ///
    /// There is no such file, or it cannot be read, or no thread could be started.
    pub fn open(disk: &Disk, path: &Path, wake: Wake) -> io::Result<FileReader> {
        let file = disk.files().open(path)?;
        let length = file.length()?;
        let (sender, chunks) = sync_channel(CHUNKS_AHEAD);
        let (used, buffers) = channel();
        if matches!(disk, Disk::Simulated(_)) || length <= SMALL_BYTES {
            // All of it is there at once: a simulated disk has no threads, and to start one takes longer than to read
            // so little. A replica that is sent few data does not keep its clients waiting for them.
            let mut whole = Vec::new();
            let read = file.read(&mut whole, usize::MAX);
            // INVARIANT: there is room for one chunk, and the receiver is at hand.
            let _ = sender.send(read.map(|_| InTransit::new(whole)));
            return Ok(FileReader { chunks, used, length });
        }
        if tape::is_replaying() {
            // The tape has what the thread has read.
            return Ok(FileReader { chunks, used, length });
        }
        thread::Builder::new().name("file reader".into()).spawn(move || {
            read_all(file, &sender, &buffers, &wake);
            // Only now it is known to be the end.
            drop(sender);
            wake.wake();
        })?;
        Ok(FileReader { chunks, used, length })
    }

    /// Bytes of the file when it was opened.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The next bytes, if they are there already.
    pub fn read(&self) -> Read {
        tape::pass(Kind::Helper, || match self.chunks.try_recv() {
            Ok(Ok(chunk)) => Read::Chunk(chunk.arrive()),
            Ok(Err(error)) => Read::Failed(error),
            Err(TryRecvError::Empty) => Read::NotYet,
            Err(TryRecvError::Disconnected) => Read::End,
        })
    }

    /// The next bytes, waited for.
    pub fn wait(&self) -> Read {
        tape::pass(Kind::Helper, || match self.chunks.recv() {
            Ok(Ok(chunk)) => Read::Chunk(chunk.arrive()),
            Ok(Err(error)) => Read::Failed(error),
            Err(_) => Read::End,
        })
    }

    /// Gives a chunk's buffer back, to be used again.
    pub fn give_back(&self, chunk: Vec<u8>) {
        // The thread may be through.
        let _ = self.used.send(InTransit::new(chunk));
    }
}

/// Reads until the end, an error, or until the receiver is gone.
fn read_all(file: DiskFile, sender: &SyncSender<io::Result<InTransit>>, buffers: &Receiver<InTransit>, wake: &Wake) {
    loop {
        let mut chunk = buffers.try_recv().map(InTransit::arrive).unwrap_or_default();
        chunk.clear();
        chunk.reserve_exact(CHUNK_BYTES);
        let part = file.read(&mut chunk, CHUNK_BYTES);
        let goes_on = match part {
            Ok(0) => break,
            Ok(_) => sender.send(Ok(InTransit::new(chunk))).is_ok(),
            Err(error) => {
                // With or without a receiver, this is the end.
                let _ = sender.send(Err(error));
                false
            }
        };
        if !goes_on {
            return;
        }
        wake.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_whole() {
        let path = std::env::temp_dir().join(format!("oneloop-reader-{}", std::process::id()));
        let bytes: Vec<u8> = (0..3_000_000u32).map(|number| (number / 7) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let reader = FileReader::open(&Disk::System, &path, Wake::default()).unwrap();
        assert_eq!(reader.length(), 3_000_000);
        let mut found = Vec::new();
        loop {
            match reader.wait() {
                Read::Chunk(chunk) => {
                    found.extend_from_slice(&chunk);
                    reader.give_back(chunk);
                }
                Read::End => break,
                other => panic!("{other:?}"),
            }
        }
        assert!(found == bytes);
        assert!(matches!(reader.read(), Read::End));
        std::fs::remove_file(&path).unwrap();
        assert!(FileReader::open(&Disk::System, &path, Wake::default()).is_err());
    }
}
