//! Where a request's keys are, from the declarations of its command.

use std::iter::StepBy;
use std::ops::RangeInclusive;

use smallvec::SmallVec;

use crate::resp::Args;
use crate::resp::number::parse_i64;

use super::registry::Command;
use super::spec::{Begin, Declaration, Find, Flag, KeyFlag, KeySpec};

/// One key of a request: which argument it is and what the command does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyReference {
    pub index: usize,
    pub flags: &'static [KeyFlag],
}

impl KeyReference {
    /// A key whose value is read.
    pub fn read(index: usize) -> KeyReference {
        let flags = &[KeyFlag::Ro, KeyFlag::Access];
        KeyReference { index, flags }
    }

    /// A key that gets a new value whatever it holds.
    pub fn overwrite(index: usize) -> KeyReference {
        let flags = &[KeyFlag::Ow, KeyFlag::Update];
        KeyReference { index, flags }
    }

    /// A key whose value is read and changed.
    pub fn read_and_update(index: usize) -> KeyReference {
        let flags = &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update];
        KeyReference { index, flags }
    }

    /// A key that is removed unseen.
    pub fn remove(index: usize) -> KeyReference {
        let flags = &[KeyFlag::Rm, KeyFlag::Delete];
        KeyReference { index, flags }
    }

    /// A key whose value is read and that is removed.
    pub fn take_away(index: usize) -> KeyReference {
        let flags = &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete];
        KeyReference { index, flags }
    }
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
    pub(super) fn of(spec: &Declaration) -> Option<LoneKey> {
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
        let Some(indexes) = span(spec, args) else {
            return KeyList::new();
        };
        keys.extend(indexes.map(|index| KeyReference { index, flags: spec.flags }));
    }
    keys
}

/// The arguments that are keys by a key spec; nothing if the request does not fit it: a syntax error. (Keys behind a word are not
/// looked for: all commands that have such have a finder of their own, which reads the options as the handler does.)
fn span(spec: &KeySpec, args: Args<'_>) -> Option<StepBy<RangeInclusive<usize>>> {
    let Begin::Index(begin) = spec.begin else {
        return None;
    };
    // Counted in i64: the declarations are i32, and a count in a request is bounded below.
    let (begin, count) = (i64::from(begin), args.len() as i64);
    let (first, last, step) = match spec.find {
        Find::Unknown => return None,
        Find::Range { last, step, limit } => {
            let last = match (last, limit) {
                (0.., _) => begin + i64::from(last),
                (_, 0) => count + i64::from(last),
                (_, limit) => begin + (count - begin) / i64::from(limit) + i64::from(last),
            };
            (begin, last, step)
        }
        Find::Count { index, first, step } => {
            let (first, last) = counted(args, begin, index, first, step)?;
            (first, last, step)
        }
    };
    // A range to the end may be empty beside other keys: PFMERGE with nothing to merge still has a destination.
    let least = match spec.find {
        Find::Range { last: ..0, .. } => first - 1,
        _ => first,
    };
    // 0 <= first - 1 <= last < count holds then, and every declared step is positive.
    (least <= last && last < count).then(|| (first as usize..=last as usize).step_by(step.max(1) as usize))
}

/// First and last of the keys whose number stands in the request, as long as that makes sense.
fn counted(args: Args<'_>, begin: i64, index: i32, first: i32, step: i32) -> Option<(i64, i64)> {
    let number = args.get(usize::try_from(begin + i64::from(index)).ok()?)?;
    let number = parse_i64(number).filter(|number| (0..=args.len() as i64).contains(number))?;
    let first = begin + i64::from(first);
    // The number is at most that of the arguments, so this stays in bounds.
    Some((first, first + (number - 1) * i64::from(step)))
}
