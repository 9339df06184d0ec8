//! What SORT is asked for. Never looks at keys.

use smallvec::smallvec;

use crate::command::error::CommandError;
use crate::command::keys::{KeyList, KeyReference};
use crate::command::options::{OptionWalk, OptionWord};
use crate::resp::Args;
use crate::resp::number;

use super::patterns::{Pattern, Subject, slot_of_pattern};

/// The options of SORT.
pub(super) struct Options<'a> {
    /// What to sort by instead of the elements themselves.
    pub by: Option<Pattern<'a>>,
    pub get: Vec<Pattern<'a>>,
    pub descending: bool,
    pub alpha: bool,
    /// Whether to leave the elements in the order in which they are.
    pub unsorted: bool,
    pub offset: i64,
    /// How many to give; negative: all.
    pub count: i64,
    pub destination: Option<&'a [u8]>,
}

/// What may be asked for.
#[derive(Clone, Copy)]
pub(super) struct Permissions {
    pub may_store: bool,
    /// Whether all keys may be read: those that BY and GET make up are not known beforehand.
    pub may_read_all: bool,
    /// In a cluster, the slot that has the key: no other key can be read.
    pub slot: Option<u16>,
}

impl Permissions {
    /// Whether the keys of a pattern are where they can be read.
    fn reaches(self, pattern: &[u8]) -> bool {
        self.slot.is_none() || self.slot == slot_of_pattern(pattern)
    }
}

const BY_DENIED: CommandError =
    CommandError::fixed("ERR BY option of SORT denied due to insufficient ACL permissions.");
const GET_DENIED: CommandError =
    CommandError::fixed("ERR GET option of SORT denied due to insufficient ACL permissions.");

const BY_OUT_OF_REACH: CommandError = CommandError::fixed("ERR BY option of SORT denied in Cluster mode.");
const GET_OUT_OF_REACH: CommandError = CommandError::fixed("ERR GET option of SORT denied in Cluster mode.");

/// An option of SORT.
#[derive(Clone, Copy)]
pub(super) enum SortOption {
    Ascending,
    Descending,
    Alpha,
    Limit,
    By,
    Get,
    Store,
}

/// The options of SORT_RO, and of SORT with its last one.
static WORDS: &[OptionWord<SortOption>] = &[
    OptionWord::new("ASC", 0, SortOption::Ascending),
    OptionWord::new("DESC", 0, SortOption::Descending),
    OptionWord::new("ALPHA", 0, SortOption::Alpha),
    OptionWord::new("LIMIT", 2, SortOption::Limit),
    OptionWord::new("BY", 1, SortOption::By),
    OptionWord::new("GET", 1, SortOption::Get),
    OptionWord::new("STORE", 1, SortOption::Store),
];

/// Walks the options behind the key.
fn walk(args: Args<'_>, may_store: bool) -> OptionWalk<'_, SortOption> {
    let words = if may_store { WORDS } else { &WORDS[..WORDS.len() - 1] };
    OptionWalk::new(args, 2, words)
}

/// The keys of SORT: the one that it reads and the one after the last STORE, which it overwrites. (Keys that BY and GET
/// make up of elements are left out: those options need the right to read all keys.)
pub(super) fn find_keys(args: Args<'_>) -> KeyList {
    let mut keys = find_key(args);
    let stores = walk(args, true).flatten().filter(|(option, _)| matches!(option, SortOption::Store));
    keys.extend(stores.last().map(|(_, place)| KeyReference::overwrite(place + 1)));
    keys
}

/// The key of SORT_RO.
pub(super) fn find_key(_args: Args<'_>) -> KeyList {
    smallvec![KeyReference::read(1)]
}

impl<'a> Options<'a> {
    /// Reads the options. Errors: as Redis's.
    pub fn parse(args: Args<'a>, permissions: Permissions) -> Result<Options<'a>, CommandError> {
        let mut options = Options {
            by: None,
            get: Vec::new(),
            descending: false,
            alpha: false,
            unsorted: false,
            offset: 0,
            count: -1,
            destination: None,
        };
        let integer = |index| number::parse_i64(args.at(index)).ok_or(CommandError::NOT_AN_INTEGER);
        for found in walk(args, permissions.may_store) {
            let (option, at) = found?;
            match option {
                SortOption::Ascending => options.descending = false,
                SortOption::Descending => options.descending = true,
                SortOption::Alpha => options.alpha = true,
                SortOption::Limit => {
                    options.offset = integer(at + 1)?;
                    options.count = integer(at + 2)?;
                }
                SortOption::By => options.take_by(args.at(at + 1), permissions)?,
                SortOption::Get => options.take_get(args.at(at + 1), permissions)?,
                SortOption::Store => options.destination = Some(args.at(at + 1)),
            }
        }
        Ok(options)
    }

    fn take_by(&mut self, text: &'a [u8], permissions: Permissions) -> Result<(), CommandError> {
        let pattern = Pattern::of(text);
        // A name without a `*` does not depend on the element: there is nothing to sort by.
        self.unsorted |= pattern.is_constant();
        if !pattern.is_constant() && !permissions.reaches(text) {
            return Err(BY_OUT_OF_REACH);
        }
        if !pattern.is_constant() && !permissions.may_read_all {
            return Err(BY_DENIED);
        }
        self.by = Some(pattern);
        Ok(())
    }

    fn take_get(&mut self, text: &'a [u8], permissions: Permissions) -> Result<(), CommandError> {
        let pattern = Pattern::of(text);
        if !matches!(pattern, Pattern::Element) && !permissions.reaches(text) {
            return Err(GET_OUT_OF_REACH);
        }
        if !permissions.may_read_all {
            return Err(GET_DENIED);
        }
        self.get.push(pattern);
        Ok(())
    }

    /// The order of a set is unspecified; what is stored, or given to a script, must be the same on every
    /// replica, so it is sorted after all.
    pub fn settle_order_of(&mut self, subject: Option<&Subject<'_>>, is_script: bool) {
        let matters = is_script || self.destination.is_some();
        if self.unsorted && matters && matches!(subject, Some(Subject::Set(_))) {
            self.unsorted = false;
            self.alpha = true;
            self.by = None;
        }
    }
}
