//! The index from names to commands: one probe or two of a small open-addressing table.
//!
//! A request's command is looked up by its name in any case, millions of times a second, among a few
//! hundred names that change at start-up only. So a name is folded to lower case eight bytes at a
//! time into two words that, with the length, tell names of up to sixteen bytes apart for certain;
//! the words are also what is hashed. The few longer names are compared in full after that.

use crate::command::registry::CommandId;

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
    slots: Vec<Slot>,
}

#[derive(Clone, Copy)]
struct Slot {
    key: Key,
    /// Which name, by its place in the list.
    name: u16,
    command: CommandId,
}

impl Slot {
    const EMPTY: Slot = Slot { key: Key::NONE, name: 0, command: CommandId::at(0) };

    #[inline]
    fn is_empty(&self) -> bool {
        self.key.len_and_scope == Key::NONE.len_and_scope
    }
}

/// The longest name that a [`Key`] tells for certain, in bytes.
const KEY_BYTES: usize = 16;

/// A name in folded form: its first and last eight bytes, its length, and its scope.
#[derive(Clone, Copy)]
struct Key {
    head: u64,
    tail: u64,
    /// Length in bytes in the low half; in the high half one more than the container's id, or 0.
    len_and_scope: u64,
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
        if text.len() > KEY_BYTES {
            return self.find_long(scope, text);
        }
        let key = Key::new(scope, text);
        self.probe(key).find(|slot| slot.key.is(key)).map(|slot| slot.command)
    }

    #[cold]
    fn find_long(&self, scope: Scope, text: &[u8]) -> Option<CommandId> {
        let key = Key::new(scope, text);
        let is_name = |slot: &&Slot| {
            let name = &self.names[usize::from(slot.name)].text;
            slot.key.is(key) && name.eq_ignore_ascii_case(text)
        };
        self.probe(key).find(is_name).map(|slot| slot.command)
    }

    /// The slots from where the key's hash points up to the first empty one.
    #[inline]
    fn probe(&self, key: Key) -> impl Iterator<Item = &Slot> {
        let mask = self.slots.len().wrapping_sub(1);
        let indexes = (key.hash() & mask..).map(move |index| index & mask);
        let slots = indexes.map_while(|index| self.slots.get(index));
        slots.take_while(|slot| !slot.is_empty())
    }

    /// Every name, in the order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = &Name> {
        self.names.iter()
    }

    fn rebuild(&mut self) {
        self.slots = vec![Slot::EMPTY; (self.names.len() * 4).next_power_of_two()];
        (0..self.names.len()).for_each(|index| self.place(index));
    }

    /// Puts a name into the first empty slot from where its hash points.
    fn place(&mut self, index: usize) {
        let Name { scope, ref text, command } = self.names[index];
        let key = Key::new(scope, text);
        let mask = self.slots.len() - 1;
        let mut at = key.hash() & mask;
        while !self.slots[at].is_empty() {
            at = (at + 1) & mask;
        }
        self.slots[at] = Slot { key, name: index as u16, command };
    }
}

impl Key {
    /// No name is that long.
    const NONE: Key = Key { head: 0, tail: 0, len_and_scope: u64::MAX };

    #[inline]
    fn new(scope: Scope, text: &[u8]) -> Key {
        let (head, tail) = ends(text);
        let scope = scope.map_or(0, |id| id.index() as u64 + 1);
        Key { head: lower_case(head), tail: lower_case(tail), len_and_scope: text.len() as u64 | scope << 32 }
    }

    /// Equality, by one comparison rather than three.
    #[inline]
    fn is(self, other: Key) -> bool {
        let differs = (self.head ^ other.head) | (self.tail ^ other.tail);
        differs | (self.len_and_scope ^ other.len_and_scope) == 0
    }

    /// Multiplicative hashing: the high half of the product depends on every bit of the words.
    #[inline]
    fn hash(self) -> usize {
        const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
        let word = self.head ^ self.tail.rotate_left(29) ^ self.len_and_scope.rotate_left(16);
        (word.wrapping_mul(ODD) >> 40) as usize
    }
}

/// Two words that hold every byte of a text of up to sixteen, and its first and last eight beyond.
#[inline]
fn ends(text: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (text.first_chunk(), text.last_chunk()) {
        return (u64::from_le_bytes(*head), u64::from_le_bytes(*tail));
    }
    if let (Some(head), Some(tail)) = (text.first_chunk(), text.last_chunk()) {
        let (head, tail) = (u32::from_le_bytes(*head), u32::from_le_bytes(*tail));
        return (u64::from(head) | u64::from(tail) << 32, 0);
    }
    match *text {
        [a, b, c] => (u64::from(u32::from_le_bytes([a, b, c, 0])), 0),
        [a, b] => (u64::from(u32::from_le_bytes([a, b, 0, 0])), 0),
        [a] => (u64::from(a), 0),
        _ => (0, 0),
    }
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
            .map(|(len, at)| (0..len).map(|place| if place == at { 'b' } else { 'a' }).collect())
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
