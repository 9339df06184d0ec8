//! The keys that BY and GET make up from elements, and the types that can be sorted.

use memchr::memmem;

use crate::cluster::key_slot;
use crate::keyspace::{Keyspace, Record};
use crate::types::hash::HashRef;
use crate::types::list::ListRef;
use crate::types::set::SetRef;
use crate::types::sorted_set::SortedSetRef;

/// A value that can be sorted.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    List(ListRef<'a>),
    Set(SetRef<'a>),
    SortedSet(SortedSetRef<'a>),
}

impl<'a> Subject<'a> {
    /// The value of a record, unless it is of a type that cannot be sorted.
    pub fn of(record: &'a Record) -> Option<Subject<'a>> {
        let stored = record.value().stored();
        ListRef::of(stored)
            .map(Subject::List)
            .or_else(|| SetRef::of(stored).map(Subject::Set))
            .or_else(|| SortedSetRef::of(stored).map(Subject::SortedSet))
    }

    /// Number of elements.
    pub fn len(self) -> usize {
        match self {
            Subject::List(list) => list.len(),
            Subject::Set(set) => set.len(),
            Subject::SortedSet(sorted_set) => sorted_set.len(),
        }
    }
}

/// The name of a key with a place for the element, perhaps with a field of the hash there.
pub(super) enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// A name without a place for the element: nothing is ever there.
    Constant,
    Key {
        before: &'a [u8],
        after: &'a [u8],
        field: Option<&'a [u8]>,
    },
}

/// The slot of all keys that a pattern makes up; none where it depends on the element.
pub(super) fn slot_of_pattern(text: &[u8]) -> Option<u16> {
    let place = memchr::memchr(b'*', text).unwrap_or(text.len());
    let open = memchr::memchr(b'{', &text[..place]);
    let tag = open.and_then(|open| memchr::memchr(b'}', &text[open + 1..place]));
    // An empty tag is none: then the whole name counts.
    let is_fixed = place == text.len() || tag.is_some_and(|length| length > 0);
    is_fixed.then(|| key_slot(text))
}

impl<'a> Pattern<'a> {
    /// What an argument means. Only the first `*` is a place; a `->` behind it, with something after it, leads to a
    /// field.
    pub fn of(text: &'a [u8]) -> Pattern<'a> {
        if text == b"#" {
            return Pattern::Element;
        }
        let Some(place) = memchr::memchr(b'*', text) else {
            return Pattern::Constant;
        };
        let (before, rest) = (&text[..place], &text[place + 1..]);
        match memmem::find(rest, b"->").filter(|arrow| arrow + 2 < rest.len()) {
            Some(arrow) => Pattern::Key { before, after: &rest[..arrow], field: Some(&rest[arrow + 2..]) },
            None => Pattern::Key { before, after: rest, field: None },
        }
    }

    /// Whether it does not depend on the element.
    pub fn is_constant(&self) -> bool {
        !matches!(self, Pattern::Key { .. })
    }

    /// Hands over what the pattern leads to for an element: nothing where there is no such string or field.
    pub fn look_up<R>(
        &self,
        keyspace: &mut Keyspace,
        database: usize,
        element: &[u8],
        use_it: impl FnOnce(Option<&[u8]>) -> R,
    ) -> R {
        let (before, after, field) = match self {
            Pattern::Element => return use_it(Some(element)),
            Pattern::Constant => return use_it(None),
            Pattern::Key { before, after, field } => (*before, *after, *field),
        };
        let key = [before, element, after].concat();
        let horizon_ms = keyspace.read_horizon_ms();
        let Some(record) = keyspace.read(database, &key) else {
            return use_it(None);
        };
        match field {
            None => match record.value().text() {
                Some(text) => text.with_bytes(|bytes| use_it(Some(bytes))),
                None => use_it(None),
            },
            Some(field) => {
                let hash = HashRef::of(record.value().stored());
                let found = hash.and_then(|hash| hash.get(field));
                match found.filter(|found| !found.is_due(horizon_ms)) {
                    Some(found) => found.value.with_bytes(|bytes| use_it(Some(bytes))),
                    None => use_it(None),
                }
            }
        }
    }
}
