//! The index from names to commands: one probe or two of a small open-addressing table.
//!
//! A request's command is looked up by its name in any case, millions of times a second, among a few
//! hundred names that change at start-up only. So a name is folded to lower case eight bytes at a
//! time into two words that, with the length, tell names of up to sixteen bytes apart for certain;
//! the words are also what is hashed. Longer names (there are four) are compared in full after that.

use super::CommandId;

/// Whose name it is: a command's, or a subcommand's of that container.
pub type Scope = Option<CommandId>;

/// A name and the command that it stands for at present.
pub struct Name {
    pub scope: Scope,
    /// In lower case.
    pub text: Box<[u8]>,
    pub command: CommandId,
}

/// Names and where each stands in the table.
#[derive(Default)]
pub struct Names {
    names: Vec<Name>,
    /// A power of two of slots, at least half of them empty.
    slots: Vec<Option<Slot>>,
}

#[derive(Clone, Copy)]
struct Slot {
    key: Key,
    name: u16,
    command: CommandId,
}

/// The longest name that a [`Key`] tells for certain, in bytes.
const KEY_BYTES: usize = 16;

/// A name in folded form: its first and last eight bytes, its length, and its scope.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    head: u64,
    tail: u64,
    len: u32,
    scope: u32,
}

impl Names {
    /// Adds a name or gives it to another command. Amortised O(1) for a new name.
    pub fn insert(&mut self, scope: Scope, text: &[u8], command: CommandId) {
        if self.find(scope, text).is_some() {
            self.remove(scope, text);
        }
        self.names.push(Name { scope, text: text.to_ascii_lowercase().into(), command });
        if self.names.len() * 2 > self.slots.len() {
            self.rebuild();
        } else {
            self.place(self.names.len() - 1);
        }
    }

    /// Takes a name away. O(number of names).
    pub fn remove(&mut self, scope: Scope, text: &[u8]) {
        self.names.retain(|name| name.scope != scope || !name.text.eq_ignore_ascii_case(text));
        self.rebuild();
    }

    /// The command of that name, whatever the case. O(1).
    #[inline]
    pub fn find(&self, scope: Scope, text: &[u8]) -> Option<CommandId> {
        let key = Key::new(scope, text);
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = key.hash() & mask;
        while let Some(slot) = self.slots[at & mask] {
            if slot.key == key && (text.len() <= KEY_BYTES || self.is_name(slot.name, text)) {
                return Some(slot.command);
            }
            at += 1;
        }
        None
    }

    #[cold]
    fn is_name(&self, name: u16, text: &[u8]) -> bool {
        self.names[usize::from(name)].text.eq_ignore_ascii_case(text)
    }

    /// Every name, in the order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = &Name> {
        self.names.iter()
    }

    fn rebuild(&mut self) {
        self.slots = vec![None; (self.names.len() * 4).next_power_of_two()];
        (0..self.names.len()).for_each(|index| self.place(index));
    }

    /// Puts a name into the first empty slot from where its hash points.
    fn place(&mut self, index: usize) {
        let Name { scope, ref text, command } = self.names[index];
        let key = Key::new(scope, text);
        let mask = self.slots.len() - 1;
        let mut at = key.hash() & mask;
        while self.slots[at].is_some() {
            at = (at + 1) & mask;
        }
        self.slots[at] = Some(Slot { key, name: index as u16, command });
    }
}

impl Key {
    #[inline]
    fn new(scope: Scope, text: &[u8]) -> Key {
        let (head, tail) = match text.len() {
            0 => (0, 0),
            1..4 => {
                let len = text.len();
                let bytes = [text[0], text[len / 2], text[len - 1], 0];
                (u64::from(u32::from_le_bytes(bytes)), 0)
            }
            4..8 => (word32(text, 0), word32(text, text.len() - 4)),
            _ => (word64(text, 0), word64(text, text.len() - 8)),
        };
        Key {
            head: lower_case(head),
            tail: lower_case(tail),
            len: text.len() as u32,
            scope: scope.map_or(0, |id| id.index() as u32 + 1),
        }
    }

    /// Multiplicative hashing: the high half of the product depends on every bit of the words.
    #[inline]
    fn hash(self) -> usize {
        const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
        let word = self.head ^ self.tail.rotate_left(29) ^ u64::from(self.len + (self.scope << 8));
        (word.wrapping_mul(ODD) >> 40) as usize
    }
}

#[inline]
fn word32(text: &[u8], at: usize) -> u64 {
    u64::from(u32::from_le_bytes([text[at], text[at + 1], text[at + 2], text[at + 3]]))
}

#[inline]
fn word64(text: &[u8], at: usize) -> u64 {
    word32(text, at) | word32(text, at + 4) << 32
}

/// Folds eight ASCII letters at once: in a byte below 0x80, adding carries into the top bit exactly
/// where the byte is `A` or above, and where it is above `Z`; between the two lies 0x20.
#[inline]
fn lower_case(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES << 7;
    let low = word & !TOPS;
    let from_a = low + ONES * (0x80 - b'A' as u64);
    let beyond_z = low + ONES * (0x7F - b'Z' as u64);
    let upper = (from_a ^ beyond_z) & !word & TOPS;
    word | upper >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_letters_and_nothing_else() {
        for byte in 0..=255 {
            for place in 0..8 {
                let mut bytes = *b"@A[Z`z{\xC1";
                bytes[place] = byte;
                let folded = lower_case(u64::from_le_bytes(bytes)).to_le_bytes();
                assert_eq!(folded, *bytes.to_ascii_lowercase(), "{bytes:?}");
            }
        }
    }

    #[test]
    fn tells_names_of_every_length_apart() {
        let mut names = Names::default();
        let texts: Vec<String> = (0..=24)
            .flat_map(|len| (0..len).map(move |at| (len, at)))
            .map(|(len, at)| {
                (0..len).map(|place| if place == at { 'b' } else { 'a' }).collect()
            })
            .collect();
        for (index, text) in texts.iter().enumerate() {
            names.insert(None, text.as_bytes(), CommandId::at(index));
        }
        for (index, text) in texts.iter().enumerate() {
            let upper = text.to_ascii_uppercase();
            assert_eq!(names.find(None, text.as_bytes()), Some(CommandId::at(index)));
            assert_eq!(names.find(None, upper.as_bytes()), Some(CommandId::at(index)));
            assert_eq!(names.find(None, format!("{text}c").as_bytes()), None);
            assert_eq!(names.find(Some(CommandId::at(0)), text.as_bytes()), None);
        }
        assert_eq!(names.find(None, b""), None);
        assert_eq!(names.find(None, &[b'a'; 24]), None);
    }

    #[test]
    fn forgets_what_is_removed() {
        let mut names = Names::default();
        assert_eq!(names.find(None, b"get"), None);
        names.insert(None, b"get", CommandId::at(1));
        names.insert(Some(CommandId::at(0)), b"get", CommandId::at(2));
        names.insert(None, b"GET", CommandId::at(3));
        assert_eq!(names.find(None, b"gEt"), Some(CommandId::at(3)));
        names.remove(None, b"Get");
        assert_eq!(names.find(None, b"get"), None);
        assert_eq!(names.find(Some(CommandId::at(0)), b"get"), Some(CommandId::at(2)));
        assert_eq!(names.iter().count(), 1);
    }
}
