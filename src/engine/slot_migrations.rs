//! Slots that move to or from this node: the machines, and the state that their owner keeps beside them. Never touches
//! a socket.

use std::collections::VecDeque;

use crate::cluster::migration::{ExportJob, ImportJob, Job, JobName, Message, SlotRanges};
use crate::cluster::{NodeId, SLOTS, SlotSet};
use crate::keyspace::change_log::unit::encode;
use crate::net::token::Token;
use crate::storage::save::SaveJob;
use crate::storage::snapshot::aux_fields::SlotImport;

/// A piece of changes that wait to be sent is so large at least, unless it is the last, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// Changes of the keys of slots that move, in order, each as a whole command.
#[derive(Default)]
pub struct Changes {
    pieces: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The database that the target has selected last.
    selected: Option<usize>,
}

impl Changes {
    /// Appends a command about a database.
    pub fn push(&mut self, database: usize, command: &[u8]) {
        if self.selected.replace(database) != Some(database) {
            let mut select = Vec::new();
            let number = database.to_string();
            let words: [&[u8]; 2] = [b"SELECT", number.as_bytes()];
            encode(&mut select, words.len(), words.into_iter());
            self.append(&select);
        }
        self.append(command);
    }

    /// Appends a message, behind all changes so far.
    pub fn push_message(&mut self, message: Message) {
        self.append(&message.request());
    }

    fn append(&mut self, command: &[u8]) {
        self.bytes += command.len();
        match self.pieces.back_mut() {
            Some(piece) if piece.len() < PIECE_BYTES => piece.extend_from_slice(command),
            _ => self.pieces.push_back(command.to_vec()),
        }
    }

