//! Clients that wait for keys: for which keys, in which order, and until when.
//!
//! ```text
//! a handler finds nothing    Context::block_on_keys → Blocking::add      a place before each key, a deadline
//! a command changes a key    Changes → effects::changes → Blocking::signal
//! that command is over       effects::changes → wake::serve_key          the first in the queue is served first:
//!                              → call::resume                            its request runs again
//! the deadline passes        wake::run_timeouts → wake::end              likewise CLIENT UNBLOCK
//! time alone may serve it    Context::look_again_at → Blocking::look_again_at, wake::run_timeouts → call::resume
//! ```
//!
//! A request that runs again either is served, and the client leaves all its queues, or finds nothing again: then the
//! client keeps its places and its deadline. Never decides what a request is to get: the command's own handler does.

pub mod queue;

use std::collections::{BTreeMap, VecDeque};

use smallvec::SmallVec;

use crate::engine::key_sizes::KeySizes;
use crate::engine::session::Session;
use crate::keyspace::{Changes, ObservedKeyId};
use crate::net::token::Token;

pub use crate::engine::blocked_state::{BlockKind, BlockRequest, BlockedState};
use queue::Queues;

/// How safe what was written is: what clients that wait for that look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Safety {
    /// What is on the disk, and whether that is all.
    pub disk: (u64, bool),
    /// Counts the acknowledgements of replicas.
    pub news: u64,
    /// Whether this server is a replica itself: then there is nothing to wait for.
    pub is_replica: bool,
}

/// All clients that wait for keys.
#[derive(Default)]
pub struct Blocking {
    pub(crate) queues: Queues,
    /// Keys to be served, in the order in which they became ready.
    pub(crate) ready: VecDeque<ObservedKeyId>,
    /// By deadline and the client's number.
    pub(crate) deadlines: BTreeMap<(i64, u64), Token>,
    /// Likewise, those whose requests run again at a time.
    pub(crate) looks: BTreeMap<(i64, u64), Token>,
    /// The clients that wait for the disk or for replicas; some may have gone.
    pub(crate) for_disk: Vec<Token>,
    /// The sizes of keys, and the clients that wait for them.
    pub key_sizes: KeySizes,
    /// What was safe when they were last looked at.
    pub(crate) seen: Safety,
}

