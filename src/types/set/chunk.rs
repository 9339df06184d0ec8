//! Owns the way of many members of one set past other sets: in chunks, so that the memory that the members of a chunk
//! need is fetched side by side. Never looks at more than a chunk at a time.

use arrayvec::ArrayVec;

use crate::collections::hash::HashSeed;
use crate::collections::table::{Entry, prefetch};

use super::{Member, Set, SetRef, Text};

/// Members that are looked at together.
const CHUNK: usize = 64;

/// A member with its hash.
#[derive(Clone, Copy)]
pub struct Hashed<'a> {
    pub member: Member<'a>,
    /// Zero where it is not needed.
    pub hash: u64,
}

/// Some members of a set.
#[derive(Default)]
pub struct Chunk<'a> {
    members: ArrayVec<Hashed<'a>, CHUNK>,
}

impl<'a> Chunk<'a> {
    /// Fills it up; the members' memory is being fetched then.
    fn fill(&mut self, members: &mut impl Iterator<Item = Member<'a>>) {
        self.members.clear();
        for member in members.take(CHUNK) {
            if let Member::Element(element) = member {
                prefetch(element.address());
            }
            self.members.push(Hashed { member, hash: 0 });
        }
    }

    /// Works the hashes out.
    fn hash_with(&mut self, seed: &HashSeed) {
        for hashed in &mut self.members {
            hashed.hash = hashed.member.with_bytes(|bytes| seed.hash(bytes));
        }
    }

    /// Has all memory fetched that looking the members up in a set will need.
    fn fetch(&self, set: &Set) {
        for hashed in &self.members {
            set.prefetch_bucket(hashed.hash);
        }
        for hashed in &self.members {
            set.prefetch_entry(hashed.hash);
        }
    }

    /// Keeps those members that are in another set, or those that are not. They must have been hashed if that one is
    /// large.
    pub fn keep(&mut self, set: SetRef<'_>, those_within: bool) {
        match set {
            SetRef::Large(set) => {
                self.fetch(set);
                self.members.retain(|hashed| {
                    let hash = hashed.hash;
                    let found = hashed.member.with_bytes(|bytes| set.contains_hashed(hash, bytes));
                    found == those_within
                });
            }
            SetRef::IntSet(_) | SetRef::Listpack(_) => {
                self.members.retain(|hashed| set.contains_text(hashed.member.text()) == those_within)
            }
        }
    }

    /// The members.
    pub fn members(&self) -> &[Hashed<'a>] {
        &self.members
    }

    /// Adds the members to a set; they must have been hashed.
    pub fn add_to(&self, set: &mut Set) {
        self.fetch(set);
        for hashed in &self.members {
            match hashed.member {
                Member::Element(element) => set.add_shared(hashed.hash, element),
                Member::Packed(text) => text.with_bytes(|bytes| set.add_hashed(hashed.hash, bytes)),
            };
        }
    }

    /// Removes the members from a set; they must have been hashed.
    pub fn remove_from(&self, set: &mut Set) {
        self.fetch(set);
        for hashed in &self.members {
            let hash = hashed.hash;
            hashed.member.with_bytes(|bytes| set.remove_hashed(hash, bytes));
        }
    }
}

/// Shows all members of a set in chunks, as long as `visit` says that it goes on; hashed if a seed is given: that of
/// all large sets that they are looked up in, which those of one keyspace share.
pub fn for_each_chunk<'a>(set: SetRef<'a>, seed: Option<&HashSeed>, mut visit: impl FnMut(&mut Chunk<'a>) -> bool) {
    let hash_and_visit = |chunk: &mut Chunk<'a>| {
        if let Some(seed) = seed {
            chunk.hash_with(seed);
        }
        visit(chunk)
    };
    let packed = |integer| Member::Packed(Text::Integer(integer));
    match set {
        SetRef::IntSet(set) => in_chunks(set.iter().map(packed), hash_and_visit),
        SetRef::Listpack(set) => in_chunks(set.iter().map(Member::Packed), hash_and_visit),
        SetRef::Large(set) => in_chunks(set.iter().map(Member::Element), hash_and_visit),
    }
}

fn in_chunks<'a>(mut members: impl Iterator<Item = Member<'a>>, mut visit: impl FnMut(&mut Chunk<'a>) -> bool) {
    let mut chunk = Chunk::default();
    loop {
        chunk.fill(&mut members);
        if chunk.members.is_empty() || !visit(&mut chunk) {
            return;
        }
    }
}
