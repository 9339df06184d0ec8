//! A disk in memory, for tests of what a crash, a full disk or a slow one does.
//!
//! ```text
//! content     what every open file and every name shows: the system's cache
//! durable     what a power cut leaves: what was synced, and of what was not as much as the seed says
//! ```
//!
//! What is not synced is kept as a list of changes, of each file and of each folder's names. A power cut keeps a prefix
//! of each list, the last write torn; the lists do not know of each other, as the system writes files back in any
//! order. Cutting a process off loses nothing but its open files and its threads.
//!
//! A failed sync leaves what was to be synced for the next one, or drops it, as Linux does: the cache still shows the
//! bytes, later syncs succeed, and a power cut finds zeros in their place.
//!
//! Helper threads are tasks here that the test steps through, in the order that it likes
//! ([`SimulatedDisk::run_helper`]). Any operation can be made to fail or to write short, and the whole process can be
//! ended before any of them: then nothing that it does afterwards has an effect.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::sys::lock::{LockError, PathLock};

use super::{DiskFile, DiskOperations, FileOperations, folder_of};

/// What can be asked of the disk, as far as it can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Create,
    Open,
    Write,
    SetLength,
    Sync,
    SyncFolder,
    Rename,
    Remove,
    Read,
}

/// What a power cut keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerCut {
    /// Of what was not synced as much as chance will have it.
    KeepsSome,
    /// Nothing but what was synced.
    KeepsNothing,
}

/// What a helper thread has to do next.
type Step = Box<dyn FnOnce() + Send>;

#[derive(Debug)]
enum Change {
    Append(Vec<u8>),
    Length(usize),
}

impl Change {
    /// The system keeps the length alone.
    fn drop_bytes(&mut self) {
        if let Change::Append(bytes) = self {
            bytes.fill(0);
        }
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Append(more) => bytes.extend_from_slice(more),
            Change::Length(length) => bytes.resize(*length, 0),
        }
    }
}

#[derive(Debug, Default)]
struct Content {
    cached: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    File(usize),
    Folder,
}

#[derive(Clone, Debug)]
enum NameChange {
    Add(PathBuf, Entry),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Entry),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Entry>) {
        match self {
            NameChange::Add(path, entry) => drop(names.insert(path.clone(), *entry)),
            NameChange::Remove(path) => drop(names.remove(path)),
            NameChange::Rename(from, to, entry) => {
                names.remove(from);
                names.insert(to.clone(), *entry);
            }
        }
    }
}

struct State {
    random: fastrand::Rng,
    contents: Vec<Content>,
    names: BTreeMap<PathBuf, Entry>,
    durable_names: BTreeMap<PathBuf, Entry>,
    /// By folder.
    unsynced_names: BTreeMap<PathBuf, Vec<NameChange>>,
    /// In percent.
    faults: BTreeMap<Operation, u8>,
    /// Of which the next one fails.
    next_faults: BTreeSet<Operation>,
    /// Whether a failed sync drops what it was to bring to the disk.
    drops_unsynced: bool,
    /// Whether an injected fault has refused the removal of a file since the process began.
    has_kept_file: bool,
    /// Operations that the process still gets done; then it is cut off.
    operations_left: Option<u64>,
    /// Counts the processes: files of an earlier one are closed.
    process: u64,
    is_cut_off: bool,
}

/// The disk; a clone is the same one.
#[derive(Clone)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
    helpers: Arc<Mutex<Vec<VecDeque<Step>>>>,
}