    /// Takes the first piece: whole commands.
    pub fn take_piece(&mut self) -> Option<Vec<u8>> {
        let piece = self.pieces.pop_front()?;
        self.bytes -= piece.len();
        Some(piece)
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Slots that this node gives away.
pub struct Export {
    pub machine: ExportJob,
    pub connection: Option<Token>,
    /// The keys as they were at one instant, on their way.
    pub snapshot: Option<Box<SaveJob>>,
    /// Changes since the snapshot; none before it and after the end.
    pub changes: Option<Changes>,
}

/// Slots that this node gets.
pub struct Import {
    pub machine: ImportJob,
    /// The client that is the source; none if another node imports, or did.
    pub source: Option<Token>,
}

/// A migration that is going on.
pub enum Migration {
    Export(Box<Export>),
    Import(Box<Import>),
}

impl Migration {
    /// Its job.
    pub fn job(&self) -> &Job {
        match self {
            Migration::Export(export) => &export.machine.job,
            Migration::Import(import) => &import.machine.job,
        }
    }
}

/// All migrations of this node.
#[derive(Default)]
pub struct SlotMigrations {
    /// Migrations that are going on, each with its number.
    active: Vec<(u64, Migration)>,
    /// Finished migrations, the oldest first.
    finished: VecDeque<(u64, Job)>,
    last_number: u64,
    /// Slots whose writes are held back.
    held: SlotSet,
    /// Clients that were sources and are gone.
    pub lost_sources: Vec<Token>,
    /// How often the keyspace had been emptied when that was looked at last.
    pub flushes: u64,
    /// Slots that have been emptied here while they were on their way.
    pub emptied: Vec<u16>,
    /// Imports that are named in a snapshot that was loaded.
    loaded: Vec<(JobName, SlotRanges)>,
}

impl SlotMigrations {
    /// Notes the imports that are named in a snapshot that was loaded: the name of each, and its ranges. Invalid ones
    /// are left out.
    pub fn note_loaded(&mut self, imports: &[SlotImport]) {
        self.loaded.clear();
        for SlotImport { name, ranges: ends } in imports {
            let mut ranges = SlotRanges::default();
            let is_valid = ends.iter().all(|(first, last)| {
                let slot = |number: u64| u16::try_from(number).ok().filter(|slot| *slot < SLOTS);
                let ends = slot(*first).zip(slot(*last)).filter(|(first, last)| first <= last);
                ends.is_some_and(|(first, last)| ranges.add(first, last).is_ok())
            });
            if let Some(name) = NodeId::parse(name).filter(|_| is_valid && !ranges.is_empty()) {
                self.loaded.push((name, ranges));
            }
        }
    }

    /// Takes the imports that were noted.
    pub fn take_loaded(&mut self) -> Vec<(JobName, SlotRanges)> {
        std::mem::take(&mut self.loaded)
    }

    /// Adds a migration; gives its number.
    pub fn add(&mut self, migration: Migration) -> u64 {
        self.last_number += 1;
        self.active.push((self.last_number, migration));
        self.last_number
    }

    /// Whether none is going on.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.active.is_empty()
    }

    /// The numbers of those going on.
    pub fn numbers(&self) -> Vec<u64> {
        self.active.iter().map(|(number, _)| *number).collect()
    }

    fn get_mut(&mut self, wanted: u64) -> Option<&mut Migration> {
        self.active.iter_mut().find(|(number, _)| *number == wanted).map(|(_, migration)| migration)
    }

    /// An export that is going on.
    pub fn export_mut(&mut self, number: u64) -> Option<&mut Export> {
        match self.get_mut(number)? {
            Migration::Export(export) => Some(export),
            Migration::Import(_) => None,
        }
    }

    /// An import that is going on.
    pub fn import_mut(&mut self, number: u64) -> Option<&mut Import> {
        match self.get_mut(number)? {
            Migration::Import(import) => Some(import),
            Migration::Export(_) => None,
        }
    }

    /// The exports that are going on.
    pub fn exports(&self) -> impl Iterator<Item = (u64, &Export)> {
        self.active.iter().filter_map(|(number, migration)| match migration {
            Migration::Export(export) => Some((*number, &**export)),
            Migration::Import(_) => None,
        })
    }

    /// The imports that are going on.
    pub fn imports(&self) -> impl Iterator<Item = (u64, &Import)> {
        self.active.iter().filter_map(|(number, migration)| match migration {
            Migration::Import(import) => Some((*number, &**import)),
            Migration::Export(_) => None,
        })
    }

    /// The import whose source is this client.
    pub fn import_of(&self, client: Token) -> Option<(u64, &Import)> {
        self.imports().find(|(_, import)| import.source == Some(client))
    }

    /// The import of that name.
    pub fn import_named(&self, name: &JobName) -> Option<(u64, &Import)> {
        self.imports().find(|(_, import)| import.machine.job.name == *name)
    }

    /// Whether a slot is given away.
    pub fn is_exporting(&self, slot: u16) -> bool {
        self.exports().any(|(_, export)| export.machine.job.slots.contains(slot))
    }

    /// Whether a slot is being imported, or its imported keys are being deleted.
    pub fn is_importing(&self, slot: u16) -> bool {
        self.imports().any(|(_, import)| import.machine.job.slots.contains(slot))
    }

    /// The slots that come.
    pub fn importing_slots(&self) -> SlotSet {
        self.imports().flat_map(|(_, import)| import.machine.job.slots.iter().collect::<Vec<_>>()).collect()
    }

    /// Whether changes are gathered for any target.
    pub fn gathers(&self) -> bool {
        self.exports().any(|(_, export)| export.changes.is_some())
    }

    /// Appends a command about a slot's key for the nodes that the slot moves to.
    pub fn push_change(&mut self, slot: u16, database: usize, command: &[u8]) {
        for (_, migration) in &mut self.active {
            if let Migration::Export(export) = migration
                && export.machine.job.slots.contains(slot)
                && let Some(changes) = &mut export.changes
            {
                changes.push(database, command);
            }
        }
    }

    /// Puts a migration away whose job is over, and forgets the oldest beyond `most`.
    pub fn retire(&mut self, number: u64, most: usize) {
        let is_over =
            |(other, migration): &mut (u64, Migration)| *other == number && migration.job().state.is_finished();
        let over = self.active.extract_if(.., is_over);
        self.finished.extend(over.map(|(number, migration)| (number, migration.job().clone())));
        self.trim(most);
    }

    /// Forgets the oldest that are over, so that no more than `most` are left.
    pub fn trim(&mut self, most: usize) {
        let surplus = (self.active.len() + self.finished.len()).saturating_sub(most);
        self.finished.drain(..surplus.min(self.finished.len()));
    }

    /// All that are known, the newest first.
    pub fn jobs(&self) -> Vec<&Job> {
        let active = self.active.iter().map(|(number, migration)| (*number, migration.job()));
        let mut all: Vec<(u64, &Job)> =
            active.chain(self.finished.iter().map(|(number, job)| (*number, job))).collect();
        all.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        all.into_iter().map(|(_, job)| job).collect()
    }

    /// Holds back writes to slots, or does so no longer.
    pub fn hold(&mut self, slots: &SlotSet, is_held: bool) {
        for slot in slots.iter() {
            if is_held {
                self.held.insert(slot);
            } else {
                self.held.remove(slot);
            }
        }
    }

    /// Whether writes to any slot are held back.
    pub fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether writes to a slot are held back.
    pub fn holds(&self, slot: u16) -> bool {
        self.held.contains(slot)
    }
}
