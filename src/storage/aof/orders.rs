//! What a thread does for rewrites: orders, one after the other, and the removal of unneeded files.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::system_reason;
use crate::storage::file::new_file::WriteStep;
use crate::storage::file::operations::Disk;
use crate::storage::file::worker::{Task, Worker};

use super::machine::{Event, Order};
use crate::storage::aof::append_only::AppendOnly;
use crate::storage::aof::paths;
use crate::storage::aof::paths::{AofPaths, ManifestStore};

/// The number of tasks whose outcome is not awaited.
const NOBODY_WAITS: u64 = 0;

/// What the thread needs to carry an order out.
struct Errand {
    disk: Disk,
    places: AofPaths,
    store: ManifestStore,
    given_up: Arc<AtomicU64>,
    order: Order,
}

impl Errand {
    /// Carries it out. After a failure nothing that it gave a name is left, unless the list may name it.
    fn run(self) -> io::Result<()> {
        let generation = self.order.generation.unwrap_or(u64::MAX);
        if generation <= self.given_up.load(Ordering::SeqCst) {
            return Err(io::Error::other("the rewrite was given up"));
        }
        let mut named = Vec::new();
        let done = self.name_files(&mut named);
        if let Err((error, is_doubtful)) = done {
            if !is_doubtful {
                paths::remove(&self.disk, &named);
            }
            return Err(error);
        }
        let parts = self.order.remove.iter().map(|name| self.places.part(name));
        paths::remove(&self.disk, &parts.collect::<Vec<_>>());
        Ok(())
    }

    /// Gives files their names and lists them. Errors: the system's, and whether the list may be the new one all the
    /// same.
    fn name_files(&self, named: &mut Vec<PathBuf>) -> Result<(), (io::Error, bool)> {
        let files = self.disk.files();
        let plainly = |error: io::Error| (error, false);
        if let Some(name) = &self.order.create {
            let path = self.places.part(name);
            // What has the name is in no list: it was left behind.
            paths::remove(&self.disk, std::slice::from_ref(&path));
            files.create_new(&path).map_err(plainly)?;
            named.push(path);
        }
        for (from, to) in &self.order.rename {
            let (from, to) = (self.places.part(from), self.places.part(to));
            files.rename(&from, &to).map_err(plainly)?;
            named.push(to);
        }
        let Some(manifest) = &self.order.store else {
            return Ok(());
        };
        let version = self.order.version;
        let stored = self.store.write(&self.disk, &self.places, version, manifest);
        stored.map_err(|failed| (failed.error, failed.step == WriteStep::SyncFolder))
    }
}

impl AppendOnly {
    /// Hands a task to the AOF worker.
    fn submit_work(&mut self, number: u64, task: Task) -> io::Result<()> {
        if self.worker.is_none() {
            let worker = Worker::start(&self.disk, "aof worker", self.wake.clone())?;
            self.worker = Some(worker);
        }
        if let Some(worker) = &self.worker {
            worker.submit(number, task);
        }
        Ok(())
    }

    /// Hands an order over; where that is not possible that is its outcome.
    pub(crate) fn submit(&mut self, order: Order, now_us: u64) -> Option<Event> {
        if order.create.is_some() && self.written > self.synced {
            // The less is to be brought to the disk when another log begins, the sooner that one can be as well.
            self.begin_sync(now_us);
        }
        let number = order.version;
        let errand = Errand {
            disk: self.disk.clone(),
            places: self.settings.places.clone(),
            store: self.store.clone(),
            given_up: Arc::clone(&self.given_up),
            order,
        };
        let submitted = self.submit_work(number, Box::new(move || errand.run()));
        let reason = system_reason(&submitted.err()?);
        Some(Event::OrderDone(number, Err(reason)))
    }

    /// Removes files once the thread has done what it was told before.
    pub(crate) fn remove_later(&mut self, names: &[String]) {
        let disk = self.disk.clone();
        let places = &self.settings.places;
        let paths: Vec<PathBuf> = names.iter().map(|name| places.part(name)).collect();
        let remove = move || {
            paths::remove(&disk, &paths);
            Ok(())
        };
        // Where no thread can be started they stay until the next start.
        let _ = self.submit_work(NOBODY_WAITS, Box::new(remove));
    }

    /// Lets other processes have the folder once the thread has done what it was told before.
    pub(crate) fn leave_folder(&mut self) {
        if let Some(lock) = self.lock.take() {
            self.released_lock = Arc::downgrade(&lock);
            let release = move || {
                drop(lock);
                Ok(())
            };
            // Where no thread can be started the lock goes with the task.
            let _ = self.submit_work(NOBODY_WAITS, Box::new(release));
        }
    }

    /// Whether the thread may have done something, or could not begin.
    #[inline]
    pub(crate) fn may_have_outcomes(&self) -> bool {
        self.worker.is_some() || !self.outcomes.is_empty() || self.start_failure.is_some()
    }

    /// Takes in what the thread has done.
    pub(crate) fn take_outcomes(&mut self) {
        while let Some(outcome) = self.worker.as_ref().and_then(Worker::next_outcome) {
            self.note_outcome(outcome);
        }
    }

    fn note_outcome(&mut self, outcome: (u64, io::Result<()>)) {
        if outcome.0 != NOBODY_WAITS {
            self.outcomes.push_back(outcome);
        }
    }

    /// Waits for the outcome of the order that is under way.
    pub(crate) fn wait_for_outcome(&mut self) {
        while self.outcomes.is_empty() {
            let Some(outcome) = self.worker.as_ref().and_then(Worker::wait_outcome) else {
                return;
            };
            self.note_outcome(outcome);
        }
    }
}
