//! One transaction: the commands that a client has queued, and what is left of them while a script among them is
//! suspended.

use std::rc::Rc;

use crate::acl::User;
use crate::command::databases::{Databases, parse_database};
use crate::command::registry::{Command, CommandId};
use crate::command::spec::{Flag, FlagSet};
use crate::engine::nesting::OpenUnit;
use crate::keyspace::Keyspace;
use crate::resp::{Args, Reply, RequestQueue};

/// Capacity that each buffer of such a one keeps, in bytes.
const SPARE_BYTES: usize = 16 * 1024;

/// One queued command, apart from its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Queued {
    pub command: CommandId,
    /// Which argument is its first key; 0 for none.
    pub key: u8,
    /// The hash of that key.
    pub hash: u64,
}

/// What a client has queued since MULTI.
#[derive(Debug, Default)]
pub struct Transaction {
    requests: RequestQueue,
    queued: Vec<Queued>,
    /// The flags of all queued commands.
    flags: FlagSet,
    /// Whether one of them is refused by a replica whose data may be old.
    needs_fresh_data: bool,
    is_doomed: bool,
    /// The database that is selected when the next command runs, if one of those before it selects another.
    database: Option<usize>,
}

impl Transaction {
    /// Adds a command, of which this request may do what the flags say. O(bytes).
    pub fn push(&mut self, command: &Command, flags: FlagSet, args: Args<'_>, keyspace: &Keyspace) {
        self.flags = self.flags.union(flags);
        self.needs_fresh_data |= !flags.has(Flag::Stale);
        // A transaction that cannot run needs no memory.
        if self.is_doomed {
            return;
        }
        let (key, hash) = match args.get(command.first_key as usize) {
            Some(key) if command.first_key > 0 => (command.first_key, keyspace.hash(key)),
            _ => (0, 0),
        };
        if matches!(command.spec.databases, Databases::Chosen) {
            let chosen = args.get(1).and_then(|text| parse_database(text, keyspace.count()));
            self.database = chosen.or(self.database);
        }
        self.requests.push(args);
        self.queued.push(Queued { command: command.id, key, hash });
    }

    /// The database that the commands so far select, if they do.
    pub fn database(&self) -> Option<usize> {
        self.database
    }

    /// A command was refused: the transaction will not run.
    pub fn mark_dirty_exec(&mut self) {
        self.is_doomed = true;
    }

    /// Whether a command was refused.
    pub fn is_doomed(&self) -> bool {
        self.is_doomed
    }

    /// What EXEC, whose own flags are given, may do: what any of the queued commands may, but on old data only if all
    /// of them may.
    pub fn flags_of_exec(&self, own: FlagSet) -> FlagSet {
        let flags = own.union(self.flags);
        if self.needs_fresh_data { flags.without(Flag::Stale) } else { flags }
    }

    /// Number of queued commands.
    pub fn len(&self) -> usize {
        self.queued.len()
    }

    /// Whether none is queued.
    pub fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// The queued commands with their arguments, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Queued, Args<'_>)> {
        let queued = self.queued.iter().enumerate();
        queued.map(|(index, queued)| (*queued, self.requests.args(index)))
    }

    /// The queued commands alone, in order.
    pub fn queued(&self) -> &[Queued] {
        &self.queued
    }

    /// Total length of the queued arguments, in bytes.
    pub fn argument_bytes(&self) -> usize {
        self.requests.total_bytes()
    }

    /// Memory held, in bytes.
    pub fn memory(&self) -> usize {
        size_of::<Transaction>() + self.requests.memory() + self.queued.capacity() * size_of::<Queued>()
    }

    /// Empties it for the next client.
    pub(super) fn clear(&mut self) {
        self.requests.clear(SPARE_BYTES);
        self.queued.clear();
        self.queued.shrink_to(SPARE_BYTES / size_of::<Queued>());
        self.flags = FlagSet::default();
        self.needs_fresh_data = false;
        self.is_doomed = false;
        self.database = None;
    }
}

/// What is left of a transaction while a script in it is suspended.
pub struct Rest {
    pub transaction: Box<Transaction>,
    /// The number of the command that comes next.
    pub next: usize,
    /// The replies so far, held back: nothing may come in between.
    pub replies: Reply,
    /// The command that runs it.
    pub exec: CommandId,
    pub database: usize,
    /// In whose name it runs.
    pub user: Rc<User>,
    /// The unit that all its commands are.
    pub unit: OpenUnit,
    /// Time that was spent on it, that of the suspended script apart.
    pub ticks: u64,
}
