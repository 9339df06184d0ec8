//! A small file that is replaced again and again as a whole, and that no other process may use meanwhile.
//!
//! ```text
//! save_now    the caller waits until the new content is on the disk
//! save_soon   a thread brings the content to the disk under a temporary name; collect gives it the file's name
//! ```
//!
//! What is saved later stays: a content that the thread is at work on is thrown away if another one was saved
//! meanwhile. Each new file is locked before it gets the name, so a process that comes later finds the lock whichever
//! file it opens.

use std::io;
use std::path::{Path, PathBuf};

use super::new_file::NewFile;
use super::operations::{Disk, folder_of};
use super::worker::{Task, Worker};
use crate::base::sys::lock::{LockError, PathLock};
use crate::base::wake::Wake;

/// Why the file cannot be used.
#[derive(Debug)]
pub enum OpenError {
    /// Another process uses it.
    InUse,
    System(io::Error),
}

impl From<LockError> for OpenError {
    fn from(error: LockError) -> OpenError {
        match error {
            LockError::Taken(_) => OpenError::InUse,
            LockError::System(error) => OpenError::System(error),
        }
    }
}

/// The file.
pub struct KeptFile {
    disk: Disk,
    path: PathBuf,
    lock: Option<PathLock>,
    /// Saves contents that need not be on the disk at once; it is started when it is first needed.
    worker: Option<Worker>,
    /// Number of the last content.
    saved: u64,
    /// The content that the thread is saving.
    under_way: Option<u64>,
    /// The content that it saves next.
    next: Option<String>,
}

impl KeptFile {
    /// Opens the file, or creates an empty one, and locks it; gives its content.
    ///
    /// # Errors
    ///
    /// Another process uses it, or the system's.
    pub fn open(disk: &Disk, path: &Path) -> Result<(KeptFile, Vec<u8>), OpenError> {
        let path = disk.files().absolute(path).map_err(OpenError::System)?;
        drop(disk.files().open_to_append(&path).map_err(OpenError::System)?);
        let lock = disk.files().lock_path(&path)?;
        let content = disk.read(&path).map_err(OpenError::System)?;
        let disk = disk.clone();
        Ok((KeptFile { disk, path, lock, worker: None, saved: 0, under_way: None, next: None }, content))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file's content: the new one is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn save_now(&mut self, text: &str) -> io::Result<()> {
        self.saved += 1;
        self.next = None;
        let temporary = self.temporary("now");
        let mut file = NewFile::create(&self.disk, &temporary, false).map_err(|failed| failed.error)?;
        file.write(text.as_bytes()).map_err(|failed| failed.error)?;
        let lock = self.disk.files().lock_path(&temporary).map_err(unlockable)?;
        file.publish(&self.path).map_err(|failed| failed.error)?;
        self.lock = lock;
        Ok(())
    }

    /// Replaces the file's content a little later.
    ///
    /// # Errors
    ///
    /// There is no thread to be had.
    pub fn save_soon(&mut self, text: String, wake: Wake) -> io::Result<()> {
        if self.under_way.is_some() {
            self.next = Some(text);
            return Ok(());
        }
        if self.worker.is_none() {
            self.worker = Some(Worker::start(&self.disk, "file keeper", wake)?);
        }
        self.saved += 1;
        self.under_way = Some(self.saved);
        let (disk, temporary) = (self.disk.clone(), self.temporary("soon"));
        let task: Task = Box::new(move || {
            let mut file = NewFile::create(&disk, &temporary, false).map_err(|failed| failed.error)?;
            file.write(text.as_bytes()).map_err(|failed| failed.error)?;
            file.keep().map_err(|failed| failed.error)
        });
        if let Some(worker) = &self.worker {
            worker.submit(self.saved, task);
        }
        Ok(())
    }

    /// Whether the thread is at work.
    pub fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Takes over the results of the thread.
    ///
    /// # Errors
    ///
    /// The system's: the content is not saved.
    pub fn collect(&mut self, wake: &Wake) -> io::Result<()> {
        let Some(number) = self.under_way else { return Ok(()) };
        let Some((_, result)) = self.worker.as_ref().and_then(Worker::next_outcome) else { return Ok(()) };
        self.under_way = None;
        result?;
        let temporary = self.temporary("soon");
        if number == self.saved {
            let lock = self.disk.files().lock_path(&temporary).map_err(unlockable)?;
            self.disk.files().rename(&temporary, &self.path)?;
            self.lock = lock;
        } else {
            // Something newer is in the file.
            self.disk.files().remove(&temporary)?;
        }
        match self.next.take() {
            Some(text) => self.save_soon(text, wake.clone()),
            None => Ok(()),
        }
    }

    /// A name for a new file, which two that are written at the same time do not share.
    fn temporary(&self, purpose: &str) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        folder_of(&self.path).join(format!("{name}.{purpose}.tmp"))
    }
}

fn unlockable(error: LockError) -> io::Error {
    match error {
        LockError::Taken(_) => io::ErrorKind::ResourceBusy.into(),
        LockError::System(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::super::operations::simulated::SimulatedDisk;
    use super::*;
    use std::fs;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("oneloop-kept-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    fn wait(file: &mut KeptFile) {
        while file.is_busy() {
            file.collect(&Wake::default()).expect("the disk takes it");
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_file_belongs_to_one_process_whatever_is_saved() {
        let folder = folder("lock");
        let path = folder.join("nodes.conf");
        let (mut file, content) = KeptFile::open(&Disk::System, &path).expect("it can be created");
        assert!(content.is_empty());
        let is_in_use = || matches!(KeptFile::open(&Disk::System, &path), Err(OpenError::InUse));
        assert!(is_in_use());
        file.save_now("first").expect("it is saved");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "first");
        assert!(is_in_use(), "the new file is locked too");
        file.save_soon("second".into(), Wake::default()).expect("there are threads");
        file.save_soon("third".into(), Wake::default()).expect("there are threads");
        file.save_soon("fourth".into(), Wake::default()).expect("there are threads");
        wait(&mut file);
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "fourth");
        assert!(is_in_use());
        drop(file);
        let (_file, content) = KeptFile::open(&Disk::System, &path).expect("it is free again");
        assert_eq!(content, b"fourth");
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1, "no temporary file is left");
        fs::remove_dir_all(&folder).expect("it goes");
    }

    #[test]
    fn what_is_saved_at_once_is_not_replaced_by_what_came_before() {
        let simulated = SimulatedDisk::new(1);
        let disk = Disk::Simulated(simulated.clone());
        let (mut file, _) = KeptFile::open(&disk, Path::new("nodes.conf")).expect("it can be created");
        file.save_soon("older".into(), Wake::default()).expect("it is taken");
        file.save_now("newer").expect("it is saved");
        while simulated.run_helper(0) {}
        file.collect(&Wake::default()).expect("it is done");
        assert_eq!(disk.read(Path::new("nodes.conf")).expect("it is there"), b"newer");
        assert_eq!(disk.files().list(Path::new(".")).expect("a folder"), ["nodes.conf"]);
    }
}
