//! Client-side caching: which clients are to be told that a key is no longer what they read.
//!
//! ```text
//! a command that only reads   call::settle → Tracking::remember      its keys, for this client
//! a key changes               Changes → effects::tell → invalidate   told at once, and forgotten
//!                                                    → note_change    for the clients that broadcast to: by prefix,
//! before the loop sleeps      broadcast                              and told together
//! ```
//!
//! As in Redis a key means the key of that name in any database. The table of keys is bounded by
//! `tracking-table-max-keys`: keys beyond that are forgotten at random, which their clients are told as if they had
//! changed.
//!
//! Never looks at a value.

use std::collections::{BTreeMap, BTreeSet};

use crate::collections::hash::{HashSeed, NumberMap, NumberSet, SeededMap};
use crate::engine::clients::Clients;
use crate::net::token::Token;
use crate::resp::{Protocol, Reply};

/// The channel on which clients of RESP2 are told, through another connection that listens to it.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// Which of the keys that a client reads it is sent invalidations for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrackingMode {
    /// All of them.
    #[default]
    All,
    /// Those read after CLIENT CACHING YES.
    OptIn,
    /// Those not read after CLIENT CACHING NO.
    OptOut,
    /// Whatever begins with one of its prefixes, read or not.
    Broadcast,
}

/// One client that tracks.
#[derive(Debug)]
pub struct Tracker {
    token: Token,
    pub mode: TrackingMode,
    /// Whether its own changes are not reported to it (NOLOOP).
    pub no_loop: bool,
    /// The number of the client that is told in its place.
    pub redirect: Option<u64>,
    /// Whether that one was found to be gone.
    pub is_broken: bool,
    /// Whether CLIENT CACHING was given for the next command.
    pub caching: bool,
    pub prefixes: BTreeSet<Vec<u8>>,
}

impl Tracker {
    /// The id of the client that is told in this one's place, as replies show it; 0 for none.
    pub fn shown_redirect(&self) -> i64 {
        self.redirect.map_or(0, |id| id as i64)
    }
}

/// What a tracked prefix costs besides its bytes, which are kept twice.
const PREFIX_BYTES: usize = 2 * size_of::<Vec<u8>>() + size_of::<Prefix>();

/// What CLIENT TRACKING ON asks for.
#[derive(Debug, Default)]
pub struct TrackingOptions {
    pub mode: TrackingMode,
    pub no_loop: bool,
    pub redirect: Option<u64>,
    pub prefixes: Vec<Vec<u8>>,
}

/// The clients that have read a key, by their numbers.
enum Readers {
    One(u64),
    Many(NumberSet<u64>),
}

impl Readers {
    /// Adds a client; tells whether it is new.
    fn add(&mut self, id: u64) -> bool {
        match self {
            Readers::One(first) if *first == id => false,
            Readers::One(first) => {
                *self = Readers::Many(NumberSet::from_iter([*first, id]));
                true
            }
            Readers::Many(all) => all.insert(id),
        }
    }

    fn len(&self) -> usize {
        match self {
            Readers::One(_) => 1,
            Readers::Many(all) => all.len(),
        }
    }

    /// Their numbers, in the order in which the clients came.
    fn ids(&self) -> Vec<u64> {
        match self {
            Readers::One(id) => vec![*id],
            Readers::Many(all) => {
                let mut ids: Vec<u64> = all.iter().copied().collect();
                ids.sort_unstable();
                ids
            }
        }
    }
}

/// The clients that broadcast by one prefix, and what has changed since they were told.
#[derive(Default)]
struct Prefix {
    clients: BTreeSet<u64>,
    /// By key, the client that changed it last; none if the key expired.
    changed: BTreeMap<Vec<u8>, Option<u64>>,
}

/// A key that clients have read.
struct Entry {
    hash: u64,
    key: Box<[u8]>,
    readers: Readers,
}

