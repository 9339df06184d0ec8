//! While nothing can be written: what was changed and is in no file, and which requests would tell of it.
//!
//! Writes are refused then, but those of the turn in which the disk failed are done, and their clients wait for their replies. Whoever
//! reads what they changed waits as well, since it may be gone after a crash; all other reads go on.

use ahash::AHashSet;

use crate::command::keys;
use crate::command::registry::Command;
use crate::command::spec::{Begin, Category, Flag, FlagSet, KeyFlag};
use crate::resp::Args;

/// Keys that were changed, and whether it can be any. Databases are not told apart.
#[derive(Default)]
pub(crate) struct UnflushedKeys {
    keys: AHashSet<Vec<u8>>,
    has_any: bool,
    /// Bytes that were gathered and are looked at.
    pub(super) seen: usize,
}

impl UnflushedKeys {
    pub(super) fn note(&mut self, command: &Command, args: Args<'_>) {
        let named = keys::keys_of(command, args);
        for key in &named {
            self.keys.insert(args.at(key.index).to_vec());
        }
        self.has_any |= named.is_empty() && is_of(command, Category::Keyspace);
    }

    /// Whether the reply to a request may tell of it.
    pub(super) fn shows_in(&self, command: &Command, args: Args<'_>) -> bool {
        const LOOK_ANYWHERE: FlagSet = FlagSet::of(&[Flag::RunsQueue, Flag::TouchesArbitraryKeys, Flag::Debug]);
        const ACCESS: FlagSet = FlagSet::of(&[Flag::ReadOnly, Flag::Write, Flag::MayReplicate]);
        let named = keys::keys_of(command, args);
        // SORT makes names of keys up of elements, for one.
        let names_all = !command
            .spec
            .keys
            .iter()
            .any(|spec| spec.flags.contains(&KeyFlag::Incomplete) || matches!(spec.begin, Begin::Unknown));
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
