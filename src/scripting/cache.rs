//! The scripts that EVALSHA finds, by digest.
//!
//! Those that only EVAL brought are at most so many: the one used longest ago goes, since clients that build a script
//! for each call would fill the memory. What SCRIPT LOAD brought stays.

use std::rc::Rc;

use sha1::{Digest as _, Sha1};
use slab::Slab;

use crate::collections::hash::{HashSeed, SeededMap};

use super::flags::ScriptFlags;
use super::lua::Reference;

/// Scripts brought by EVAL alone that are kept.
pub const PASSING_MAX: usize = 500;

/// 40 hexadecimal digits.
pub type Digest = [u8; 40];

/// The digest of a text. O(length).
pub fn digest(text: &[u8]) -> Digest {
    let mut digits = [0; 40];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(Sha1::digest(text)) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    digits
}

/// One compiled script.
pub struct Script {
    pub text: Rc<[u8]>,
    pub digest: Digest,
    pub flags: ScriptFlags,
    pub function: Reference,
    /// Its neighbours among those that EVAL alone brought; none if SCRIPT LOAD did.
    links: Option<Links>,
}

#[derive(Clone, Copy)]
struct Links {
    older: Option<usize>,
    newer: Option<usize>,
}

/// Every compiled script.
pub struct ScriptCache {
    scripts: Slab<Script>,
    by_digest: SeededMap<Digest, usize>,
    /// The same by text, which spares EVAL working the digest out.
    by_text: SeededMap<Rc<[u8]>, usize>,
    oldest: Option<usize>,
    newest: Option<usize>,
    passing: usize,
}

impl ScriptCache {
    /// No scripts.
    pub fn new(seed: &HashSeed) -> ScriptCache {
        ScriptCache {
            scripts: Slab::new(),
            by_digest: seed.map(),
            by_text: seed.map(),
            oldest: None,
            newest: None,
            passing: 0,
        }
    }

    /// Number of scripts.
    pub fn len(&self) -> usize {
        self.scripts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    /// The script's place, by digest in lower case.
    #[inline]
    pub fn find(&self, digest: &Digest) -> Option<usize> {
        self.by_digest.get(digest).copied()
    }

    /// The script's place, by text.
    #[inline]
    pub fn find_text(&self, text: &[u8]) -> Option<usize> {
        self.by_text.get(text).copied()
    }

    /// The script at a place.
    #[inline]
    pub fn get(&self, place: usize) -> &Script {
        &self.scripts[place]
    }

    /// Every script.
    pub fn iter(&self) -> impl Iterator<Item = &Script> {
        self.scripts.iter().map(|(_, script)| script)
    }

    /// Adds a script that is not there; with `stays` it is not among those that may go.
    pub fn add(&mut self, text: &[u8], flags: ScriptFlags, function: Reference, stays: bool) -> usize {
        let text: Rc<[u8]> = text.into();
        let digest = digest(&text);
        let place = self.scripts.insert(Script { text: text.clone(), digest, flags, function, links: None });
        self.by_digest.insert(digest, place);
        self.by_text.insert(text, place);
        if !stays {
            self.link(place);
        }
        place
    }

    /// A script was used: it is the newest again. O(1).
    #[inline]
    pub fn note_use(&mut self, place: usize) {
        if self.newest != Some(place) && self.scripts[place].links.is_some() {
            self.unlink(place);
            self.link(place);
        }
    }

    /// From now on the script stays.
    pub fn retain(&mut self, place: usize) {
        self.unlink(place);
    }

    /// Takes the script out that must go as there are too many.
    pub fn take_excess(&mut self) -> Option<Script> {
        let oldest = self.oldest.filter(|_| self.passing > PASSING_MAX)?;
        self.unlink(oldest);
        let script = self.scripts.remove(oldest);
        self.by_digest.remove(&script.digest);
        self.by_text.remove(&script.text);
        Some(script)
    }

    /// Memory that the texts take, and all that belongs to them, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let texts: usize = self.iter().map(|script| script.text.len()).sum();
        texts + self.scripts.capacity() * size_of::<Script>() + self.len() * 96
    }

    fn link(&mut self, place: usize) {
        let older = self.newest.replace(place);
        match older {
            Some(older) => {
                if let Some(links) = &mut self.scripts[older].links {
                    links.newer = Some(place);
                }
            }
            None => self.oldest = Some(place),
        }
        self.scripts[place].links = Some(Links { older, newer: None });
        self.passing += 1;
    }

    fn unlink(&mut self, place: usize) {
        let Some(Links { older, newer }) = self.scripts[place].links.take() else {
            return;
        };
        match older.and_then(|older| self.scripts[older].links.as_mut()) {
            Some(links) => links.newer = newer,
            None => self.oldest = newer,
        }
        match newer.and_then(|newer| self.scripts[newer].links.as_mut()) {
            Some(links) => links.older = older,
            None => self.newest = older,
        }
        self.passing -= 1;
    }
}