/// Every client that tracks, and what they have read.
pub struct Tracking {
    trackers: NumberMap<u64, Tracker>,
    seed: HashSeed,
    /// By the key's hash, the place in `entries`. It owns no keys, so that it goes at once when databases are emptied.
    places: NumberMap<u64, u32>,
    /// Dense, so that one can be picked at random.
    entries: Vec<Entry>,
    /// What was forgotten all at once, to be freed bit by bit.
    garbage: Vec<Vec<Entry>>,
    /// Readers of all keys.
    items: usize,
    prefixes: SeededMap<Vec<u8>, Prefix>,
    /// How many prefixes there are of each length.
    prefix_lengths: BTreeMap<usize, usize>,
    /// Prefixes of which keys have changed.
    to_broadcast: BTreeSet<Vec<u8>>,
}

impl Tracking {
    /// No client tracks yet.
    pub fn new(seed: &HashSeed) -> Tracking {
        Tracking {
            trackers: NumberMap::default(),
            seed: seed.clone(),
            places: NumberMap::default(),
            entries: Vec::new(),
            garbage: Vec::new(),
            items: 0,
            prefixes: seed.map(),
            prefix_lengths: BTreeMap::new(),
            to_broadcast: BTreeSet::new(),
        }
    }

    /// The state of a client that tracks.
    pub fn tracker(&self, id: u64) -> Option<&Tracker> {
        self.trackers.get(&id)
    }

    /// The same, to be changed.
    pub fn tracker_mut(&mut self, id: u64) -> Option<&mut Tracker> {
        self.trackers.get_mut(&id)
    }

    /// Number of clients that track.
    pub fn clients(&self) -> usize {
        self.trackers.len()
    }

