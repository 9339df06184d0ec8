//! Keys that move to another server: who is under way, what they hold up, the client and its protocol.
//!
//! Never runs a turn of the loop, and never removes a key: `drive::migrate` does.

pub mod client;
pub mod protocol;

use std::cell::Cell;
use std::rc::Rc;

use ahash::AHashSet;
use mio::Registry;
use slab::Slab;

use crate::command::keys::keys_of;
use crate::command::registry::{Command, CommandId};
use crate::command::spec::{Flag, FlagSet};
use crate::net::outbound::Sockets;
use crate::net::token::Token;
use crate::resp::{Args, OwnedArgs};

use client::MigrateClient;
pub use protocol::{Login, Order};

/// Keys under way, and the connections that they may use.
#[derive(Default)]
pub struct Migrations {
    pub(crate) under_way: Slab<Option<Box<UnderWay>>>,
    /// Those that can go on.
    pub(crate) ready: Vec<usize>,
    /// The keys of all of them, of whatever database.
    pub(crate) held: AHashSet<Rc<[u8]>>,
    /// Whether anybody was held back since this was asked last.
    pub(crate) holds_anybody: Cell<bool>,
    pub(crate) sockets: Sockets,
    /// Of the loop's poll; none when driven in-process.
    pub(crate) registry: Option<Registry>,
}

/// One MIGRATE.
pub(crate) struct UnderWay {
    pub(crate) courier: MigrateClient,
    pub(crate) client: Token,
    pub(crate) command: CommandId,
    pub(crate) request: OwnedArgs,
    pub(crate) redacted: Vec<usize>,
    /// When it has taken too long, in ms since the epoch.
    pub(crate) deadline_ms: i64,
    /// Time spent on it.
    pub(crate) ticks: u64,
}

impl Migrations {
    /// From now on keys can move while others are served.
    pub fn use_registry(&mut self, registry: Registry) {
        self.registry = Some(registry);
    }

    /// Whether no key is under way.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Number of connections that are kept for later.
    pub fn kept_sockets(&self) -> usize {
        self.sockets.count()
    }

    /// Closes connections that have been idle for long.
    pub fn close_idle_sockets(&mut self, now_ms: i64) {
        self.sockets.close_idle(now_ms);
    }

    /// The connection of the migration with this number is ready for something.
    pub fn note_ready(&mut self, number: usize) {
        if self.under_way.contains(number) && !self.ready.contains(&number) {
            self.ready.push(number);
        }
    }

    /// A host may have been found.
    pub fn note_lookups(&mut self) {
        self.ready.clear();
        self.ready.extend(self.under_way.iter().map(|(number, _)| number));
    }

    /// Those that have taken too long. O(those under way).
    pub(crate) fn overdue(&self, now_ms: i64) -> Vec<usize> {
        let all = self.under_way.iter();
        let overdue = all.filter(|(_, one)| one.as_ref().is_some_and(|under_way| under_way.deadline_ms < now_ms));
        overdue.map(|(number, _)| number).collect()
    }

    fn is_held(&self, command: &Command, flags: FlagSet, args: Args<'_>) -> bool {
        let keys = keys_of(command, args);
        if keys.iter().any(|key| self.held.contains(args.at(key.index))) {
            return true;
        }
        // It writes, and does not say where.
        let is_script = flags.has(Flag::MayReplicate) && flags.has(Flag::NoMandatoryKeys);
        is_script || flags.has(Flag::Write) && keys.is_empty()
    }

    /// Whether a command has to wait until keys have arrived.
    #[cold]
    pub fn holds(&self, command: &Command, flags: FlagSet, args: Args<'_>) -> bool {
        let is_held = !self.is_empty() && self.is_held(command, flags, args);
        self.holds_anybody.set(self.holds_anybody.get() || is_held);
        is_held
    }
}
