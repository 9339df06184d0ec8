//! Owns the large hash: a table of elements, and the index of those that expire. Never more than a bounded piece of
//! work at a time, but for walks over all fields.

use std::ops::Deref;

use crate::collections::element::Element;
use crate::collections::hash::HashSeed;
use crate::collections::ordered;
use crate::collections::table::{self, Slot, Table};

use crate::types::hash::field::{Expiry, Found, NewText};
use crate::types::hash::field_expiry::{DueFields, FieldExpiry};

/// Entries that are moved together at each removal while the table is much too large.
const SHRINK_ENTRIES: usize = 16;

/// A hash too large to lie packed in its key's record. Copy-on-write.
pub struct Hash {
    fields: Table<Element>,
    /// Bytes of all elements.
    element_bytes: usize,
    due: DueFields,
    /// What is left of a hash that is being freed.
    lazy_free: Option<Box<LazyFreeParts>>,
}

struct LazyFreeParts {
    fields: table::LazyFree<Element>,
    due: ordered::LazyFree<FieldExpiry>,
}

impl Hash {
    /// A hash without fields.
    pub fn new(seed: &HashSeed) -> Hash {
        Hash { fields: Table::new(seed.clone()), element_bytes: 0, due: DueFields::default(), lazy_free: None }
    }

    /// How many fields there are, those whose time is over included. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are none. O(1).
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Another one with the same elements, to be changed apart from this one. O(1): later changes to either copy what
    /// they touch, once.
    pub fn fork(&self) -> Hash {
        Hash { fields: self.fields.fork(), element_bytes: self.element_bytes, due: self.due.fork(), lazy_free: None }
    }

    /// How its table is filled. O(buckets).
    pub fn occupancy(&self) -> table::Occupancy {
        self.fields.occupancy()
    }

    /// Bytes that it takes, its own structure included. O(1).
    pub fn memory_bytes(&self) -> usize {
        size_of::<Hash>() + self.fields.memory_bytes() + self.element_bytes + self.due.memory_bytes()
    }

    /// Frees about this many elements of a value that is no longer used. Returns whether elements are left.
    pub fn reclaim_step(&mut self, elements: usize) -> bool {
        let lazy_free = self
            .lazy_free
            .get_or_insert_with(|| Box::new(LazyFreeParts { fields: self.fields.take(), due: self.due.take() }));
        lazy_free.fields.step(elements) || lazy_free.due.step(elements)
    }

    /// The hash of a field's name.
    #[inline]
    pub fn hash(&self, name: &[u8]) -> u64 {
        self.fields.hash(name)
    }