impl Blocking {
    /// Has a client wait. O(keys); O(log clients) with a deadline.
    pub fn add<'k>(
        &mut self,
        changes: &mut Changes,
        session: &mut Session,
        wish: BlockRequest<impl IntoIterator<Item = &'k [u8]>>,
    ) {
        let mut places = SmallVec::new();
        for key in wish.keys {
            let id = changes.acquire_interest(wish.database, key);
            // A client that names a key twice stands in its queue once.
            if self.queues.last(id) == Some(session.token) {
                changes.release_interest(id);
                continue;
            }
            places.push(self.queues.append(id, session.token, wish.kind));
        }
        if let Some(deadline_ms) = wish.deadline_ms {
            self.deadlines.insert((deadline_ms, session.id), session.token);
        }
        session.waiting = Some(Box::new(BlockedState {
            request: wish.request,
            command: wish.command,
            deadline_ms: wish.deadline_ms,
            look_ms: None,
            ticks: 0,
            has_run: false,
            answers_late: matches!(wish.kind, BlockKind::Disk | BlockKind::KeySizes),
            waits_at_replica: wish.kind == BlockKind::KeySizes,
            places,
        }));
    }

    /// Has the request of a client that waits run again at this time, in ms since the epoch, whatever it was before
    /// (none: only when a key changes). O(log clients).
    pub fn look_again_at(&mut self, session: &mut Session, look_ms: Option<i64>) {
        let Some(waiting) = &mut session.waiting else {
            return;
        };
        if let Some(before_ms) = std::mem::replace(&mut waiting.look_ms, look_ms) {
            self.looks.remove(&(before_ms, session.id));
        }
        if let Some(look_ms) = look_ms {
            self.looks.insert((look_ms, session.id), session.token);
        }
    }

    /// Has the request of a client that waits run again when more is on the disk.
    pub fn wait_for_disk(&mut self, session: &Session) {
        self.for_disk.push(session.token);
    }

    /// Whether clients that wait for the disk, or for replicas, are to be looked at: more is safe than before, or
    /// nothing more will be.
    #[inline]
    pub fn is_safety_due(&self, safety: Safety) -> bool {
        safety != self.seen
    }

    /// Takes a client out of all its queues; gives what it waited with. O(its keys).
    pub fn remove(&mut self, changes: &mut Changes, session: &mut Session) -> Option<Box<BlockedState>> {
        let waiting = session.waiting.take()?;
        for place in &waiting.places {
            changes.release_interest(self.queues.remove(*place));
        }
        if let Some(deadline_ms) = waiting.deadline_ms {
            self.deadlines.remove(&(deadline_ms, session.id));
        }
        if let Some(look_ms) = waiting.look_ms {
            self.looks.remove(&(look_ms, session.id));
        }
        Some(waiting)
    }

    /// An observed key has changed: clients that wait for it may be served.
    pub fn signal(&mut self, key: ObservedKeyId) {
        if self.queues.signal(key) {
            self.ready.push_back(key);
        }
    }

    /// Signals every key that a client waits for. O(those keys).
    pub(crate) fn signal_all(&mut self) {
        let keys: Vec<ObservedKeyId> = self.waited_for().collect();
        keys.into_iter().for_each(|key| self.signal(key));
    }

    /// Every key that a client waits for. O(these keys).
    pub(crate) fn waited_for(&self) -> impl Iterator<Item = ObservedKeyId> {
        self.queues.waited_for().map(|(key, _)| key)
    }

    /// The clients that wait for a key, the first come first.
    pub(crate) fn clients_of(&self, key: ObservedKeyId) -> Vec<Token> {
        self.queues.clients(key).collect()
    }

    /// Whether any key is to be served.
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next key to be served; `served` says that it has been.
    pub fn next_ready(&mut self) -> Option<ObservedKeyId> {
        self.ready.pop_front()
    }

    /// A key has been served, and its changes up to now are known.
    pub fn served(&mut self, key: ObservedKeyId) {
        self.queues.forget_signal(key);
    }

    /// Whether any client waits for a time.
    #[inline]
    pub fn has_deadlines(&self) -> bool {
        !self.deadlines.is_empty() || !self.looks.is_empty()
    }

    /// Whether any client waits for the disk; it may have gone.
    #[inline]
    pub fn has_disk_waiters(&self) -> bool {
        !self.for_disk.is_empty()
    }

    /// When there is something to do next because of the time, in ms since the epoch.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        let first = |times: &BTreeMap<(i64, u64), Token>| Some(times.first_key_value()?.0.0);
        let times_ms = [first(&self.deadlines), first(&self.looks)];
        times_ms.into_iter().flatten().min()
    }

    /// Those whose requests are to run again by now. O(those).
    pub(crate) fn due_looks(&self, now_ms: i64) -> Vec<Token> {
        let due = self.looks.range(..=(now_ms, u64::MAX));
        due.map(|(_, token)| *token).collect()
    }

    /// A client whose deadline has passed, which is forgotten. O(log clients).
    pub(crate) fn next_overdue(&mut self, now_ms: i64) -> Option<Token> {
        let first = self.deadlines.first_entry()?;
        // In the millisecond of the deadline the time is not over: it may have begun late in one.
        (first.key().0 < now_ms).then(|| first.remove())
    }

    /// Number of clients with a deadline.
    pub fn deadlines(&self) -> usize {
        self.deadlines.len()
    }

    /// Number of keys that clients wait for, and of those whose deletion wakes a client. O(these keys).
    pub fn keys(&self) -> (usize, usize) {
        let told_of_going = |counts: &[u32; BlockKind::COUNT]| {
            let kinds = BlockKind::ALL.iter().filter(|kind| counts[**kind as usize] > 0);
            kinds.into_iter().any(|kind| kind.takes(None))
        };
        self.queues
            .waited_for()
            .fold((0, 0), |(all, told), (_, counts)| (all + 1, told + usize::from(told_of_going(counts))))
    }
}
