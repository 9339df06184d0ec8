//! How large the keys of each type are (INFO keysizes): histograms, and which clients wait for them. Never walks a key.

use std::collections::BTreeMap;

use crate::command::registry::CommandId;
use crate::engine::session::Token;
use crate::keyspace::{Value, Version};
use crate::types::hash::HashRef;
use crate::types::list::ListRef;
use crate::types::set::SetRef;
use crate::types::sorted_set::SortedSetRef;

/// Classes of sizes: that of nothing, and one for each power of two.
const CLASSES: usize = 65;
/// What the units of sizes are called, each 1024 times the one before.
const UNITS: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];

/// What is measured of keys: the length of strings, the number of elements of all else but streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measured {
    Strings,
    Lists,
    Sets,
    SortedSets,
    Hashes,
}

impl Measured {
    const ALL: [Measured; 5] =
        [Measured::Strings, Measured::Lists, Measured::Sets, Measured::SortedSets, Measured::Hashes];

    /// The end of the field's name.
    fn name(self) -> &'static str {
        match self {
            Measured::Strings => "distrib_strings_sizes",
            Measured::Lists => "distrib_lists_items",
            Measured::Sets => "distrib_sets_items",
            Measured::SortedSets => "distrib_zsets_items",
            Measured::Hashes => "distrib_hashes_items",
        }
    }

    /// What a value counts as, and its size; nothing for a stream. O(1).
    fn of(value: Value<'_>) -> Option<(Measured, usize)> {
        let stored = value.stored();
        if let Some(text) = value.text() {
            return Some((Measured::Strings, text.length()));
        }
        ListRef::of(stored)
            .map(|list| (Measured::Lists, list.len()))
            .or_else(|| HashRef::of(stored).map(|hash| (Measured::Hashes, hash.len())))
            .or_else(|| SetRef::of(stored).map(|set| (Measured::Sets, set.len())))
            .or_else(|| SortedSetRef::of(stored).map(|sorted_set| (Measured::SortedSets, sorted_set.len())))
    }
}

/// The keys of one database, by type and size.
type Counts = [[u64; CLASSES]; Measured::ALL.len()];

/// The keys of all databases, by type and size.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    databases: BTreeMap<usize, Box<Counts>>,
}

impl Sizes {
    /// Counts a key. O(1).
    pub fn add(&mut self, database: usize, value: Value<'_>) {
        if let Some((measured, size)) = Measured::of(value) {
            let counts =
                self.databases.entry(database).or_insert_with(|| Box::new([[0; CLASSES]; Measured::ALL.len()]));
            counts[measured as usize][class_of(size)] += 1;
        }
    }

    /// The fields of INFO, each a name and what it shows.
    pub fn lines(&self) -> Vec<(String, String)> {
        let mut lines = Vec::new();
        for (number, counts) in &self.databases {
            for measured in Measured::ALL {
                let counts = counts[measured as usize].iter().enumerate().filter(|(_, count)| **count > 0);
                let shown: Vec<String> =
                    counts.map(|(class, count)| format!("{}={count}", name_of_class(class))).collect();
                if !shown.is_empty() {
                    lines.push((format!("db{number}_{}", measured.name()), shown.join(",")));
                }
            }
        }
        lines
    }
}

/// Class `c` holds sizes from 2^(c-1) to below 2^c; class 0 holds none but 0.
fn class_of(size: usize) -> usize {
    (usize::BITS - size.leading_zeros()) as usize
}

/// The least size of a class.
fn name_of_class(class: usize) -> String {
    match class.checked_sub(1) {
        None => "0".to_string(),
        Some(power) => format!("{}{}", 1 << (power % 10), UNITS[power / 10]),
    }
}

/// A walk over all keys.
pub struct Walk {
    /// The keys as they were when it began.
    pub version: Version,
    pub found: Sizes,
    /// The clients that wait for its end.
    waiting: Vec<Waiting>,
}

/// A client whose request waits, and the request's command.
pub type Waiting = (Token, CommandId);

/// The walk that is under way, what the last one found, and the clients that wait.
#[derive(Default)]
pub struct KeySizes {
    walk: Option<Walk>,
    is_asked_for: bool,
    /// The clients that asked after the present walk began: they want keys as they were later.
    waiting: Vec<Waiting>,
    /// Those whose requests are to run again, since their walk is over.
    served: Vec<Waiting>,
    known: Sizes,
}

impl KeySizes {
    /// Whether there is anything to do before the next tick.
    #[inline]
    pub fn have_work(&self) -> bool {
        self.is_asked_for || self.walk.is_some()
    }

    /// What the last walk found.
    pub fn known(&self) -> &Sizes {
        &self.known
    }

    /// Has a walk begin, once the present one is over.
    pub fn ask(&mut self) {
        self.is_asked_for = true;
    }

    /// Has a walk begin for a client, which waits for its end.
    pub fn wait(&mut self, waiting: Waiting) {
        self.ask();
        self.waiting.push(waiting);
    }

    /// Takes the present walk, or begins one that is asked for, over what `pin` gives.
    pub fn take_walk(&mut self, pin: impl FnOnce() -> Version) -> Option<Walk> {
        let is_due = self.walk.is_none() && std::mem::take(&mut self.is_asked_for);
        if is_due {
            let waiting = std::mem::take(&mut self.waiting);
            self.walk = Some(Walk { version: pin(), found: Sizes::default(), waiting });
        }
        self.walk.take()
    }

    /// The walk is not over.
    pub fn go_on(&mut self, walk: Walk) {
        self.walk = Some(walk);
    }

    /// The walk is over.
    pub fn end(&mut self, walk: Walk) {
        self.known = walk.found;
        self.served.extend(walk.waiting);
    }

    /// Takes those whose requests are to run again. Those that still wait afterwards are to be added anew.
    pub fn take_served(&mut self) -> Vec<Waiting> {
        std::mem::take(&mut self.served)
    }

    /// Clients whose requests could not run again yet.
    pub fn serve_later(&mut self, served: Vec<Waiting>) {
        self.served.extend(served);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_powers_of_two() {
        let cases = [
            (0, "0"),
            (1, "1"),
            (2, "2"),
            (3, "2"),
            (4, "4"),
            (1023, "512"),
            (1024, "1K"),
            (1 << 19, "512K"),
            ((1 << 21) - 1, "1M"),
            (1 << 30, "1G"),
            (usize::MAX, "8E"),
        ];
        for (size, name) in cases {
            assert_eq!(name_of_class(class_of(size)), name, "{size}");
        }
    }
}
