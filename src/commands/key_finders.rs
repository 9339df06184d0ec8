//! How to find the keys of the commands whose declarations alone cannot tell them, or not what is done to them.

use smallvec::smallvec;

use crate::command::keys::{KeyList, KeyReference};
use crate::command::spec::KeyFlag;
use crate::resp::Args;

const READ: &[KeyFlag] = &[KeyFlag::Ro, KeyFlag::Access];
const OVERWRITE: &[KeyFlag] = &[KeyFlag::Ow, KeyFlag::Update];
const READ_AND_UPDATE: &[KeyFlag] = &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update];
const REMOVE: &[KeyFlag] = &[KeyFlag::Rm, KeyFlag::Delete];
const TAKE_AWAY: &[KeyFlag] = &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete];

fn is_word(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

/// SET reads the old value only when GET is given or it is to be compared.
pub fn set(args: Args<'_>) -> KeyList {
    const READERS: [&str; 5] = ["GET", "IFEQ", "IFNE", "IFDEQ", "IFDNE"];
    let reads = args.slice_from(3).iter().any(|argument| READERS.iter().any(|word| is_word(argument, word)));
    let flags = if reads { READ_AND_UPDATE } else { OVERWRITE };
    smallvec![KeyReference { index: 1, flags }]
}

/// DELEX reads the value only when it is to be compared.
pub fn delex(args: Args<'_>) -> KeyList {
    let flags = if args.len() > 2 { TAKE_AWAY } else { REMOVE };
    smallvec![KeyReference { index: 1, flags }]
}

/// BITFIELD reads only, if every operation is a GET. Where the syntax is wrong it is taken to write.
pub fn bitfield(args: Args<'_>) -> KeyList {
    let mut flags = READ;
    let mut at = 2;
    while let Some(word) = args.get(at) {
        let operands = [("GET", 2), ("OVERFLOW", 1)].iter().find(|(name, _)| is_word(word, name));
        match operands {
            Some((_, operands)) if at + operands < args.len() => at += 1 + operands,
            _ => {
                flags = READ_AND_UPDATE;
                break;
            }
        }
    }
    smallvec![KeyReference { index: 1, flags }]
}

/// SORT reads its key and overwrites the one after the last STORE. (The keys that BY and GET make
/// up of elements are not told: those options need the right to read all keys.)
pub fn sort(args: Args<'_>) -> KeyList {
    let mut keys = sort_read_only(args);
    let mut destination = None;
    let mut at = 2;
    while let Some(word) = args.get(at) {
        let options = [("LIMIT", 2), ("GET", 1), ("BY", 1)];
        let option = options.iter().find(|(name, _)| is_word(word, name));
        if is_word(word, "STORE") && at + 1 < args.len() {
            destination = Some(at + 1);
        }
        at += 1 + option.map_or(0, |(_, operands)| *operands);
    }
    keys.extend(destination.map(|index| KeyReference { index, flags: OVERWRITE }));
    keys
}

/// SORT_RO reads its key.
pub fn sort_read_only(_args: Args<'_>) -> KeyList {
    smallvec![KeyReference { index: 1, flags: READ }]
}

/// GEORADIUS reads its key, and may overwrite those after STORE and STOREDIST. Each of these may stand several times, and the
/// declarations would tell the first alone, while the last counts: who may use the one need not be allowed the other.
pub fn geo_radius(args: Args<'_>) -> KeyList {
    geo_stores(args, 6)
}

/// The same for GEORADIUSBYMEMBER, whose options begin one argument earlier.
pub fn geo_radius_by_member(args: Args<'_>) -> KeyList {
    geo_stores(args, 5)
}

fn geo_stores(args: Args<'_>, first_option: usize) -> KeyList {
    let mut keys = sort_read_only(args);
    for option in ["STORE", "STOREDIST"] {
        let places = first_option..args.len().saturating_sub(1);
        let found = places.filter(|at| is_word(args.at(*at), option));
        keys.extend(found.map(|at| KeyReference { index: at + 1, flags: OVERWRITE }));
    }
    keys
}

/// MIGRATE takes the key in its place, or all those after KEYS if that one is empty; none if both are
/// given. A KEYS in the very last place counts for nothing.
pub fn migrate(args: Args<'_>) -> KeyList {
    let single = 3;
    let mut at = 6;
    while at + 1 < args.len() {
        let word = args.at(at);
        if is_word(word, "KEYS") {
            let first = if args.at(single).is_empty() { at + 1 } else { args.len() };
            let indexes = first..args.len();
            return indexes.map(|index| KeyReference { index, flags: TAKE_AWAY }).collect();
        }
        let options = [("AUTH", 1), ("AUTH2", 2)];
        let option = options.iter().find(|(name, _)| is_word(word, name));
        at += 1 + option.map_or(0, |(_, operands)| *operands);
    }
    smallvec![KeyReference { index: single, flags: TAKE_AWAY }]
}
