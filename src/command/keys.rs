//! Where a request's keys are, from the declarations of its command.

use smallvec::SmallVec;

use crate::resp::Args;
use crate::resp::number::parse_i64;

use super::registry::Command;
use super::spec::{Begin, CommandSpec, Find, Flag, KeyFlag, KeySpec};

/// One key of a request: which argument it is and what the command does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyReference {
    pub index: usize,
    pub flags: &'static [KeyFlag],
}

/// The keys of one request, in the order of the command's declarations.
pub type KeyList = SmallVec<[KeyReference; 4]>;

/// What is done to a key as far as permissions tell it apart: reading what is in it, changing it, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyAccess(u8);

impl KeyAccess {
    /// Neither: whether it is there may be seen, and the like.
    pub const NONE: KeyAccess = KeyAccess(0);
    pub const READ: KeyAccess = KeyAccess(1);
    pub const WRITE: KeyAccess = KeyAccess(2);
    pub const ALL: KeyAccess = KeyAccess(3);

    /// What a command with these flags does to its key.
    pub fn of(flags: &[KeyFlag]) -> KeyAccess {
        flags.iter().fold(KeyAccess::NONE, |access, flag| {
            access.union(match flag {
                KeyFlag::Access => KeyAccess::READ,
                KeyFlag::Insert | KeyFlag::Delete | KeyFlag::Update => KeyAccess::WRITE,
                _ => KeyAccess::NONE,
            })
        })
    }

    /// What either does.
    pub fn union(self, other: KeyAccess) -> KeyAccess {
        KeyAccess(self.0 | other.0)
    }

    /// Whether the other does nothing beyond this.
    #[inline]
    pub fn includes(self, other: KeyAccess) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The only key of a command that always has exactly one, at a fixed place: most commands are such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoneKey {
    /// Which argument.
    pub index: u8,
    /// What the command does to it, or may do at most.
    pub access: KeyAccess,
    /// Whether it always does that; if not, `keys_of` tells what a request does.
    pub is_certain: bool,
}

impl LoneKey {
    /// The only key of a command, as it declares it.
    pub(super) fn of(spec: &CommandSpec) -> Option<LoneKey> {
        let [key] = spec.keys else {
            return None;
        };
        let at_one_place = matches!(key.find, Find::Range { last: 0, .. });
        let (Begin::Index(index), true) = (key.begin, at_one_place) else {
            return None;
        };
        let has = |flag| key.flags.contains(&flag);
        let varies = has(KeyFlag::VariableFlags);
        if has(KeyFlag::NotKey) || (spec.find_keys.is_some() && !varies) {
            return None;
        }
        let declared = KeyAccess::of(key.flags);
        Some(LoneKey {
            index: u8::try_from(index).ok()?,
            access: if varies { KeyAccess::ALL } else { declared },
            is_certain: !varies,
        })
    }
}

/// A command's own way to find its keys.
pub type KeyFinder = for<'a> fn(Args<'a>) -> KeyList;

/// The keys that a request names. None where it names none or where its syntax is so wrong that they
/// cannot be told: the command itself then replies with the error. O(number of arguments).
pub fn keys_of(command: &Command, args: Args<'_>) -> KeyList {
    match command.spec.find_keys {
        Some(find) => find(args),
        None => find(command, args, |spec| !spec.flags.contains(&KeyFlag::NotKey)),
    }
}

/// The arguments that are no keys but are declared like keys: the names of sharded channels.
pub fn channels_of(command: &Command, args: Args<'_>) -> KeyList {
    find(command, args, |spec| spec.flags.contains(&KeyFlag::NotKey))
}

/// Whether requests of this command name keys.
pub fn has_keys(command: &Command) -> bool {
    command.spec.keys.iter().any(|spec| !spec.flags.contains(&KeyFlag::NotKey))
}

/// Whether a request that names no key is in order.
pub fn may_have_no_keys(command: &Command) -> bool {
    command.flags.has(Flag::NoMandatoryKeys)
}

fn find(command: &Command, args: Args<'_>, is_wanted: impl Fn(&KeySpec) -> bool) -> KeyList {
    let mut keys = KeyList::new();
    for spec in command.spec.keys.iter().filter(|spec| is_wanted(spec)) {
        match span(spec, args) {
            Span::Absent => {}
            Span::Invalid => return KeyList::new(),
            Span::Keys { first, last, step } => {
                let indexes = (first..=last).step_by(step);
                keys.extend(indexes.map(|index| KeyReference { index, flags: spec.flags }));
            }
        }
    }
    keys
}

/// What a key spec says of a request.
enum Span {
    Keys {
        first: usize,
        last: usize,
        step: usize,
    },
    /// The word after which the keys would stand is not there.
    Absent,
    /// The request does not fit the spec: a syntax error.
    Invalid,
}

fn span(spec: &KeySpec, args: Args<'_>) -> Span {
    let begin = match spec.begin {
        Begin::Index(index) => usize::try_from(index).ok(),
        Begin::Unknown => None,
        Begin::Keyword { word, from } => match after_word(word, from, args) {
            None => return Span::Absent,
            found => found,
        },
    };
    let Some(begin) = begin else {
        return Span::Invalid;
    };
    // Counted in i64: the declarations are i32, and a count in a request is bounded below.
    let (begin, count) = (begin as i64, args.len() as i64);
    let found = match spec.find {
        Find::Unknown => None,
        Find::Range { last, step, limit } => {
            let last = match (last, limit) {
                (0.., _) => begin + i64::from(last),
                (_, 0) => count + i64::from(last),
                (_, limit) => begin + (count - begin) / i64::from(limit) + i64::from(last),
            };
            Some((begin, last, step))
        }
        Find::Count { index, first, step } => {
            counted(args, begin, index, first).map(|(first, last)| (first, last, step))
        }
    };
    match found {
        Some((first, last, step)) if first <= last && last < count => {
            // 0 <= first <= last < count holds, and every declared step is positive.
            Span::Keys { first: first as usize, last: last as usize, step: step.max(1) as usize }
        }
        _ => Span::Invalid,
    }
}

/// First and last of the keys whose number stands in the request, as long as that makes sense.
fn counted(args: Args<'_>, begin: i64, index: i32, first: i32) -> Option<(i64, i64)> {
    let number = args.get(usize::try_from(begin + i64::from(index)).ok()?)?;
    let number = parse_i64(number).filter(|number| (0..=args.len() as i64).contains(number))?;
    let first = begin + i64::from(first);
    Some((first, first + number - 1))
}

/// The argument after the word, looked for from argument `from` on; a negative `from` counts from
/// the end and looks backwards. A word in the very last place is none: nothing follows it.
fn after_word(word: &str, from: i32, args: Args<'_>) -> Option<usize> {
    let is_word = |index: &usize| args.at(*index).eq_ignore_ascii_case(word.as_bytes());
    let last = args.len().checked_sub(1)?;
    let found = match usize::try_from(from) {
        Ok(from) => (from..last).find(is_word),
        Err(_) => {
            let start = args.len().checked_sub(from.unsigned_abs() as usize)?;
            (2..=start).rev().find(is_word)
        }
    };
    found.map(|index| index + 1)
}
