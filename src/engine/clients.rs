//! The sessions of all clients, in a slab with generation-checked tokens.
//!
//! Never holds a socket: the connections stand in a slab of their own, under the same tokens.

use std::ops::Range;
use std::rc::Rc;

use slab::Slab;

use crate::acl::User;
use crate::collections::hash::NumberMap;
use crate::collections::table::prefetch;
use crate::engine::origin::Origin;
use crate::engine::session::{Blocked, Close, Mode, Session, Token};
use crate::net::address::Address;
use crate::resp::{Protocol, Reply};

/// Every client's session. One that is being served is out on loan, so that a handler can work on
/// it and on the others side by side.
#[derive(Default)]
pub struct Clients {
    slots: Slab<Slot>,
    by_id: NumberMap<u64, Token>,
    next_id: u64,
    next_generation: u32,
    monitors: Vec<Token>,
    to_flush: Vec<Token>,
    to_close: Vec<Token>,
    /// Clients to be closed that were being served when the closing was requested.
    to_close_later: Vec<Token>,
    /// No longer waiting for a key.
    to_resume: Vec<Token>,
    /// Held back by CLIENT PAUSE, in the order in which they will be served.
    paused: Vec<Token>,
    /// How many of those have left meanwhile.
    paused_gone: usize,
    /// Limit of the memory of all clients together, in bytes; 0: none, and nothing is counted.
    memory_limit_bytes: usize,
    /// What all clients were counted with, and those of them that may be evicted.
    counted_bytes: usize,
    evictable_bytes: usize,
    /// What clients were told while they were out on loan.
    deferred_pushes: Vec<DeferredPush>,
    /// Those whose replies have grown large by what they were told.
    over_output_limit: Vec<Token>,
}

/// Told to a client whose replies are written to just now, and not by whom tells it.
struct DeferredPush {
    token: Token,
    /// In either protocol.
    forms: [Reply; 2],
    rank: Rank,
}

/// In which order a client gets what it is told during its own command: after the reply to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    Message,
    /// That it must forget a key: when it has read everything of what has changed the key. In RESP2 this can be told
    /// only to a client that listens to something.
    Invalidation,
}

/// From this size on what waits for a client that is told something is held against the limits, in bytes.
const OUTPUT_CHECK_BYTES: usize = 256 * 1024;

struct Slot {
    token: Token,
    /// None while it is on loan.
    session: Option<Box<Session>>,
}

impl Clients {
    /// Adds a client that has just come.
    pub fn add(&mut self, address: Address, now_ms: i64, user: Rc<User>) -> Token {
        let id = self.take_id();
        // 31 bits, so that a token fits a poll token beside the listeners' at the top.
        self.next_generation = (self.next_generation + 1) & 0x7fff_ffff;
        let entry = self.slots.vacant_entry();
        let token = Token { slot: entry.key() as u32, generation: self.next_generation };
        let session = Box::new(Session::new(id, token, address, now_ms, user, Origin::Client));
        self.by_id.insert(session.id, token);
        entry.insert(Slot { token, session: Some(session) });
        token
    }

    /// A number that no other client has.
    pub fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Removes a client that is not on loan.
    pub fn remove(&mut self, token: Token) -> Option<Box<Session>> {
        let mut session = self.checkout(token)?;
        self.recount(&mut session, 0);
        self.slots.remove(token.slot as usize);
        self.by_id.remove(&session.id);
        if session.mode == Mode::Monitor {
            self.monitors.retain(|monitor| *monitor != token);
        }
        if session.blocked == Some(Blocked::Paused) {
            self.forget_postponed();
        }
        Some(session)
    }

    /// One that a pause holds back has left. The list is cleared of such when they are half of it:
    /// ten thousand clients that leave at once must not have it searched ten thousand times.
    fn forget_postponed(&mut self) {
        self.paused_gone += 1;
        if self.paused_gone * 2 > self.paused.len() {
            let mut paused = std::mem::take(&mut self.paused);
            paused.retain(|token| self.contains(*token));
            self.paused = paused;
            self.paused_gone = 0;
        }
    }

    /// Number of clients.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no client.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Checks a session out to be served; until `checkin` a search for it finds none.
    #[inline]
    pub fn checkout(&mut self, token: Token) -> Option<Box<Session>> {
        self.slot_mut(token)?.session.take()
    }

    /// Takes a session back.
    #[inline]
    pub fn checkin(&mut self, mut session: Box<Session>) {
        if !self.deferred_pushes.is_empty() {
            let mut reply = std::mem::take(&mut session.reply);
            if self.deliver_deferred_pushes(&session, &mut reply) {
                self.queue_flush(&mut session);
            }
            session.reply = reply;
        }
        if let Some(slot) = self.slots.get_mut(session.token.slot as usize) {
            slot.session = Some(session);
        }
    }

