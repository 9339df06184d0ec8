//! What the server asks of the disk, and what answers: the system, or a simulated disk that loses, delays and refuses.
//! Never tries again and never decides what is written: an operation is done once, as it was asked for.
//!
//! [`Disk`] is an enum, so that nothing in the server has a type parameter for it; each variant answers by the same two
//! traits. All calls but `write` are rare, and a write is a system call for all that a turn has gathered, so the
//! dispatch costs nothing that can be measured.

pub mod simulated;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::sys::lock::{LockError, PathLock};
use crate::base::tape::{self, Kind};

use simulated::{SimulatedDisk, SimulatedFile};

/// Files by their names.
pub trait DiskOperations {
    /// Creates a file that is not there yet.
    ///
    /// # Errors
    ///
    /// There is one of that name, or the system's.
    fn create_new(&self, path: &Path) -> io::Result<DiskFile>;

    /// Creates a file, or empties the one that has the name.
    ///
    /// # Errors
    ///
    /// The system's.
    fn create(&self, path: &Path) -> io::Result<DiskFile>;

    /// Opens a file to append to; creates it if need be.
    ///
    /// # Errors
    ///
    /// The system's.
    fn open_to_append(&self, path: &Path) -> io::Result<DiskFile>;

    /// Opens a file to read it from its beginning.
    ///
    /// # Errors
    ///
    /// The system's.
    fn open(&self, path: &Path) -> io::Result<DiskFile>;

    /// Gives a file another name, in place of any file that has it.
    ///
    /// # Errors
    ///
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a folder.
    ///
    /// # Errors
    ///
    /// The system's.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder that is empty.
    ///
    /// # Errors
    ///
    /// The system's.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// Whether there is a folder of this name.
    fn is_folder(&self, path: &Path) -> bool;

    /// Whether anything has this name.
    fn exists(&self, path: &Path) -> bool;

    /// Bytes of a file.
    ///
    /// # Errors
    ///
    /// The system's.
    fn length(&self, path: &Path) -> io::Result<u64>;

    /// The names in a folder.
    ///
    /// # Errors
    ///
    /// The system's.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Brings the names in a folder to the disk.
    ///
    /// # Errors
    ///
    /// The system's.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Keeps other processes from locking a folder or file.
    ///
    /// # Errors
    ///
    /// Another process has locked it, or the system's.
    fn lock_path(&self, folder: &Path) -> Result<Option<PathLock>, LockError>;

    /// The name from the root, which stays right if the process enters another folder.
    ///
    /// # Errors
    ///
    /// The system's.
    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_path_buf())
    }

    /// Ends the process at once, as a failure.
    fn end_process(&self);
}

/// One open file.
pub trait FileOperations {
    /// Writes bytes at the end; says how many it took.
    ///
    /// # Errors
    ///
    /// The system's.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Appends what comes next to `into`, so many bytes at most; says how many there were.
    ///
    /// # Errors
    ///
    /// The system's.
    fn read(&self, into: &mut Vec<u8>, most_bytes: usize) -> io::Result<usize>;

    /// Cuts the file to a length.
    ///
    /// # Errors
    ///
    /// The system's.
    fn set_length(&self, bytes: u64) -> io::Result<()>;

    /// Brings what was written to the disk.
    ///
    /// # Errors
    ///
    /// The system's.
    fn sync(&self) -> io::Result<()>;

    /// Bytes in the file.
    ///
    /// # Errors
    ///
    /// The system's.
    fn length(&self) -> io::Result<u64>;
}

/// Where files are.
#[derive(Clone, Debug, Default)]
pub enum Disk {
    #[default]
    System,
    Simulated(SimulatedDisk),
    /// There are no files, and none can be made.
    Absent,
}

/// An open file; a clone is the same one.
#[derive(Clone, Debug)]
pub enum DiskFile {
    System(Arc<File>),
    Simulated(SimulatedFile),
    /// A tape's.
    Replayed,
}

impl Disk {
    /// Files by their names.
    pub fn files(&self) -> &dyn DiskOperations {
        match self {
            Disk::System => &SystemDisk,
            Disk::Simulated(disk) => disk,
            Disk::Absent => &AbsentDisk,
        }
    }

    /// A whole file.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.files().open(path)?;
        let mut bytes = Vec::new();
        while file.read(&mut bytes, usize::MAX)? > 0 {}
        Ok(bytes)
    }
}

impl DiskFile {
    fn operations(&self) -> &dyn FileOperations {
        match self {
            DiskFile::System(file) => file.as_ref(),
            DiskFile::Simulated(file) => file,
            DiskFile::Replayed => &ReplayedFile,
        }
    }

    /// Writes all bytes at the end.
    ///
    /// # Errors
    ///
    /// The system's; some of them may have been written.
    pub fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl FileOperations for DiskFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.operations().write(bytes)
    }

    fn read(&self, into: &mut Vec<u8>, most_bytes: usize) -> io::Result<usize> {
        self.operations().read(into, most_bytes)
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.operations().set_length(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.operations().sync()
    }

    fn length(&self) -> io::Result<u64> {
        self.operations().length()
    }
}

/// The folder that a name is in.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// The system's files. What they answer is passed through the tape of the loop's thread (`base::tape`).
struct SystemDisk;