/// An open file.
#[derive(Clone)]
pub struct SimulatedFile {
    disk: SimulatedDisk,
    content: usize,
    process: u64,
    read_bytes: Arc<Mutex<usize>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same name without a leading `./`.
fn plain(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_path_buf()
}

impl State {
    /// An operation begins: it may be refused.
    fn begin(&mut self, operation: Operation, process: u64) -> io::Result<()> {
        if process != self.process {
            return Err(io::Error::other("the file's process has ended"));
        }
        match &mut self.operations_left {
            Some(0) => self.is_cut_off = true,
            Some(left) => *left -= 1,
            None => {}
        }
        if self.is_cut_off {
            return Err(io::Error::other("the process has ended"));
        }
        let percent = self.faults.get(&operation).copied().unwrap_or(0);
        if self.next_faults.remove(&operation) || percent > 0 && self.random.u8(0..100) < percent {
            self.has_kept_file |= operation == Operation::Remove;
            return Err(match operation {
                Operation::Write | Operation::Create => io::ErrorKind::StorageFull.into(),
                _ => io::Error::other("injected fault"),
            });
        }
        Ok(())
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Entry::File(content)) => Ok(*content),
            Some(Entry::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn change_name(&mut self, folder: PathBuf, change: NameChange) {
        change.apply(&mut self.names);
        let changes = self.unsynced_names.entry(folder);
        changes.or_default().push(change);
    }

    fn add(&mut self, path: &Path) -> usize {
        self.contents.push(Content::default());
        let content = self.contents.len() - 1;
        let change = NameChange::Add(path.to_path_buf(), Entry::File(content));
        self.change_name(plain(&folder_of(path)), change);
        content
    }

    fn has_folder(&self, path: &Path) -> bool {
        // The working folder, and what a whole path names, are there.
        path.as_os_str().is_empty() || path.is_absolute() || self.names.get(path) == Some(&Entry::Folder)
    }

    /// How many of so many changes survive a power cut.
    fn surviving(&mut self, count: usize, kept: PowerCut) -> usize {
        match kept {
            PowerCut::KeepsSome => self.random.usize(0..=count),
            PowerCut::KeepsNothing => 0,
        }
    }

    fn cut_power(&mut self, kept: PowerCut) {
        for (_, changes) in std::mem::take(&mut self.unsynced_names) {
            let survive = self.surviving(changes.len(), kept);
            let survivors = &changes[..survive];
            survivors.iter().for_each(|change| change.apply(&mut self.durable_names));
        }
        self.names = self.durable_names.clone();
        for number in 0..self.contents.len() {
            let changes = std::mem::take(&mut self.contents[number].unsynced);
            let survive = self.surviving(changes.len(), kept);
            let torn_bytes = match changes.get(survive) {
                Some(Change::Append(bytes)) if kept == PowerCut::KeepsSome => self.random.usize(0..=bytes.len()),
                _ => 0,
            };
            let content = &mut self.contents[number];
            let survivors = &changes[..survive];
            survivors.iter().for_each(|change| change.apply(&mut content.durable));
            if let Some(Change::Append(bytes)) = changes.get(survive) {
                content.durable.extend_from_slice(&bytes[..torn_bytes]);
            }
            content.cached = content.durable.clone();
        }
    }
}

impl SimulatedDisk {
    /// An empty disk; chance follows from the seed.
    pub fn new(seed: u64) -> SimulatedDisk {
        SimulatedDisk {
            state: Arc::new(Mutex::new(State {
                random: fastrand::Rng::with_seed(seed),
                contents: Vec::new(),
                names: BTreeMap::new(),
                durable_names: BTreeMap::new(),
                unsynced_names: BTreeMap::new(),
                faults: BTreeMap::new(),
                next_faults: BTreeSet::new(),
                drops_unsynced: false,
                has_kept_file: false,
                operations_left: None,
                process: 0,
                is_cut_off: false,
            })),
            helpers: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Has so many percent of an operation fail from now on.
    pub fn set_fault(&self, operation: Operation, percent: u8) {
        self.state().faults.insert(operation, percent);
    }

    /// Has the next operation of this kind fail.
    pub fn fail_next(&self, operation: Operation) {
        self.state().next_faults.insert(operation);
    }

    /// Has nothing fail any more.
    pub fn mend(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.next_faults.clear();
    }

    /// Has each failed sync drop what it was to bring to the disk.
    pub fn drop_unsynced(&self) {
        self.state().drops_unsynced = true;
    }

    /// Whether an injected fault has refused the removal of a file since the process began.
    pub fn has_kept_file(&self) -> bool {
        self.state().has_kept_file
    }

    /// Cuts the process off after so many more operations.
    pub fn cut_off_after(&self, operations: u64) {
        self.state().operations_left = Some(operations);
    }

    /// Cuts the process off now.
    pub fn cut_off(&self) {
        self.state().is_cut_off = true;
    }

    /// Whether the process was cut off, or has ended itself: what it does has no effect any more.
    pub fn is_cut_off(&self) -> bool {
        self.state().is_cut_off
    }

    /// Whether a power cut would leave these bytes in a file, however little it keeps. O(bytes of all files).
    pub fn holds_durably(&self, bytes: &[u8]) -> bool {
        let state = self.state();
        let files = state.durable_names.values().filter_map(|entry| match entry {
            Entry::File(content) => state.contents.get(*content),
            Entry::Folder => None,
        });
        let finder = memchr::memmem::Finder::new(bytes);
        files.into_iter().any(|content| finder.find(&content.durable).is_some())
    }

    /// The process and its threads are gone; another one may begin. With a power cut what was not synced is lost, all
    /// or in part.
    pub fn begin_process(&self, power_cut: Option<PowerCut>) {
        lock(&self.helpers).clear();
        let mut state = self.state();
        state.process += 1;
        state.is_cut_off = false;
        state.has_kept_file = false;
        state.operations_left = None;
        if let Some(kept) = power_cut {
            state.cut_power(kept);
        }
    }

    /// A helper thread begins; gives its number.
    pub(crate) fn start_helper(&self) -> usize {
        let mut helpers = lock(&self.helpers);
        helpers.push(VecDeque::new());
        helpers.len() - 1
    }

    /// Gives a helper thread something to do.
    pub(crate) fn give(&self, helper: usize, step: Step) {
        // Operations of a process that has ended are not carried on.
        if let Some(steps) = lock(&self.helpers).get_mut(helper) {
            steps.push_back(step);
        }
    }

    /// The helper threads that have something to do.
    pub fn busy_helpers(&self) -> Vec<usize> {
        let helpers = lock(&self.helpers);
        let busy = helpers.iter().enumerate().filter(|(_, steps)| !steps.is_empty());
        busy.map(|(helper, _)| helper).collect()
    }

    /// Has a helper thread do the next thing; says whether there was one.
    pub fn run_helper(&self, helper: usize) -> bool {
        let step = lock(&self.helpers).get_mut(helper).and_then(VecDeque::pop_front);
        let has_step = step.is_some();
        if let Some(step) = step {
            step();
        }
        has_step
    }

    fn opened(&self, content: usize, process: u64) -> DiskFile {
        DiskFile::Simulated(SimulatedFile { disk: self.clone(), content, process, read_bytes: Arc::default() })
    }
}

impl std::fmt::Debug for SimulatedDisk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        let bytes = |entry: &Entry| match entry {
            Entry::File(content) => Some(state.contents[*content].cached.len()),
            Entry::Folder => None,
        };
        let names = state.names.iter();
        formatter.debug_map().entries(names.map(|(path, entry)| (path, bytes(entry)))).finish()
    }
}

impl std::fmt::Debug for SimulatedFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "file {}", self.content)
    }
}

