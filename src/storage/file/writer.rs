//! A file that a thread writes: bytes are handed over, and the loop is woken when there is room for more, and at the
//! end.
//!
//! A writer that is dropped before it has said what became of its file is given up: its thread gives no file a name any
//! more, whatever it has been told before. The name is given under a lock that giving up takes as well, so there is no
//! moment in between.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::operations::simulated::SimulatedDisk;
use sha2::{Digest, Sha256};

use super::operations::{self, Disk, folder_of};
use crate::base::sys::allocator::InTransit;
use crate::base::tape::{self, Entry, Input, Kind};
use crate::base::wake::Wake;
use crate::storage::file::new_file::{NewFile, StepFailed, WriteStep};

/// Room of the buffers that are given out, in bytes: twice what is usually handed over at once.
const BUFFER_BYTES: usize = 512 << 10;

enum Order {
    Write(InTransit),
    /// Give the file this name.
    Publish(PathBuf),
    /// Bring it to the disk under its temporary name.
    Keep,
}

/// A new file that a thread writes. Dropped before it is complete, it is removed.
pub struct FileWriter {
    orders: Orders,
    outcome: Receiver<Result<(), StepFailed>>,
    used: Receiver<InTransit>,
    /// Bytes handed over and not written yet.
    pending_bytes: Arc<AtomicUsize>,
    is_given_up: Arc<Mutex<bool>>,
    /// The sum of all that was written, once that is complete.
    sum: Arc<Mutex<Option<[u8; 32]>>>,
}

/// Where orders go.
enum Orders {
    Thread(Sender<Order>),
    /// Nowhere: a tape has what became of them.
    Replayed,
    /// The test decides when an order is carried out.
    Stepped {
        disk: SimulatedDisk,
        helper: usize,
        job: Arc<Mutex<Job>>,
    },
}

/// How a file is to be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriterOptions {
    /// Whether what is written goes to the disk every few megabytes.
    pub syncs_in_pieces: bool,
    /// Whether nothing may have the temporary name yet.
    pub is_alone: bool,
    /// Whether the thread makes a SHA-256 sum of what is written.
    pub has_sum: bool,
    /// Whether the file's folder has just been made, so that its name has to be brought to the disk, too.
    pub is_in_new_folder: bool,
}

/// What has become of a file.
#[derive(Debug)]
pub enum WriterState {
    /// It is being written.
    Writing,
    /// It is on the disk, under the name that was asked for.
    Complete,
    /// It is given up. What else is handed over is thrown away.
    Failed(StepFailed),
}

