//! Keys that move to another server: who is under way, what they hold up, the client and its protocol.
//!
//! Never runs a turn of the loop, and never removes a key: `drive::migrate` does.

pub mod client;
pub mod protocol;

use std::cell::Cell;
use std::rc::Rc;

use slab::Slab;

use crate::collections::hash::{HashSeed, SeededSet};
use crate::command::keys::keys_of;
use crate::command::registry::{Command, CommandId};
use crate::command::spec::{Flag, FlagSet};
use crate::net::token::Token;
use crate::resp::{Args, OwnedArgs};

use client::MigrateClient;
pub use protocol::{Login, Order};

/// Keys under way.
pub struct Migrations {
    pub(crate) under_way: Slab<Option<Box<UnderWay>>>,
    /// The keys of all of them, of whatever database.
    pub(crate) held: SeededSet<Rc<[u8]>>,
    /// Whether a client was held back since the last look.
    pub(crate) holds_anybody: Cell<bool>,
}

/// One MIGRATE.
pub(crate) struct UnderWay {
    pub(crate) courier: MigrateClient,
    pub(crate) client: Token,
    pub(crate) command: CommandId,
    pub(crate) request: OwnedArgs,
    pub(crate) redacted: Vec<usize>,
    /// Time spent on it.
    pub(crate) ticks: u64,
}

impl Migrations {
    /// None yet.
    pub fn new(seed: &HashSeed) -> Migrations {
        Migrations { under_way: Slab::new(), held: seed.set(), holds_anybody: Cell::new(false) }
    }

    /// Whether no key is under way.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
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