    /// Has the processor fetch where a field's handle should be. First step of a batch.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.fields.prefetch_bucket(hash);
    }

    /// Has the processor fetch a field with its value. Second step of a batch.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        self.fields.prefetch_entry(hash);
    }

    /// A field with its value. O(1).
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<&Element> {
        self.get_hashed(self.fields.hash(name), name)
    }

    /// A field with its value, by the hash of its name. O(1).
    #[inline]
    pub fn get_hashed(&self, hash: u64, name: &[u8]) -> Option<&Element> {
        self.fields.get(hash, name)
    }

    /// Sets a field to what `make` makes of it; leaves it alone if that is an error. One probe. O(1), O(log n) if it
    /// expires.
    pub fn update<E>(
        &mut self,
        name: &[u8],
        expiry: Expiry,
        make: impl FnOnce(Option<Found<'_>>) -> Result<NewText, E>,
    ) -> Result<(), E> {
        let hash = self.fields.hash(name);
        let (before_ms, expiry_ms) = match self.fields.entry(hash, name) {
            Slot::Occupied(element) => {
                let text = make(Some(Found::of(element)))?;
                let before = (element.memory_bytes(), element.expiry_ms());
                let expiry_ms = expiry.after(before.1);
                put(element, &text, expiry_ms);
                self.element_bytes = self.element_bytes + element.memory_bytes() - before.0;
                (before.1, expiry_ms)
            }
            Slot::Vacant(vacant) => {
                let expiry_ms = expiry.after(None);
                let element = Element::with_value(name, &make(None)?, expiry_ms);
                self.element_bytes += element.memory_bytes();
                vacant.insert(element);
                (None, expiry_ms)
            }
        };
        self.reindex(hash, before_ms, expiry_ms);
        Ok(())
    }

    /// Sets a field. O(1), O(log n) if it expires. Tells whether it was there.
    #[inline]
    pub fn set(&mut self, name: &[u8], value: &[u8], expiry: Expiry) -> bool {
        self.set_hashed(self.fields.hash(name), name, value, expiry)
    }

    /// Sets a field by the hash of its name; tells whether it was there. O(1), O(log n) if it expires.
    pub fn set_hashed(&mut self, hash: u64, name: &[u8], value: &[u8], expiry: Expiry) -> bool {
        let (was_there, before_ms, expiry_ms) = match self.fields.entry(hash, name) {
            Slot::Occupied(element) => {
                let before = (element.memory_bytes(), element.expiry_ms());
                let expiry_ms = expiry.after(before.1);
                put(element, value, expiry_ms);
                self.element_bytes = self.element_bytes + element.memory_bytes() - before.0;
                (true, before.1, expiry_ms)
            }
            Slot::Vacant(vacant) => {
                let expiry_ms = expiry.after(None);
                let element = Element::with_value(name, value, expiry_ms);
                self.element_bytes += element.memory_bytes();
                vacant.insert(element);
                (false, None, expiry_ms)
            }
        };
        self.reindex(hash, before_ms, expiry_ms);
        was_there
    }

    /// Sets or clears a field's expiry time; tells whether the field is there. O(log n).
    pub fn set_expiry(&mut self, name: &[u8], expiry_ms: Option<i64>) -> bool {
        let hash = self.fields.hash(name);
        let Some(element) = self.fields.get_mut(hash, name) else {
            return false;
        };
        let before = (element.memory_bytes(), element.expiry_ms());
        element.set_expiry(expiry_ms);
        self.element_bytes = self.element_bytes + element.memory_bytes() - before.0;
        self.reindex(hash, before.1, expiry_ms);
        true
    }

    #[inline]
    fn reindex(&mut self, hash: u64, before_ms: Option<i64>, after_ms: Option<i64>) {
        if before_ms == after_ms {
            return;
        }
        if let Some(time_ms) = before_ms {
            self.due.remove(FieldExpiry { time_ms, hash });
        }
        if let Some(time_ms) = after_ms {
            self.due.insert(FieldExpiry { time_ms, hash });
        }
    }

    /// Removes a field. O(1), O(log n) if it expires. Gives the element.
    pub fn remove(&mut self, name: &[u8]) -> Option<Element> {
        self.remove_hashed(self.fields.hash(name), name)
    }

    /// As above, by the hash of the name.
    pub fn remove_hashed(&mut self, hash: u64, name: &[u8]) -> Option<Element> {
        let element = self.fields.remove(hash, name)?;
        self.reindex(hash, element.expiry_ms(), None);
        self.element_bytes -= element.memory_bytes();
        if self.fields.needs_shrink() {
            self.fields.shrink_step(SHRINK_ENTRIES);
        }
        Some(element)
    }

    /// When the next field expires, in ms since the epoch. O(log n).
    #[inline]
    pub fn next_expiry_ms(&self) -> Option<i64> {
        self.due.first().map(|due| due.time_ms)
    }

    /// How many fields expire before a time. O(log n).
    pub fn due_before(&self, time_ms: i64) -> usize {
        self.due.count_before(time_ms)
    }

    /// How many fields expire. O(1).
    pub fn expiring_len(&self) -> usize {
        self.due.len()
    }

    /// Removes up to `max_fields` fields that expire before a time, those first whose times are first. O(log n) for
    /// each.
    pub fn remove_due(&mut self, time_ms: i64, max_fields: usize, mut show: impl FnMut(&[u8])) -> usize {
        let mut removed = 0;
        while removed < max_fields
            && let Some(due) = self.due.first()
            && due.time_ms < time_ms
        {
            let is_it = |element: &Element| {
                element.expiry_ms() == Some(due.time_ms) && self.fields.hash(element.key()) == due.hash
            };
            let found = self.fields.get_where(due.hash, is_it).cloned();
            // INVARIANT: a field is in the index as long as it has an expiry time.
            let element = found.expect("a field of the index is in the table");
            show(element.key());
            self.remove_hashed(due.hash, element.key());
            removed += 1;
        }
        removed
    }

    /// A random field, each with the same chance. O(1).
    pub fn random(&self, random: &mut fastrand::Rng) -> Option<&Element> {
        self.fields.random(random)
    }

    /// Shows a few fields and gives the cursor of the next ones; 0 begins and ends a walk. Fields that are there
    /// throughout are shown, some perhaps twice. O(1).
    pub fn scan(&self, cursor: u64, visit: impl FnMut(&Element)) -> u64 {
        self.fields.scan(cursor, visit)
    }

    /// Every field. O(n); to go through all of a large hash `for_each` is faster.
    pub fn iter(&self) -> impl Iterator<Item = &Element> {
        self.fields.iter()
    }

    /// The fields as they are now, to be walked in pieces. O(1).
    pub fn pin(&self) -> table::Pinned<Element> {
        self.fields.pin()
    }

    /// Shows every field. O(n).
    pub fn for_each(&self, mut visit: impl FnMut(&Element)) {
        // A version of the table is walked because that fetches a segment's elements side by side.
        let mut version = self.fields.pin();
        while version.next_segment(&mut visit) {}
    }
}

/// Puts value and expiry time into an element; one allocation at most.
#[inline]
fn put(element: &mut Element, value: &[u8], expiry_ms: Option<i64>) {
    if element.expiry_ms().is_some() == expiry_ms.is_some() && !element.is_shared() {
        element.set_value(value);
        element.set_expiry(expiry_ms);
    } else {
        *element = Element::with_value(element.key(), value, expiry_ms);
    }
}

/// Goes through fields by their names, with the cache lines of the next ones already on their way; `visit` gets the
/// number of each and the hash of its name.
pub fn look_ahead<'n, H: Deref<Target = Hash>>(
    mut hash: H,
    count: usize,
    name: impl Fn(usize) -> &'n [u8],
    mut visit: impl FnMut(&mut H, usize, u64),
) {
    /// How many fields ahead an element is fetched; its bucket is fetched that many fields earlier still.
    const DISTANCE: usize = 8;
    const WINDOW: usize = 2 * DISTANCE;
    let mut hashes = [0; WINDOW];
    for index in 0..count + WINDOW {
        // The three steps of a field are `DISTANCE` turns apart; the first frees its place in the window last.
        if let Some(visited) = index.checked_sub(WINDOW) {
            visit(&mut hash, visited, hashes[visited % WINDOW]);
        }
        if let Some(arrived) = index.checked_sub(DISTANCE).filter(|arrived| *arrived < count) {
            hash.prefetch_entry(hashes[arrived % WINDOW]);
        }
        if index < count {
            let next = hash.hash(name(index));
            hashes[index % WINDOW] = next;
            hash.prefetch_bucket(next);
        }
    }
}