    /// Number of keys remembered, of readers of all of them, and of prefixes.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.entries.len(), self.items, self.prefixes.len())
    }

    /// Whether changes of keys must be told at all.
    pub fn is_empty(&self) -> bool {
        self.trackers.is_empty()
    }

    /// Has a client track, or track otherwise than so far. The prefixes of one that broadcasts are added to those it
    /// has. Gives the memory that this takes in addition, in bytes.
    pub fn enable(&mut self, id: u64, token: Token, options: TrackingOptions) -> usize {
        let mut added_bytes = 0;
        let before = self.trackers.remove(&id);
        let mut prefixes = before.map(|before| before.prefixes).unwrap_or_default();
        if options.mode == TrackingMode::Broadcast {
            let mut wanted = options.prefixes;
            if wanted.is_empty() {
                wanted.push(Vec::new());
            }
            for prefix in wanted {
                self.add_prefix(id, &prefix);
                let bytes = 2 * prefix.len() + PREFIX_BYTES;
                added_bytes += usize::from(prefixes.insert(prefix)) * bytes;
            }
        }
        let tracker = Tracker {
            token,
            mode: options.mode,
            no_loop: options.no_loop,
            redirect: options.redirect,
            is_broken: false,
            caching: false,
            prefixes,
        };
        self.trackers.insert(id, tracker);
        added_bytes
    }

    /// A client no longer tracks. What it has read stays in the table until it changes, or until no client tracks any
    /// more: then changes are not looked up either.
    pub fn disable(&mut self, id: u64) {
        let Some(tracker) = self.trackers.remove(&id) else {
            return;
        };
        for prefix in &tracker.prefixes {
            self.remove_prefix(id, prefix);
        }
        if self.trackers.is_empty() {
            self.forget_all();
        }
    }

    /// Clears the table of readers; a job frees it.
    fn forget_all(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        self.places = NumberMap::default();
        self.garbage.push(std::mem::take(&mut self.entries));
        self.items = 0;
    }

    fn add_prefix(&mut self, id: u64, prefix: &[u8]) {
        if !self.prefixes.contains_key(prefix) {
            *self.prefix_lengths.entry(prefix.len()).or_default() += 1;
        }
        let entry = self.prefixes.entry(prefix.to_vec()).or_default();
        entry.clients.insert(id);
    }

    fn remove_prefix(&mut self, id: u64, prefix: &[u8]) {
        let Some(entry) = self.prefixes.get_mut(prefix) else {
            return;
        };
        entry.clients.remove(&id);
        if !entry.clients.is_empty() {
            return;
        }
        self.prefixes.remove(prefix);
        self.to_broadcast.remove(prefix);
        let left = self.prefix_lengths.entry(prefix.len()).or_default();
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.prefix_lengths.remove(&prefix.len());
        }
    }

    /// Whether the keys that the present command reads are to be tracked.
    pub fn wants_keys(&self, id: u64) -> bool {
        self.trackers.get(&id).is_some_and(|tracker| match tracker.mode {
            TrackingMode::All => true,
            TrackingMode::OptIn => tracker.caching,
            TrackingMode::OptOut => !tracker.caching,
            TrackingMode::Broadcast => false,
        })
    }

    /// A client has read a key. O(1).
    pub fn remember(&mut self, clients: &mut Clients, id: u64, key: &[u8]) {
        let hash = self.seed.hash(key);
        match self.places.get(&hash) {
            Some(place) if *self.entries[*place as usize].key == *key => {
                let readers = &mut self.entries[*place as usize].readers;
                self.items += usize::from(readers.add(id));
                return;
            }
            // Two keys of one hash, which hardly ever happens: there is room for the later one.
            Some(place) => self.give_up(clients, *place as usize),
            None => {}
        }
        self.places.insert(hash, self.entries.len() as u32);
        self.entries.push(Entry { hash, key: key.into(), readers: Readers::One(id) });
        self.items += 1;
    }

    /// Removes and returns a key's readers.
    fn forget(&mut self, key: &[u8]) -> Option<Readers> {
        let place = *self.places.get(&self.seed.hash(key))? as usize;
        let is_it = *self.entries[place].key == *key;
        is_it.then(|| self.take(place).readers)
    }

    fn take(&mut self, place: usize) -> Entry {
        let entry = self.entries.swap_remove(place);
        self.places.remove(&entry.hash);
        if let Some(moved) = self.entries.get(place) {
            self.places.insert(moved.hash, place as u32);
        }
        self.items -= entry.readers.len();
        entry
    }

    /// Forgets a key that has not changed; its readers are told as if it had.
    fn give_up(&mut self, clients: &mut Clients, place: usize) {
        let Entry { key, readers, .. } = self.take(place);
        self.tell_readers(clients, &key, &readers, None);
    }

    /// Notes for the prefixes that a key begins with that it has changed. O(lengths of prefixes).
    fn note_change(&mut self, key: &[u8], by: Option<u64>) {
        for length in self.prefix_lengths.keys() {
            let Some(beginning) = key.get(..*length) else {
                return;
            };
            if let Some(prefix) = self.prefixes.get_mut(beginning) {
                if prefix.changed.is_empty() {
                    self.to_broadcast.insert(beginning.to_vec());
                }
                prefix.changed.insert(key.to_vec(), by);
            }
        }
    }

    /// Tells a client, or the one that it names, what it can no longer rely on. `write` writes that.
    fn push(&mut self, clients: &mut Clients, id: u64, write: impl Fn(&mut Reply)) {
        let Some(tracker) = self.trackers.get_mut(&id) else {
            return;
        };
        let Some(redirect) = tracker.redirect else {
            return clients.push_invalidation(tracker.token, |reply| {
                // In RESP2 nothing but a subscriber can be told anything but a reply.
                if reply.protocol() == Protocol::Resp3 {
                    write_head(reply);
                    write(reply);
                }
            });
        };
        match clients.find(redirect) {
            Some(target) => clients.push_invalidation(target, |reply| {
                write_head(reply);
                write(reply);
            }),
            None => {
                tracker.is_broken = true;
                clients.push_invalidation(tracker.token, |reply| {
                    if reply.protocol() == Protocol::Resp3 {
                        reply.push(2);
                        reply.bulk(b"tracking-redir-broken");
                        reply.integer(redirect as i64);
                    }
                });
            }
        }
    }

    /// A key has changed: the clients that have read it are told, and the key is forgotten. `actor` is who runs a
    /// command just now, `by` who has changed it.
    pub fn invalidate(&mut self, clients: &mut Clients, key: &[u8], actor: Option<u64>, by: Option<u64>) {
        self.note_change(key, by);
        if let Some(readers) = self.forget(key) {
            self.tell_readers(clients, key, &readers, actor);
        }
    }

    fn tell_readers(&mut self, clients: &mut Clients, key: &[u8], readers: &Readers, actor: Option<u64>) {
        for id in readers.ids() {
            let is_told = self.trackers.get(&id).is_some_and(|tracker| {
                tracker.mode != TrackingMode::Broadcast && !(tracker.no_loop && actor == Some(id))
            });
            if is_told {
                self.push(clients, id, |reply| {
                    reply.array(1);
                    reply.bulk(key);
                });
            }
        }
    }

    /// Databases were emptied: every client that tracks is told to forget everything. O(clients, keys).
    pub fn invalidate_all(&mut self, clients: &mut Clients) {
        let mut ids: Vec<u64> = self.trackers.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            self.push(clients, id, Reply::null);
        }
        self.forget_all();
    }

    /// Whether anything waits to be freed.
    #[inline]
    pub fn has_garbage(&self) -> bool {
        !self.garbage.is_empty()
    }

    /// Frees so many forgotten keys; tells whether there are more.
    pub fn reclaim_step(&mut self, keys: usize) -> bool {
        if let Some(entries) = self.garbage.last_mut() {
            entries.truncate(entries.len().saturating_sub(keys));
            if entries.is_empty() {
                self.garbage.pop();
            }
        }
        self.has_garbage()
    }

    /// Forgets keys at random until there are no more than `most` (0: no limit), but no more than `effort` of them.
    pub fn limit(&mut self, clients: &mut Clients, random: &mut fastrand::Rng, most: u64, effort: usize) {
        for _ in 0..effort {
            if most == 0 || self.entries.len() as u64 <= most {
                return;
            }
            self.give_up(clients, random.usize(..self.entries.len()));
        }
    }

    /// Tells the clients that track by prefixes which keys have changed since they were told last.
    #[inline]
    pub fn broadcast(&mut self, clients: &mut Clients) {
        if !self.to_broadcast.is_empty() {
            self.broadcast_changed(clients);
        }
    }

    fn broadcast_changed(&mut self, clients: &mut Clients) {
        for prefix in std::mem::take(&mut self.to_broadcast) {
            let Some(entry) = self.prefixes.get_mut(&prefix) else {
                continue;
            };
            let changed = std::mem::take(&mut entry.changed);
            // Encoded once for all clients but those with NOLOOP that have changed one of the keys.
            let all = keys(changed.keys());
            for id in entry.clients.iter().copied().collect::<Vec<_>>() {
                let no_loop = self.tracker(id).is_some_and(|tracker| tracker.no_loop);
                if no_loop && changed.values().any(|by| *by == Some(id)) {
                    let others = changed.iter().filter(|(_, by)| **by != Some(id));
                    let others: Vec<_> = others.map(|(key, _)| key).collect();
                    if !others.is_empty() {
                        let form = keys(others.into_iter());
                        self.push(clients, id, |reply| reply.append(&form));
                    }
                } else {
                    self.push(clients, id, |reply| reply.append(&all));
                }
            }
        }
    }
}

/// What comes before the keys.
fn write_head(reply: &mut Reply) {
    if reply.protocol() == Protocol::Resp3 {
        reply.push(2);
        reply.bulk(b"invalidate");
    } else {
        reply.array(3);
        reply.bulk(b"message");
        reply.bulk(CHANNEL);
    }
}

/// An array of keys, which is the same in both protocols.
fn keys<'a>(keys: impl ExactSizeIterator<Item = &'a Vec<u8>>) -> Reply {
    let mut form = Reply::default();
    form.array(keys.len());
    keys.for_each(|key| form.bulk(key));
    form
}
