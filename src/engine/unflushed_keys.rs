//! While nothing can be written: what was changed and is in no file, and the requests whose replies would reveal it.
//!
//! Writes are refused then, but those of the turn in which the disk failed are done, and their clients wait for their
//! replies. A client that reads what they changed waits as well, since it may be gone after a crash; all other reads go
//! on.

use crate::collections::hash::{HashSeed, SeededSet};
use crate::command::keys;
use crate::command::registry::Command;
use crate::command::spec::{Begin, Category, Flag, FlagSet, KeyFlag};
use crate::resp::Args;

/// Keys that were changed, and whether it can be any. Databases are not told apart.
pub(crate) struct UnflushedKeys {
    keys: SeededSet<Vec<u8>>,
    has_any: bool,
    /// The offset up to which the log of changes was looked at.
    pub(super) seen: u64,
}

impl UnflushedKeys {
    pub(super) fn new(seed: &HashSeed) -> UnflushedKeys {
        UnflushedKeys { keys: seed.set(), has_any: false, seen: 0 }
    }

    pub(super) fn note(&mut self, command: &Command, args: Args<'_>) {
        let named = keys::keys_of(command, args);
        for key in &named {
            self.keys.insert(args.at(key.index).to_vec());
        }
        self.has_any |= named.is_empty() && is_of(command, Category::Keyspace);
    }

    /// Whether the reply to a request may reveal it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::registry::Registry;
    use crate::commands::FAMILIES;

    /// Whether the reply to one request may reveal the change that another one made.
    fn shows(change: &str, request: &str) -> bool {
        let registry = Registry::new(FAMILIES);
        let mut unflushed = UnflushedKeys::new(&HashSeed::from_seed(1));
        let words = [change, request].map(|text| text.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        let command = |at: usize| {
            let found = registry.resolve(words[at][0], words[at].get(1).copied());
            found.expect("there is such a command")
        };
        unflushed.note(command(0), Args::from_slices(&words[0]));
        unflushed.shows_in(command(1), Args::from_slices(&words[1]))
    }

    #[test]
    fn a_change_shows_where_its_key_is_read() {
        assert!(shows("set a 1", "get a"));
        assert!(!shows("set a 1", "get b"));
        assert!(shows("msetex 2 b 1 a 1", "get a"));
        assert!(shows("set a 1", "sort b by nosort get a"));
        assert!(shows("set STREAMS 1", "xread count 1 streams STREAMS 0"));
        assert!(!shows("set c 1", "xreadgroup group g c streams s >"));
    }
}