impl Entry for WriterState {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            WriterState::Writing => 0_u8.write(out),
            WriterState::Complete => 1_u8.write(out),
            WriterState::Failed(StepFailed { step, error }) => {
                (2 + *step as u8).write(out);
                error.write(out);
            }
        }
    }

    fn read(input: &mut Input<'_>) -> Option<WriterState> {
        let step = match u8::read(input)? {
            0 => return Some(WriterState::Writing),
            1 => return Some(WriterState::Complete),
            2 => WriteStep::Create,
            3 => WriteStep::Write,
            4 => WriteStep::Publish,
            5 => WriteStep::SyncFolder,
            _ => return None,
        };
        Some(WriterState::Failed(StepFailed { step, error: Entry::read(input)? }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FileWriter {
    /// Starts a thread that creates the file, and writes what it is given.
    ///
    /// # Errors
    ///
    /// No thread could be started.
    pub fn start(disk: &Disk, path: &Path, options: WriterOptions, wake: Wake) -> io::Result<FileWriter> {
        let (report, outcome) = channel();
        let (give_back, used) = channel();
        let pending_bytes = Arc::new(AtomicUsize::new(0));
        let is_given_up = Arc::new(Mutex::new(false));
        let sum = Arc::new(Mutex::new(None));
        let job = Job {
            disk: disk.clone(),
            path: path.to_path_buf(),
            options,
            file: None,
            is_over: false,
            report,
            give_back,
            pending_bytes: Arc::clone(&pending_bytes),
            is_given_up: Arc::clone(&is_given_up),
            sum: Arc::clone(&sum),
            summing: options.has_sum.then(Sha256::new),
            wake,
        };
        let orders = match disk {
            Disk::System => {
                let orders = tape::pass_thing(Kind::Helper, || start_thread(job))?;
                orders.map_or(Orders::Replayed, Orders::Thread)
            }
            Disk::Absent => return Err(operations::refusal()),
            Disk::Simulated(disk) => {
                let (helper, job) = (disk.start_helper(), Arc::new(Mutex::new(job)));
                let stepped = Arc::clone(&job);
                disk.give(helper, Box::new(move || lock(&stepped).create()));
                Orders::Stepped { disk: disk.clone(), helper, job }
            }
        };
        Ok(FileWriter { orders, outcome, used, pending_bytes, is_given_up, sum })
    }

    fn order(&self, order: Order) {
        match &self.orders {
            Orders::Thread(orders) => {
                // A thread that has failed has said so.
                let _ = orders.send(order);
            }
            Orders::Replayed => {}
            Orders::Stepped { disk, helper, job } => {
                let job = Arc::clone(job);
                disk.give(*helper, Box::new(move || lock(&job).carry_out(order)));
            }
        }
    }

    /// Hands bytes over. O(1).
    pub fn write(&self, bytes: Vec<u8>) {
        tape::note_output(&bytes);
        self.pending_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        self.order(Order::Write(InTransit::new(bytes)));
    }

    /// Says that all was handed over: the file is to be brought to the disk and to get its name. O(1).
    pub fn publish(&self, name: &Path) {
        self.order(Order::Publish(name.to_path_buf()));
    }

    /// Says that all was handed over: the file is to be brought to the disk, and keeps its temporary name. O(1).
    pub fn keep(&self) {
        self.order(Order::Keep);
    }

    /// Bytes that were handed over and are not written yet.
    pub fn pending_bytes(&self) -> usize {
        tape::pass(Kind::Helper, || self.pending_bytes.load(Ordering::Relaxed))
    }

    /// An empty buffer: one that was written, if there is one. Its room is the same in either case, so that the memory
    /// that the loop counts does not follow from how far the thread is.
    pub fn empty_buffer(&self) -> Vec<u8> {
        let used = self.used.try_recv().ok().map(InTransit::arrive);
        let mut buffer = used.filter(|used| used.capacity() == BUFFER_BYTES).unwrap_or_default();
        buffer.clear();
        buffer.reserve_exact(BUFFER_BYTES);
        buffer
    }

    /// The SHA-256 sum of a file that is complete, if it was to be made.
    pub fn sum(&self) -> Option<[u8; 32]> {
        tape::pass(Kind::Helper, || *self.sum.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What has become of the file; the end is told once.
    pub fn state(&self) -> WriterState {
        tape::pass(Kind::Helper, || match self.outcome.try_recv() {
            Ok(Ok(())) => WriterState::Complete,
            Ok(Err(failed)) => WriterState::Failed(failed),
            Err(TryRecvError::Empty) => WriterState::Writing,
            Err(TryRecvError::Disconnected) => WriterState::Failed(StepFailed {
                step: WriteStep::Write,
                error: io::Error::other("the thread is gone"),
            }),
        })
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        *lock(&self.is_given_up) = true;
        if let Orders::Stepped { disk, helper, job } = &self.orders {
            let job = Arc::clone(job);
            disk.give(*helper, Box::new(move || lock(&job).end()));
        }
    }
}

/// What the thread works on.
struct Job {
    disk: Disk,
    path: PathBuf,
    options: WriterOptions,
    file: Option<NewFile>,
    is_over: bool,
    report: Sender<Result<(), StepFailed>>,
    give_back: Sender<InTransit>,
    pending_bytes: Arc<AtomicUsize>,
    is_given_up: Arc<Mutex<bool>>,
    sum: Arc<Mutex<Option<[u8; 32]>>>,
    summing: Option<Sha256>,
    wake: Wake,
}

fn start_thread(mut job: Job) -> io::Result<Sender<Order>> {
    let (orders, incoming) = channel();
    thread::Builder::new().name("file writer".into()).spawn(move || {
        job.create();
        while let Ok(order) = incoming.recv() {
            job.carry_out(order);
            if job.is_over {
                break;
            }
        }
        job.end();
    })?;
    Ok(orders)
}

impl Job {
    fn create(&mut self) {
        if *lock(&self.is_given_up) {
            return self.end();
        }
        let in_pieces = self.options.syncs_in_pieces;
        if self.options.is_in_new_folder
            && let Err(error) = self.disk.files().sync_folder(&folder_of(&folder_of(&self.path)))
        {
            return self.tell(Err(StepFailed { step: WriteStep::SyncFolder, error }));
        }
        let file = match self.options.is_alone {
            true => NewFile::create_alone(&self.disk, &self.path, in_pieces),
            false => NewFile::create(&self.disk, &self.path, in_pieces),
        };
        match file {
            Ok(file) => self.file = Some(file),
            Err(failed) => self.tell(Err(failed)),
        }
    }

    fn carry_out(&mut self, order: Order) {
        if *lock(&self.is_given_up) {
            return self.end();
        }
        let Some(mut file) = self.file.take() else {
            return;
        };
        match order {
            Order::Publish(name) => {
                *self.sum.lock().unwrap_or_else(PoisonError::into_inner) =
                    self.summing.take().map(|sum| sum.finalize().into());
                let is_given_up = Arc::clone(&self.is_given_up);
                let published = file.publish_if(&name, |rename| match lock(&is_given_up) {
                    is_given_up if *is_given_up => Ok(()),
                    _held => rename(),
                });
                self.tell(published);
            }
            Order::Keep => {
                let kept = file.keep();
                self.tell(kept);
            }
            Order::Write(bytes) => {
                if let Err(failed) = file.write(&bytes) {
                    return self.tell(Err(failed));
                }
                if let Some(sum) = &mut self.summing {
                    sum.update(&bytes[..]);
                }
                self.file = Some(file);
                self.pending_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
                let _ = self.give_back.send(bytes);
                self.wake.wake();
            }
        }
    }

    /// The end; a receiver that is gone needs no result.
    fn tell(&mut self, outcome: Result<(), StepFailed>) {
        self.is_over = true;
        let _ = self.report.send(outcome);
        self.wake.wake();
    }

    /// The file goes unless it is complete, and so does a new folder in which nothing is left.
    fn end(&mut self) {
        self.is_over = true;
        self.file = None;
        if self.options.is_in_new_folder {
            // The system refuses it while anything is in the folder.
            let _ = self.disk.files().remove_folder(&folder_of(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const OPTIONS: WriterOptions =
        WriterOptions { syncs_in_pieces: true, is_alone: false, has_sum: true, is_in_new_folder: false };

    fn start(path: &Path) -> io::Result<FileWriter> {
        FileWriter::start(&Disk::System, path, OPTIONS, Wake::default())
    }

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
        let writer = start(&folder.join("temporary")).unwrap();
        for number in 0..100 {
            writer.write(vec![number; 1000]);
        }
        writer.publish(&name);
        assert!(matches!(outcome(&writer), WriterState::Complete));
        assert_eq!(writer.pending_bytes(), 0);
        assert_eq!(writer.empty_buffer().capacity(), BUFFER_BYTES, "one of another size is not used again");
        let expected: Vec<u8> = (0..100).flat_map(|number| [number; 1000]).collect();
        assert_eq!(fs::read(&name).unwrap(), expected);
        let writer = start(&folder).unwrap();
        writer.write(vec![1]);
        let WriterState::Failed(failed) = outcome(&writer) else {
            panic!("a folder is no file");
        };
        assert_eq!(failed.step, WriteStep::Create);
        fs::remove_dir_all(&folder).unwrap();
    }

    /// It was told to give the file its name, and is given up while it works on that.
    #[test]
    fn a_writer_that_is_given_up_gives_no_name_any_more() {
        for steps in 0..3 {
            let simulated = SimulatedDisk::new(1);
            let disk = Disk::Simulated(simulated.clone());
            let (temporary, name) = (Path::new("temporary"), Path::new("name"));
            let writer = FileWriter::start(&disk, temporary, OPTIONS, Wake::default()).unwrap();
            writer.write(vec![1]);
            writer.publish(name);
            for _ in 0..steps {
                assert!(simulated.run_helper(0));
            }
            drop(writer);
            while simulated.run_helper(0) {}
            assert!(disk.files().list(Path::new(".")).unwrap().is_empty());
        }
    }
}