impl DiskOperations for SimulatedDisk {
    fn create_new(&self, path: &Path) -> io::Result<DiskFile> {
        if self.exists(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.create(path)
    }

    fn create(&self, path: &Path) -> io::Result<DiskFile> {
        let path = plain(path);
        let mut state = self.state();
        let process = state.process;
        state.begin(Operation::Create, process)?;
        if !state.has_folder(&plain(&folder_of(&path))) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.names.contains_key(&path) {
            let content = state.file(&path)?;
            state.contents[content].cached.clear();
            state.contents[content].unsynced.push(Change::Length(0));
            return Ok(self.opened(content, process));
        }
        let content = state.add(&path);
        Ok(self.opened(content, process))
    }

    fn open_to_append(&self, path: &Path) -> io::Result<DiskFile> {
        if !self.exists(path) {
            return self.create(path);
        }
        self.open(path)
    }

    fn open(&self, path: &Path) -> io::Result<DiskFile> {
        let mut state = self.state();
        let process = state.process;
        state.begin(Operation::Open, process)?;
        let content = state.file(&plain(path))?;
        Ok(self.opened(content, process))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (plain(from), plain(to));
        let mut state = self.state();
        let process = state.process;
        state.begin(Operation::Rename, process)?;
        let entry = Entry::File(state.file(&from)?);
        if state.names.get(&to) == Some(&Entry::Folder) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let folder = plain(&folder_of(&to));
        state.change_name(folder, NameChange::Rename(from, to, entry));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let path = plain(path);
        let mut state = self.state();
        let process = state.process;
        state.begin(Operation::Remove, process)?;
        state.file(&path)?;
        let folder = plain(&folder_of(&path));
        state.change_name(folder, NameChange::Remove(path));
        Ok(())
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let path = plain(path);
        let mut state = self.state();
        let process = state.process;
        state.begin(Operation::Create, process)?;
        if state.names.contains_key(&path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let folder = plain(&folder_of(&path));
        state.change_name(folder, NameChange::Add(path, Entry::Folder));
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let path = plain(path);
        let mut state = self.state();
        let process = state.process;
        state.begin(Operation::Remove, process)?;
        if !state.has_folder(&path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.names.keys().any(|name| name.parent() == Some(&path)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let folder = plain(&folder_of(&path));
        state.change_name(folder, NameChange::Remove(path));
        Ok(())
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.state().has_folder(&plain(path))
    }

    fn exists(&self, path: &Path) -> bool {
        self.state().names.contains_key(&plain(path))
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        let state = self.state();
        let content = state.file(&plain(path))?;
        Ok(state.contents[content].cached.len() as u64)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let folder = plain(folder);
        let state = self.state();
        if !state.has_folder(&folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.names.keys().filter_map(|path| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            (path.parent() == Some(&folder)).then_some(name)
        });
        Ok(inside.collect())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let folder = plain(folder);
        let mut state = self.state();
        let process = state.process;
        state.begin(Operation::SyncFolder, process)?;
        let changes = state.unsynced_names.remove(&folder).unwrap_or_default();
        changes.iter().for_each(|change| change.apply(&mut state.durable_names));
        Ok(())
    }

    fn lock_path(&self, _folder: &Path) -> Result<Option<PathLock>, LockError> {
        Ok(None)
    }

    fn end_process(&self) {
        self.state().is_cut_off = true;
    }
}

impl SimulatedFile {
    fn begin(&self, operation: Operation) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.disk.state();
        state.begin(operation, self.process)?;
        Ok(state)
    }
}

impl FileOperations for SimulatedFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.state();
        let outcome = state.begin(Operation::Write, self.process);
        // A full disk may take a part first.
        let taken = match outcome {
            Ok(()) => bytes.len(),
            Err(error) if state.is_cut_off || error.kind() != io::ErrorKind::StorageFull => {
                return Err(error);
            }
            Err(error) => match state.random.usize(0..=bytes.len()) {
                0 => return Err(error),
                taken => taken,
            },
        };
        let content = &mut state.contents[self.content];
        content.cached.extend_from_slice(&bytes[..taken]);
        content.unsynced.push(Change::Append(bytes[..taken].to_vec()));
        Ok(taken)
    }

    fn read(&self, into: &mut Vec<u8>, most_bytes: usize) -> io::Result<usize> {
        let state = self.begin(Operation::Read)?;
        let mut read_bytes = lock(&self.read_bytes);
        let bytes = &state.contents[self.content].cached;
        let rest = bytes.get(*read_bytes..).unwrap_or_default();
        let taken = rest.len().min(most_bytes);
        into.extend_from_slice(&rest[..taken]);
        *read_bytes += taken;
        Ok(taken)
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.begin(Operation::SetLength)?;
        let content = &mut state.contents[self.content];
        let change = Change::Length(bytes as usize);
        change.apply(&mut content.cached);
        content.unsynced.push(change);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let begun = state.begin(Operation::Sync, self.process);
        let is_dropped = begun.is_err() && state.drops_unsynced && !state.is_cut_off && self.process == state.process;
        let content = &mut state.contents[self.content];
        if is_dropped {
            content.unsynced.iter_mut().for_each(Change::drop_bytes);
        }
        begun?;
        for change in std::mem::take(&mut content.unsynced) {
            change.apply(&mut content.durable);
        }
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        let state = self.disk.state();
        Ok(state.contents[self.content].cached.len() as u64)
    }
}
