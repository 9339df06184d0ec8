//! While nothing can be written: what was changed and is in no file, and which requests would tell of it.
//!
//! Writes are refused then, but those of the turn in which the disk failed are done, and their clients wait for their replies. Whoever
//! reads what they changed waits as well, since it may be gone after a crash; all other reads go on.

use ahash::AHashSet;

use crate::command::keys;
use crate::command::registry::{Command, CommandId};
use crate::command::spec::{Category, Flag, FlagSet, KeyFlag};
use crate::engine::session::Session;
use crate::engine::state::ServerState;
use crate::resp::Args;
use crate::storage::aof::{AppendedReader, Found};

/// Keys that were changed, and whether it can be any. Databases are not told apart.
#[derive(Default)]
pub(crate) struct UnflushedKeys {
    keys: AHashSet<Vec<u8>>,
    has_any: bool,
    /// Bytes that were gathered and are looked at.
    seen: usize,
}

impl UnflushedKeys {
    fn note(&mut self, command: &Command, args: Args<'_>) {
        let named = keys::keys_of(command, args);
        for key in &named {
            self.keys.insert(args.at(key.index).to_vec());
        }
        self.has_any |= named.is_empty() && is_of(command, Category::Keyspace);
    }

    /// Whether the reply to a request may tell of it.
    fn shows_in(&self, command: &Command, args: Args<'_>) -> bool {
        const LOOK_ANYWHERE: FlagSet = FlagSet::of(&[Flag::RunsQueue, Flag::TouchesArbitraryKeys, Flag::Debug]);
        const ACCESS: FlagSet = FlagSet::of(&[Flag::ReadOnly, Flag::Write, Flag::MayReplicate]);
        let named = keys::keys_of(command, args);
        let names_all = !command.spec.keys.iter().any(|spec| spec.flags.contains(&KeyFlag::Incomplete));
        if command.flags.intersects(LOOK_ANYWHERE) || is_of(command, Category::Scripting) {
            return true;
        }
        if named.is_empty() || !names_all || self.has_any {
            return command.flags.intersects(ACCESS);
        }
        named.iter().any(|key| self.keys.contains(args.at(key.index)))
    }
}

fn is_of(command: &Command, category: Category) -> bool {
    command.categories & 1 << category as u32 != 0
}

impl ServerState {
    /// Looks at what was gathered and cannot be written. O(bytes of that that are new).
    #[cold]
    pub fn note_unflushed(&mut self) {
        if self.aof.failure.is_none() {
            self.aof.unflushed = None;
            return;
        }
        let mut unflushed = self.aof.unflushed.take().unwrap_or_default();
        let bytes = self.aof.feeder.bytes();
        let mut reader = AppendedReader::default();
        reader.feed(bytes.get(unflushed.seen..).unwrap_or_default());
        // INVARIANT: whole commands were gathered.
        while let Ok(found) = reader.advance() {
            match found {
                Found::Incomplete => break,
                Found::Time(_) | Found::Annotation => {}
                Found::Command => {
                    let words: Vec<&[u8]> = reader.arguments().collect();
                    let args = Args::from_slices(&words);
                    if let Some(command) = self.commands.resolve(args.at(0), args.get(1)) {
                        unflushed.note(command, args);
                    }
                }
            }
        }
        unflushed.seen = bytes.len();
        self.aof.unflushed = Some(unflushed);
    }

    /// Whether something was changed and cannot be written at present.
    #[inline]
    pub fn has_unflushed(&self) -> bool {
        self.aof.unflushed.is_some()
    }

    /// A client makes a request: if the reply may tell of what cannot be written it is to wait for that.
    #[cold]
    pub fn note_dependence(&self, session: &mut Session, args: Args<'_>, resolved: Option<CommandId>) {
        let (Some(unflushed), Some(command)) = (&self.aof.unflushed, resolved) else {
            return;
        };
        let command = self.commands.get(command);
        let is_queued = session.transaction.is_some() && !command.flags.has(Flag::RunsQueue);
        if !is_queued && unflushed.shows_in(command, args) {
            session.sees_unflushed = true;
        }
    }
}
