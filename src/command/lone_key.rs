//! The key of the commands that always have exactly one, at a fixed place: most are such.

use super::key_list::{KeyAccess, KeyFlag};
use super::spec::{Begin, Declaration, Find};

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