    /// The session of that token, unless it is gone or on loan.
    #[inline]
    pub fn get_mut(&mut self, token: Token) -> Option<&mut Session> {
        self.slot_mut(token)?.session.as_deref_mut()
    }

    /// The session of that token, unless it is gone or on loan.
    pub fn get(&self, token: Token) -> Option<&Session> {
        self.slot(token)?.session.as_deref()
    }

    /// Whether that client still is there (on loan or not).
    #[inline]
    pub fn contains(&self, token: Token) -> bool {
        self.slot(token).is_some()
    }

    /// The client's slot, unless the client is gone: another may have its place, but never its
    /// generation.
    #[inline]
    fn slot(&self, token: Token) -> Option<&Slot> {
        let slot = self.slots.get(token.slot as usize)?;
        (slot.token.generation == token.generation).then_some(slot)
    }

    #[inline]
    fn slot_mut(&mut self, token: Token) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(token.slot as usize)?;
        (slot.token.generation == token.generation).then_some(slot)
    }

    /// The first client from a slot on, around the end; the slot moves on behind it.
    pub fn next_after(&mut self, slot: &mut usize) -> Option<Token> {
        for _ in 0..2 {
            while *slot < self.slots.capacity() {
                *slot += 1;
                if let Some(found) = self.slots.get(*slot - 1) {
                    return Some(found.token);
                }
            }
            *slot = 0;
        }
        None
    }

    /// How many places there are: more than the highest that a client has.
    pub fn places(&self) -> usize {
        self.slots.capacity()
    }

    /// The clients in some places, but for those on loan: to go through all of them in pieces.
    pub fn in_places(&self, places: Range<usize>) -> impl Iterator<Item = &Session> {
        places.filter_map(|place| self.slots.get(place)?.session.as_deref())
    }

    /// The token of the client with that id.
    pub fn find(&self, id: u64) -> Option<Token> {
        self.by_id.get(&id).copied()
    }

    /// Every session that is not on loan.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.slots.iter().filter_map(|(_, slot)| slot.session.as_deref())
    }

    /// The tokens of all clients.
    pub fn tokens(&self) -> Vec<Token> {
        self.slots.iter().map(|(_, slot)| slot.token).collect()
    }

    /// Sets the limit of the memory of all clients together, in bytes; 0: none. O(clients) if it is another one.
    pub fn set_memory_limit(&mut self, limit_bytes: usize) {
        if std::mem::replace(&mut self.memory_limit_bytes, limit_bytes) == limit_bytes {
            return;
        }
        for token in self.tokens() {
            self.count_memory(token);
        }
    }

    /// Whether the memory of all clients together is limited.
    #[inline]
    pub fn has_memory_limit(&self) -> bool {
        self.memory_limit_bytes > 0
    }

    /// Counts a client's memory anew, if there is a limit and it is not on loan. O(1).
    #[inline]
    pub fn count_memory(&mut self, token: Token) {
        if self.memory_limit_bytes > 0
            && let Some(mut session) = self.checkout(token)
        {
            self.count_memory_of(&mut session);
            self.checkin(session);
        }
    }

    /// Counts the memory of a client that is checked out. O(1).
    #[inline]
    pub fn count_memory_of(&mut self, session: &mut Session) {
        if self.memory_limit_bytes > 0 {
            let bytes = match session.close {
                // It goes, whatever happens to the others.
                Close::Now => 0,
                Close::No | Close::AfterReply => session.total_memory(),
            };
            self.recount(session, bytes);
        }
    }

    fn recount(&mut self, session: &mut Session, bytes: usize) {
        let before = std::mem::replace(&mut session.counted_bytes, bytes);
        self.counted_bytes = self.counted_bytes - before + bytes;
        if session.counted_evictable {
            self.evictable_bytes -= before;
        }
        session.counted_evictable = !session.no_evict && session.mode != Mode::Replica;
        if session.counted_evictable {
            self.evictable_bytes += bytes;
        }
    }

    /// Whether all clients' memory has reached the limit, and some client may be evicted for that. O(1).
    #[inline]
    pub fn memory_limit_reached(&self) -> bool {
        self.memory_limit_bytes > 0 && self.counted_bytes >= self.memory_limit_bytes && self.evictable_bytes > 0
    }

    /// Asks the loop to send what waits for a client.
    #[inline]
    pub fn queue_flush(&mut self, session: &mut Session) {
        if !session.flush_queued {
            session.flush_queued = true;
            self.to_flush.push(session.token);
        }
    }

    /// Lets `write` add to the replies of a client that is not on loan, and has them sent.
    pub fn flush_after(&mut self, token: Token, write: impl FnOnce(&mut Session)) {
        let Some(session) = self.get_mut(token) else {
            return;
        };
        write(session);
        if !session.flush_queued {
            session.flush_queued = true;
            self.to_flush.push(token);
        }
    }

    /// Tells a client something that is no reply: now, or if it is being served, after the reply to its command.
    /// Clients that want no replies are told as well.
    #[inline]
    pub fn push(&mut self, token: Token, mut write: impl FnMut(&mut Reply)) {
        match self.slot_mut(token) {
            None => {}
            Some(Slot { session: Some(session), .. }) => {
                if session.close == Close::Now {
                    return;
                }
                write(&mut session.reply);
                let is_large = session.reply.len() > OUTPUT_CHECK_BYTES;
                if !session.flush_queued {
                    session.flush_queued = true;
                    self.to_flush.push(token);
                }
                if is_large {
                    self.over_output_limit.push(token);
                }
            }
            Some(Slot { session: None, .. }) => self.defer_push(token, Rank::Message, write),
        }
    }

    /// Fetches what `push` needs of a client into the cache.
    #[inline]
    pub fn prefetch(&self, token: Token) {
        if let Some(session) = self.get(token) {
            prefetch((&raw const session.reply).cast());
            prefetch((&raw const session.close).cast());
            prefetch((&raw const session.flush_queued).cast());
        }
    }

    /// Fetches the end of a client's replies into the cache; the client itself should be there by now.
    #[inline]
    pub fn prefetch_reply(&self, token: Token) {
        if let Some(session) = self.get(token) {
            prefetch(session.reply.end());
        }
    }

    /// Tells a client that it must forget keys; in RESP2 only if it listens to something.
    pub fn push_invalidation(&mut self, token: Token, write: impl FnMut(&mut Reply)) {
        match self.slot_mut(token) {
            None => {}
            Some(Slot { session: None, .. }) => self.defer_push(token, Rank::Invalidation, write),
            Some(Slot { session: Some(session), .. }) => {
                let is_resp3 = session.reply.protocol() == Protocol::Resp3;
                if is_resp3 || session.subscriptions.is_some() {
                    self.push(token, write);
                }
            }
        }
    }

    /// Tells a client something after the reply to its present command.
    #[cold]
    pub fn defer_push(&mut self, token: Token, rank: Rank, mut write: impl FnMut(&mut Reply)) {
        let forms = [Protocol::Resp2, Protocol::Resp3].map(|protocol| {
            let mut form = Reply::new(protocol);
            write(&mut form);
            form
        });
        self.deferred_pushes.push(DeferredPush { token, forms, rank });
    }

    /// Whether any client has messages that follow its reply.
    #[inline]
    pub fn has_deferred_pushes(&self) -> bool {
        !self.deferred_pushes.is_empty()
    }

    /// Appends the messages that were deferred for a client to its replies; returns whether there were any. O(all
    /// deferred messages).
    #[cold]
    pub fn deliver_deferred_pushes(&mut self, session: &Session, reply: &mut Reply) -> bool {
        let before = self.deferred_pushes.len();
        let is_own = |pushed: &mut DeferredPush| pushed.token == session.token;
        let mut own: Vec<DeferredPush> = self.deferred_pushes.extract_if(.., is_own).collect();
        own.sort_by_key(|pushed| pushed.rank);
        for DeferredPush { forms, rank, .. } in &own {
            match reply.protocol() {
                Protocol::Resp3 => reply.append(&forms[1]),
                Protocol::Resp2 if *rank == Rank::Message || session.subscriptions.is_some() => {
                    reply.append(&forms[0]);
                }
                Protocol::Resp2 => {}
            }
        }
        self.deferred_pushes.len() < before
    }

    /// Whether the replies of any client have grown large by what it was told.
    #[inline]
    pub fn has_over_output_limit(&self) -> bool {
        !self.over_output_limit.is_empty()
    }

    /// Returns and clears the list of these clients.
    pub fn take_over_output_limit(&mut self) -> Vec<Token> {
        std::mem::take(&mut self.over_output_limit)
    }

    /// Asks the loop to close a client's connection (its `close` field says how).
    pub fn queue_close(&mut self, token: Token) {
        self.to_close.push(token);
    }

    /// Has a client's connection closed that is not on loan.
    pub fn kill(&mut self, token: Token) {
        if let Some(session) = self.get_mut(token) {
            session.close = Close::Now;
            self.to_close.push(token);
        }
    }

    /// Closes a client's connection once its session is no longer on loan.
    pub fn close_soon(&mut self, token: Token) {
        match self.get_mut(token) {
            Some(_) => self.kill(token),
            None => self.to_close_later.push(token),
        }
    }

    /// Closes the connections that were on loan when the closing was requested.
    pub fn close_asked_later(&mut self) {
        std::mem::take(&mut self.to_close_later).into_iter().for_each(|token| self.kill(token));
    }

    /// The clients that have something to be sent, for the loop.
    pub fn take_to_flush(&mut self, into: &mut Vec<Token>) {
        into.append(&mut self.to_flush);
    }

    /// Whether any client has something to be sent.
    pub fn has_to_flush(&self) -> bool {
        !self.to_flush.is_empty()
    }

    /// Whether any client's connection is to be closed.
    #[inline]
    pub fn has_to_close(&self) -> bool {
        !self.to_close.is_empty()
    }

    /// Whether any client is to be served that no longer waits.
    #[inline]
    pub fn has_to_resume(&self) -> bool {
        !self.to_resume.is_empty()
    }

    /// The clients whose connections are to be closed, for the loop.
    pub fn take_to_close(&mut self) -> Vec<Token> {
        std::mem::take(&mut self.to_close)
    }

    /// Asks the loop to serve what a client has asked for while it waited.
    pub fn queue_resume(&mut self, token: Token) {
        self.to_resume.push(token);
    }

    /// The clients that no longer wait, for the loop.
    pub fn take_to_resume(&mut self) -> Vec<Token> {
        std::mem::take(&mut self.to_resume)
    }

    /// Puts a client among those that see every command.
    pub fn add_monitor(&mut self, session: &mut Session) {
        if session.mode != Mode::Monitor {
            session.mode = Mode::Monitor;
            self.monitors.push(session.token);
        }
    }

    /// Takes it out again, if it was there.
    pub fn remove_monitor(&mut self, session: &mut Session) {
        if session.mode == Mode::Monitor {
            session.mode = Mode::Normal;
            self.monitors.retain(|monitor| *monitor != session.token);
        }
    }

    /// Whether any client monitors.
    #[inline]
    pub fn has_monitors(&self) -> bool {
        !self.monitors.is_empty()
    }

    /// The clients that monitor.
    pub fn monitors(&self) -> Vec<Token> {
        self.monitors.clone()
    }

    /// Notes that a client's next command waits for the end of a pause.
    pub fn pause(&mut self, token: Token) {
        self.paused.push(token);
    }

    /// The clients that a pause holds back, for the loop to serve again.
    pub fn take_paused(&mut self) -> Vec<Token> {
        self.paused_gone = 0;
        std::mem::take(&mut self.paused)
    }

    /// Number of clients that a pause holds back.
    pub fn paused(&self) -> usize {
        self.paused.len() - self.paused_gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::Rights;

    fn added(clients: &mut Clients) -> Token {
        let user = Rc::new(User::new(b"default", Rights::new(true)));
        clients.add(Address::default(), 0, user)
    }

    /// Lists, and events that were taken from the kernel before, still name a client that is gone.
    #[test]
    fn a_token_of_a_client_that_is_gone_does_not_reach_its_successor() {
        let mut clients = Clients::default();
        let gone = added(&mut clients);
        clients.remove(gone);
        let successor = added(&mut clients);
        assert_eq!(gone.slot, successor.slot);
        assert!(!clients.contains(gone) && clients.contains(successor));
        assert!(clients.get(gone).is_none() && clients.get_mut(gone).is_none());
        assert!(clients.checkout(gone).is_none() && clients.remove(gone).is_none());
        clients.push(gone, |reply| reply.raw(b"not for you"));
        clients.push_invalidation(gone, |reply| reply.raw(b"not for you"));
        clients.flush_after(gone, |_| panic!("it is another client's"));
        clients.kill(gone);
        let session = clients.get(successor).expect("it is there");
        assert!(session.reply.is_empty() && session.close == Close::No);
        assert!(!clients.has_to_flush() && clients.take_to_close().is_empty());
    }

    fn paused_client(clients: &mut Clients) -> Token {
        let user = Rc::new(User::new(b"default", Rights::new(true)));
        let token = clients.add(Address::default(), 0, user);
        clients.pause(token);
        if let Some(session) = clients.get_mut(token) {
            session.blocked = Some(Blocked::Paused);
        }
        token
    }

    /// During a long pause clients come and go without end.
    #[test]
    fn the_list_of_those_held_back_does_not_grow_with_those_that_leave() {
        let mut clients = Clients::default();
        let stays: Vec<_> = (0..3).map(|_| paused_client(&mut clients)).collect();
        for _ in 0..1000 {
            let token = paused_client(&mut clients);
            assert_eq!(clients.paused(), 4);
            clients.remove(token);
            assert_eq!(clients.paused(), 3);
            assert!(clients.paused.len() <= 2 * 4);
        }
        clients.remove(stays[1]);
        let mut served = clients.take_paused();
        served.retain(|token| clients.contains(*token));
        assert_eq!(served, [stays[0], stays[2]]);
        assert_eq!(clients.paused(), 0);
    }
}
