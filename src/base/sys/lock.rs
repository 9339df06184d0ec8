//! Advisory locks on folders and files: they end with the process, whatever ends it, and leave no file behind.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::base::tape::{Entry, Input};

/// A folder or file that no other process locks as long as this lives.
#[derive(Debug)]
pub struct PathLock {
    /// None of a tape that is replayed.
    locked: Option<File>,
}

/// Why a folder or file could not be locked.
#[derive(Debug)]
pub enum LockError {
    /// Another process has locked it; its process id, if the system tells.
    Taken(Option<u32>),
    System(io::Error),
}

/// The process's number where it is known to be another process, else the system's error.
impl Entry for LockError {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            LockError::Taken(owner) => {
                true.write(out);
                owner.write(out);
            }
            LockError::System(error) => {
                false.write(out);
                error.write(out);
            }
        }
    }

    fn read(input: &mut Input<'_>) -> Option<LockError> {
        Result::<Option<u32>, io::Error>::read(input).map(|read| match read {
            Ok(owner) => LockError::Taken(owner),
            Err(error) => LockError::System(error),
        })
    }
}

impl PathLock {
    /// What stands for a lock while a tape is replayed.
    pub fn replayed() -> PathLock {
        PathLock { locked: None }
    }

    /// Locks a folder or file for this process alone.
    ///
    /// # Errors
    ///
    /// Another process has locked it, or the system's. A file system without locks is none: then nothing is locked.
    pub fn take(path: &Path) -> Result<PathLock, LockError> {
        let file = File::open(path).map_err(LockError::System)?;
        // SAFETY: the descriptor is open as long as `file` lives, and the call touches no memory of ours.
        let result = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
        if result == 0 {
            return Ok(PathLock { locked: Some(file) });
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EWOULDBLOCK) => Err(LockError::Taken(owner_of(&file))),
            Some(libc::ENOLCK | libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL) => Ok(PathLock { locked: Some(file) }),
            _ => Err(LockError::System(error)),
        }
    }
}

impl Drop for PathLock {
    fn drop(&mut self) {
        let Some(file) = &self.locked else { return };
        // To close the descriptor is not enough where a process that is being started still has a copy of it.
        // SAFETY: the descriptor is open, and the call touches no memory of ours.
        unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
    }
}

/// The process that has locked a folder or file, as /proc/locks has it: `1: FLOCK ADVISORY WRITE <pid>
/// <major>:<minor>:<inode> 0 EOF`.
fn owner_of(file: &File) -> Option<u32> {
    let inode = file.metadata().ok()?.ino().to_string();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = words.get(1) == Some(&"FLOCK") && words.get(5)?.rsplit(':').next() == Some(inode.as_str());
        // Processes of other namespaces are shown as 0 or -1.
        let pid = words.get(4)?.parse().ok().filter(|pid| *pid > 0);
        pid.filter(|_| is_it)
    })
}

/// The use of a file's name in a folder, which several processes may share: a later one can tell.
#[derive(Debug)]
pub struct NameInUse {
    _folder: File,
}

impl NameInUse {
    /// Notes that this process uses a name in a folder; says whether another one does already. The file itself cannot
    /// be locked, since each save puts another file in its place: what is locked is one byte of the folder, chosen by
    /// the name.
    ///
    /// # Errors
    ///
    /// The system's: there is no such folder, or its file system has no locks.
    pub fn note(folder: &Path, name: &str) -> io::Result<(NameInUse, bool)> {
        let folder = File::open(folder)?;
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let start = (hasher.finish() >> 2) as libc::off_t;
        let lock = |kind: libc::c_int| libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: start,
            l_len: 1,
            l_pid: 0,
        };
        let mut wanted = lock(libc::F_WRLCK);
        // SAFETY: the descriptor is open, and `wanted` is a valid `flock` that the call fills in.
        let result = unsafe { libc::fcntl(folder.as_raw_fd(), libc::F_OFD_GETLK, std::ptr::from_mut(&mut wanted)) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        let is_used = wanted.l_type != libc::F_UNLCK as libc::c_short;
        let mut shared = lock(libc::F_RDLCK);
        // SAFETY: as above.
        let result = unsafe { libc::fcntl(folder.as_raw_fd(), libc::F_OFD_SETLK, std::ptr::from_mut(&mut shared)) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((NameInUse { _folder: folder }, is_used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("oneloop-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_folder_has_one_owner_who_can_be_named() {
        let path = folder("lock");
        let lock = PathLock::take(&path).unwrap();
        match PathLock::take(&path) {
            Err(LockError::Taken(owner)) => assert_eq!(owner, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(lock);
        PathLock::take(&path).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "no file is left");
        fs::remove_dir_all(&path).unwrap();
    }

    /// A process that is being started has a copy of every descriptor until its program runs.
    #[test]
    fn a_lock_ends_though_a_copy_of_its_descriptor_is_open() {
        let path = folder("lock-copied");
        let lock = PathLock::take(&path).unwrap();
        let copy = lock.locked.as_ref().unwrap().try_clone().unwrap();
        drop(lock);
        PathLock::take(&path).unwrap();
        drop(copy);
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn the_second_user_of_a_name_can_tell() {
        let path = folder("name-in-use");
        let (first, is_used) = NameInUse::note(&path, "dump.rdb").unwrap();
        assert!(!is_used);
        let (_other, is_used) = NameInUse::note(&path, "other.rdb").unwrap();
        assert!(!is_used);
        let (second, is_used) = NameInUse::note(&path, "dump.rdb").unwrap();
        assert!(is_used);
        drop((first, second));
        assert!(!NameInUse::note(&path, "dump.rdb").unwrap().1);
        fs::remove_dir_all(&path).unwrap();
    }
}
