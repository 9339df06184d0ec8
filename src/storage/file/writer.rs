//! A file that a thread writes: bytes are handed over, and the loop is woken when there is room for more, and at the end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;

use crate::base::wake::Wake;
use crate::storage::file::new_file::{NewFile, StepFailed, WriteStep};

enum Order {
    Write(Vec<u8>),
    /// Give the file this name.
    Publish(PathBuf),
}

/// A new file that a thread writes. Dropped before it is published, it is removed.
pub struct FileWriter {
    orders: Sender<Order>,
    outcome: Receiver<Result<(), StepFailed>>,
    used: Receiver<Vec<u8>>,
    /// Bytes handed over and not written yet.
    pending_bytes: Arc<AtomicUsize>,
}

/// What has become of a file.
#[derive(Debug)]
pub enum WriterState {
    /// It is being written.
    Writing,
    /// It is on the disk, under its name.
    Published,
    /// It is given up. What else is handed over is thrown away.
    Failed(StepFailed),
}

impl FileWriter {
    /// Starts a thread that creates the file, and writes what it is given.
    ///
    /// # Errors
    ///
    /// No thread could be started.
    pub fn start(path: &Path, syncs_in_pieces: bool, wake: Wake) -> io::Result<FileWriter> {
        let (orders, incoming) = channel();
        let (report, outcome) = channel();
        let (give_back, used) = channel();
        let pending_bytes = Arc::new(AtomicUsize::new(0));
        let thread = Thread {
            path: path.to_path_buf(),
            syncs_in_pieces,
            incoming,
            give_back,
            pending_bytes: Arc::clone(&pending_bytes),
            wake: wake.clone(),
        };
        thread::Builder::new().name("file writer".into()).spawn(move || {
            if let Some(result) = thread.run() {
                // Where nobody listens any more, nobody wants to know.
                let _ = report.send(result);
                wake.wake();
            }
        })?;
        Ok(FileWriter { orders, outcome, used, pending_bytes })
    }

    /// Hands bytes over. O(1).
    pub fn write(&self, bytes: Vec<u8>) {
        self.pending_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        // A thread that has failed has said so.
        let _ = self.orders.send(Order::Write(bytes));
    }

    /// Says that all was handed over: the file is to be brought to the disk and to get its name. O(1).
    pub fn publish(&self, name: &Path) {
        let _ = self.orders.send(Order::Publish(name.to_path_buf()));
    }

    /// Bytes that were handed over and are not written yet.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes.load(Ordering::Relaxed)
    }

    /// A buffer that was written, to be used again; an empty one if there is none.
    pub fn used_buffer(&self) -> Vec<u8> {
        self.used.try_recv().unwrap_or_default()
    }

    /// What has become of the file; the end is told once.
    pub fn state(&self) -> WriterState {
        match self.outcome.try_recv() {
            Ok(Ok(())) => WriterState::Published,
            Ok(Err(failed)) => WriterState::Failed(failed),
            Err(TryRecvError::Empty) => WriterState::Writing,
            Err(TryRecvError::Disconnected) => WriterState::Failed(StepFailed {
                step: WriteStep::Write,
                error: io::Error::other("the thread is gone"),
            }),
        }
    }
}

/// What the thread works on.
struct Thread {
    path: PathBuf,
    syncs_in_pieces: bool,
    incoming: Receiver<Order>,
    give_back: Sender<Vec<u8>>,
    pending_bytes: Arc<AtomicUsize>,
    wake: Wake,
}

impl Thread {
    /// Writes until the file is published, fails, or is given up, which has no outcome.
    fn run(&self) -> Option<Result<(), StepFailed>> {
        let mut file = match NewFile::create(&self.path, self.syncs_in_pieces) {
            Ok(file) => file,
            Err(failed) => return Some(Err(failed)),
        };
        while let Ok(order) = self.incoming.recv() {
            match order {
                Order::Publish(name) => return Some(file.publish(&name)),
                Order::Write(bytes) => {
                    if let Err(failed) = file.write(&bytes) {
                        return Some(Err(failed));
                    }
                    self.pending_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
                    let _ = self.give_back.send(bytes);
                    self.wake.wake();
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn outcome(writer: &FileWriter) -> WriterState {
        loop {
            match writer.state() {
                WriterState::Writing => thread::yield_now(),
                end => return end,
            }
        }
    }

    #[test]
    fn what_is_handed_over_is_in_the_file() {
        let folder = std::env::temp_dir().join(format!("oneloop-writer-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let name = folder.join("name");
        let writer = FileWriter::start(&folder.join("temporary"), true, Wake::default()).unwrap();
        for number in 0..100 {
            writer.write(vec![number; 1000]);
        }
        writer.publish(&name);
        assert!(matches!(outcome(&writer), WriterState::Published));
        assert_eq!(writer.pending_bytes(), 0);
        assert_eq!(writer.used_buffer().len(), 1000);
        let expected: Vec<u8> = (0..100).flat_map(|number| [number; 1000]).collect();
        assert_eq!(fs::read(&name).unwrap(), expected);
        let writer = FileWriter::start(&folder, true, Wake::default()).unwrap();
        writer.write(vec![1]);
        let WriterState::Failed(failed) = outcome(&writer) else {
            panic!("a folder is no file");
        };
        assert_eq!(failed.step, WriteStep::Create);
        fs::remove_dir_all(&folder).unwrap();
    }
}
