//! The queues before the keys that clients wait for: doubly linked, so that leaving one costs the same at any place.

use slab::Slab;

use crate::keyspace::ObservedKeyId;
use crate::net::token::Token;

use crate::engine::blocked_state::BlockKind;

/// No place: the end of a queue.
const NONE: u32 = u32::MAX;

/// One client's place before one key.
struct Place {
    key: ObservedKeyId,
    client: Token,
    kind: BlockKind,
    previous: u32,
    next: u32,
}

/// The clients that wait for one key.
#[derive(Clone, Copy)]
struct Queue {
    first: u32,
    last: u32,
    /// The client that is looked at next while the key is being served.
    next_served: u32,
    /// How many wait, by kind.
    counts: [u32; BlockKind::COUNT],
    /// Whether the key is among those to be served, or being served.
    is_signalled: bool,
}

const EMPTY: Queue =
    Queue { first: NONE, last: NONE, next_served: NONE, counts: [0; BlockKind::COUNT], is_signalled: false };

/// The queues of all keys that clients wait for.
#[derive(Default)]
pub(crate) struct Queues {
    /// Parallel to the wanted keys.
    queues: Vec<Queue>,
    places: Slab<Place>,
}

impl Queues {
    /// Adds a client at the end of a queue; gives its place. O(1).
    pub fn append(&mut self, key: ObservedKeyId, client: Token, kind: BlockKind) -> u32 {
        if self.queues.len() <= key.index() {
            self.queues.resize(key.index() + 1, EMPTY);
        }
        let queue = &mut self.queues[key.index()];
        let place = self.places.insert(Place { key, client, kind, previous: queue.last, next: NONE }) as u32;
        match self.places.get_mut(queue.last as usize) {
            Some(last) => last.next = place,
            None => queue.first = place,
        }
        queue.last = place;
        queue.counts[kind as usize] += 1;
        place
    }

    /// Takes a place out of its queue; tells which one that is. O(1).
    pub fn remove(&mut self, place: u32) -> ObservedKeyId {
        let Place { key, kind, previous, next, .. } = self.places.remove(place as usize);
        let queue = &mut self.queues[key.index()];
        match self.places.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => queue.first = next,
        }
        match self.places.get_mut(next as usize) {
            Some(next) => next.previous = previous,
            None => queue.last = previous,
        }
        if queue.next_served == place {
            queue.next_served = next;
        }
        queue.counts[kind as usize] -= 1;
        if queue.first == NONE {
            *queue = EMPTY;
        }
        key
    }

    /// The client that came last to a key.
    pub fn last(&self, key: ObservedKeyId) -> Option<Token> {
        let queue = self.queues.get(key.index())?;
        Some(self.places.get(queue.last as usize)?.client)
    }

    /// Notes that a key is to be served; returns whether that is new and a client waits for it.
    pub fn signal(&mut self, key: ObservedKeyId) -> bool {
        match self.queues.get_mut(key.index()) {
            Some(queue) if queue.first != NONE => !std::mem::replace(&mut queue.is_signalled, true),
            _ => false,
        }
    }

    /// The key has been served.
    pub fn forget_signal(&mut self, key: ObservedKeyId) {
        self.queues[key.index()].is_signalled = false;
    }

    /// Begins to serve a key, from the front.
    pub fn begin(&mut self, key: ObservedKeyId) {
        let queue = &mut self.queues[key.index()];
        queue.next_served = queue.first;
    }

    /// The next client that waits for what a key of this type (`None`: no key) has. O(1) if there is none, else
    /// O(clients passed over).
    pub fn next(&mut self, key: ObservedKeyId, type_name: Option<&str>) -> Option<Token> {
        let queue = &mut self.queues[key.index()];
        let waits = |kind: &BlockKind| queue.counts[*kind as usize] > 0 && kind.takes(type_name);
        if !BlockKind::ALL.iter().any(waits) {
            return None;
        }
        while let Some(place) = self.places.get(queue.next_served as usize) {
            queue.next_served = place.next;
            if place.kind.takes(type_name) {
                return Some(place.client);
            }
        }
        None
    }

    /// The clients that wait for a key, the first come first.
    pub fn clients(&self, key: ObservedKeyId) -> impl Iterator<Item = Token> {
        let first = self.queues.get(key.index()).and_then(|queue| self.places.get(queue.first as usize));
        let places = std::iter::successors(first, |place| self.places.get(place.next as usize));
        places.map(|place| place.client)
    }

    /// Every key that clients wait for, with the kinds of value they wait for. O(these keys).
    pub fn waited_for(&self) -> impl Iterator<Item = (ObservedKeyId, &[u32; BlockKind::COUNT])> {
        let queues = self.queues.iter().filter(|queue| queue.first != NONE);
        queues.map(|queue| (self.places[queue.first as usize].key, &queue.counts))
    }
}
