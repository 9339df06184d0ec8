//! Where a request's keys are, from the declarations of its command.

use std::iter::StepBy;
use std::ops::RangeInclusive;

use crate::resp::Args;
use crate::resp::number::parse_i64;

use super::registry::Command;
use super::spec::{Begin, Find, Flag, KeySpec};

pub use super::key_list::{KeyAccess, KeyFinder, KeyFlag, KeyList, KeyReference};
pub use super::lone_key::LoneKey;

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

/// What decides which node of a cluster runs a request: its keys, or the sharded channels that it names.
pub fn routed_by(command: &Command, args: Args<'_>) -> KeyList {
    match command.spec.find_keys {
        Some(find) => find(args),
        None => find(command, args, |_| true),
    }
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

/// The arguments that are keys by a key spec; nothing if the request does not fit it: a syntax error. (Keys behind a
/// word are not looked for: all commands that have such have a finder of their own, which reads the options as the
/// handler does.)
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