/// An open file, or one of a tape.
fn open_file(open: impl FnOnce() -> io::Result<File>) -> io::Result<DiskFile> {
    let file = tape::pass_thing(Kind::Disk, open)?;
    Ok(file.map_or(DiskFile::Replayed, |file| DiskFile::System(Arc::new(file))))
}

impl DiskOperations for SystemDisk {
    fn create_new(&self, path: &Path) -> io::Result<DiskFile> {
        open_file(|| OpenOptions::new().append(true).create_new(true).open(path))
    }

    fn create(&self, path: &Path) -> io::Result<DiskFile> {
        open_file(|| File::create(path))
    }

    fn open_to_append(&self, path: &Path) -> io::Result<DiskFile> {
        open_file(|| OpenOptions::new().append(true).create(true).open(path))
    }

    fn open(&self, path: &Path) -> io::Result<DiskFile> {
        open_file(|| File::open(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        tape::pass(Kind::Disk, || fs::rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        tape::pass(Kind::Disk, || fs::remove_file(path))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        tape::pass(Kind::Disk, || fs::create_dir(path))
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        tape::pass(Kind::Disk, || fs::remove_dir(path))
    }

    fn is_folder(&self, path: &Path) -> bool {
        tape::pass(Kind::Disk, || path.is_dir())
    }

    fn exists(&self, path: &Path) -> bool {
        tape::pass(Kind::Disk, || path.exists())
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        tape::pass(Kind::Disk, || fs::metadata(path).map(|metadata| metadata.len()))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        tape::pass(Kind::Disk, || {
            let entries = fs::read_dir(folder)?;
            entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned())).collect()
        })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        tape::pass(Kind::Disk, || File::open(folder)?.sync_all())
    }

    fn lock_path(&self, folder: &Path) -> Result<Option<PathLock>, LockError> {
        let taken = tape::pass_thing(Kind::Disk, || PathLock::take(folder))?;
        Ok(Some(taken.unwrap_or_else(PathLock::replayed)))
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        let name = tape::pass(Kind::Disk, || {
            std::path::absolute(path).map(|name| name.into_os_string().into_encoded_bytes())
        })?;
        Ok(PathBuf::from(OsString::from_vec(name)))
    }

    fn end_process(&self) {
        // A recording ends here, and so does its replay.
        tape::stop();
        std::process::exit(1)
    }
}

impl FileOperations for File {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        tape::pass_output(Kind::Disk, bytes, || Write::write(&mut &*self, bytes))
    }

    fn read(&self, into: &mut Vec<u8>, most_bytes: usize) -> io::Result<usize> {
        let before = into.len();
        if !tape::is_on() {
            return Read::take(self, most_bytes as u64).read_to_end(into);
        }
        let read = tape::pass(Kind::Disk, || {
            let mut bytes = Vec::new();
            Read::take(self, most_bytes as u64).read_to_end(&mut bytes).map(|_| bytes)
        })?;
        into.extend_from_slice(&read);
        Ok(into.len() - before)
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        tape::pass(Kind::Disk, || self.set_len(bytes))
    }

    fn sync(&self) -> io::Result<()> {
        tape::pass(Kind::Disk, || self.sync_data())
    }

    fn length(&self) -> io::Result<u64> {
        tape::pass(Kind::Disk, || self.metadata().map(|metadata| metadata.len()))
    }
}

/// A file of which a tape says all.
struct ReplayedFile;

fn unreal<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl FileOperations for ReplayedFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        tape::pass_output(Kind::Disk, bytes, unreal)
    }

    fn read(&self, into: &mut Vec<u8>, _: usize) -> io::Result<usize> {
        let read: Vec<u8> = tape::pass(Kind::Disk, unreal)?;
        into.extend_from_slice(&read);
        Ok(read.len())
    }

    fn set_length(&self, _: u64) -> io::Result<()> {
        tape::pass(Kind::Disk, unreal)
    }

    fn sync(&self) -> io::Result<()> {
        tape::pass(Kind::Disk, unreal)
    }

    fn length(&self) -> io::Result<u64> {
        tape::pass(Kind::Disk, unreal)
    }
}

/// The disk that is not there: for servers that tools run on a state of their own.
struct AbsentDisk;

/// Why nothing can be written.
pub(super) fn refusal() -> io::Error {
    io::ErrorKind::ReadOnlyFilesystem.into()
}

fn missing<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotFound.into())
}

impl DiskOperations for AbsentDisk {
    fn create_new(&self, _: &Path) -> io::Result<DiskFile> {
        Err(refusal())
    }

    fn create(&self, _: &Path) -> io::Result<DiskFile> {
        Err(refusal())
    }

    fn open_to_append(&self, _: &Path) -> io::Result<DiskFile> {
        Err(refusal())
    }

    fn open(&self, _: &Path) -> io::Result<DiskFile> {
        missing()
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        missing()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        missing()
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Err(refusal())
    }

    fn remove_folder(&self, _: &Path) -> io::Result<()> {
        missing()
    }

    fn is_folder(&self, _: &Path) -> bool {
        false
    }

    fn exists(&self, _: &Path) -> bool {
        false
    }

    fn length(&self, _: &Path) -> io::Result<u64> {
        missing()
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        missing()
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock_path(&self, _: &Path) -> Result<Option<PathLock>, LockError> {
        Ok(None)
    }

    fn end_process(&self) {
        std::process::exit(1)
    }
}
