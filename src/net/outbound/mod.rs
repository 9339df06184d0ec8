//! Connections to other servers, and connections that nodes of the cluster make to this server's bus: one facility
//! for all owners.
//!
//! ```text
//! the owner     open           a name is looked up, a socket connected; its token names the connection from now on
//! the loop      note_ready     the poll has an event of the socket; note_lookups: a name may be known
//!               next_event     moves bytes of the connections that can go on, until there is something to tell an owner
//!               next_overdue   the next connection whose other side is late
//! the owner     link, consume  reads what has come
//!               write_with     appends to what is to be sent
//!               close, park    is done with it
//! ```
//!
//! The owner of a connection is a protocol without I/O: it hears of events and handles bytes. An owner closes each
//! connection that it has opened, also after it has failed. Reading stands still while the owner consumes nothing
//! (`LinkOptions::input_max_bytes`).
//!
//! Never looks into the bytes, and never waits, but for a name where there is no loop to go on meanwhile.

mod link;
mod parked;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;

use slab::Slab;

use crate::base::wake::Wake;
use crate::net::lookup::Lookup;
use crate::net::poll_target::{OTHER_GENERATION, PollTarget};
use crate::net::poller::{Poller, Registrar};
use crate::net::stream::Stream;
use crate::net::tls::TlsSession;
use crate::net::token::Token;

pub use link::{Failure, Link, LinkEvent, LinkOptions, Progress};
use parked::ParkingLot;

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkOwner {
    /// The migration with this number.
    Migration(usize),
    /// This server, which follows a primary.
    Replica,
    /// The link of the cluster's bus with this number.
    Bus(u64),
    /// The migration of slots with this number.
    SlotExport(u64),
}

struct Slot {
    token: Token,
    owner: LinkOwner,
    link: Link,
    /// On the list of those that can go on.
    is_listed: bool,
}

/// All connections to other servers.
#[derive(Default)]
pub struct Outbounds {
    /// Where sockets are registered; none when driven in-process.
    registrar: Option<Registrar>,
    /// How the loop learns that a name was looked up. Without it the loop waits for names.
    wake: Option<Wake>,
    /// The host whose address connections are made from; empty for any.
    source: String,
    slots: Slab<Slot>,
    generation: u32,
    /// Those that can go on, the one that waits longest first.
    ready: VecDeque<Token>,
    parked: ParkingLot,
}

impl Outbounds {
    /// Connections whose sockets are registered there. Names are looked up synchronously.
    pub fn on(registrar: Registrar) -> Outbounds {
        Outbounds { registrar: Some(registrar), ..Outbounds::default() }
    }

    /// From now on connections can be made while others are served.
    pub fn attach(&mut self, registrar: Registrar, wake: Wake) {
        self.registrar = Some(registrar);
        self.wake = Some(wake);
    }

    /// A poller for connections that are apart from these, of the same kind.
    ///
    /// Errors: the system's.
    pub fn another_poller(&self) -> io::Result<Poller> {
        self.registrar.as_ref().map_or_else(Poller::system, Registrar::another_poller)
    }

    /// Whether there is a loop that goes on with connections.
    pub fn is_attached(&self) -> bool {
        self.registrar.is_some()
    }

    /// Whether there is no connection, but for those that are parked.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// From now on connections are made from an address of this host, if it is one of this machine; the empty name
    /// stands for any.
    pub fn set_source(&mut self, host: &str) {
        host.clone_into(&mut self.source);
    }

    fn look_up(&self, host: &str, port: u16) -> Lookup {
        match (&self.registrar, &self.wake) {
            (Some(registrar), Some(wake)) => Lookup::begin(host, port, registrar, wake.clone()),
            _ => Lookup::now(host, port),
        }
    }

    /// Begins to connect to a server.
    pub fn open(&mut self, host: &str, port: u16, options: LinkOptions, owner: LinkOwner, now_ms: i64) -> Token {
        let source = (!self.source.is_empty()).then(|| self.look_up(&self.source, 0));
        self.insert(Link::new(self.look_up(host, port), source, options, now_ms), owner)
    }

    /// Adopts a connection that another server has made. Its owner gets the event that it is connected, as if it had
    /// been opened here.
    ///
    /// Errors: it cannot be registered.
    pub fn adopt(
        &mut self,
        stream: Stream,
        session: Option<Box<TlsSession>>,
        options: LinkOptions,
        owner: LinkOwner,
        now_ms: i64,
    ) -> io::Result<Token> {
        let token = self.insert(Link::adopt(stream, session, options, now_ms), owner);
        match self.register(token) {
            true => Ok(token),
            false => {
                self.close(token);
                Err(io::ErrorKind::NotConnected.into())
            }
        }
    }

    /// Registers the socket of an open connection; tells whether that went well.
    fn register(&mut self, token: Token) -> bool {
        let slot = &mut self.slots[token.slot as usize];
        match &self.registrar {
            Some(registrar) => slot.link.register(registrar, PollTarget::Outbound(token)),
            None => false,
        }
    }

    /// Has a connection that is being opened be encrypted: its owner hears that it stands once both sides have agreed.
    pub fn encrypt(&mut self, token: Token, session: Box<TlsSession>) {
        self.change(token, |link| link.encrypt(session));
    }

    /// Uses a parked connection to a server again, if there is one; gives what was noted of it.
    pub fn reopen(
        &mut self,
        host: &str,
        port: u16,
        options: LinkOptions,
        owner: LinkOwner,
        now_ms: i64,
    ) -> Option<(Token, i64)> {
        let parked = self.parked.take(host, port)?;
        let token = self.insert(Link::adopt(parked.stream, None, options, now_ms), owner);
        if !self.register(token) {
            self.close(token);
            return None;
        }
        Some((token, parked.note))
    }

    fn insert(&mut self, link: Link, owner: LinkOwner) -> Token {
        self.generation = (self.generation + 1) & OTHER_GENERATION;
        let entry = self.slots.vacant_entry();
        let token = Token { slot: entry.key() as u32, generation: self.generation };
        entry.insert(Slot { token, owner, link, is_listed: false });
        self.list(token);
        token
    }

    fn slot(&mut self, token: Token) -> Option<&mut Slot> {
        self.slots.get_mut(token.slot as usize).filter(|slot| slot.token == token)
    }

    /// Has a connection go on.
    fn list(&mut self, token: Token) {
        if let Some(slot) = self.slot(token)
            && !std::mem::replace(&mut slot.is_listed, true)
        {
            self.ready.push_back(token);
        }
    }

    /// The poll has an event of that socket. One of a connection that was closed meanwhile means nothing.
    pub fn note_ready(&mut self, token: Token) {
        if let Some(slot) = self.slot(token) {
            slot.link.note_ready();
            self.list(token);
        }
    }

    /// Names may have been looked up.
    pub fn note_lookups(&mut self) {
        let waiting = self.slots.iter().filter(|(_, slot)| slot.link.is_looking_up());
        let tokens: Vec<Token> = waiting.map(|(_, slot)| slot.token).collect();
        tokens.into_iter().for_each(|token| self.list(token));
    }

    /// Whether any connection can go on at once, but for those of owners that stand still.
    pub fn has_ready(&self, stands_still: impl Fn(LinkOwner) -> bool) -> bool {
        self.ready.iter().any(|token| self.owner_of(*token).is_some_and(|owner| !stands_still(owner)))
    }

    fn owner_of(&self, token: Token) -> Option<LinkOwner> {
        let slot = self.slots.get(token.slot as usize).filter(|slot| slot.token == token)?;
        Some(slot.owner)
    }

    /// Goes on with the connections that can, up to the next event for an owner. Each call moves as many bytes as is
    /// fair, and puts the connection behind the others. Connections of owners that stand still are left alone.
    pub fn next_event(
        &mut self,
        now_ms: i64,
        stands_still: impl Fn(LinkOwner) -> bool,
    ) -> Option<(LinkOwner, Token, LinkEvent)> {
        for _ in 0..self.ready.len() {
            let token = self.ready.pop_front()?;
            let registrar = self.registrar.as_ref()?;
            let found = self.slots.get_mut(token.slot as usize).filter(|slot| slot.token == token);
            let Some(slot) = found else {
                continue;
            };
            if stands_still(slot.owner) {
                self.ready.push_back(token);
                continue;
            }
            slot.is_listed = false;
            let owner = slot.owner;
            let event = slot.link.advance(now_ms, registrar, PollTarget::Outbound(token));
            if event.is_some() || slot.link.has_work() {
                self.list(token);
            }
            if let Some(event) = event {
                return Some((owner, token, event));
            }
        }
        None
    }

    /// When the next connection is late, in ms since the epoch. O(connections).
    pub fn next_deadline_ms(&self, stands_still: impl Fn(LinkOwner) -> bool) -> Option<i64> {
        let moving = self.slots.iter().filter(|(_, slot)| !stands_still(slot.owner));
        moving.filter_map(|(_, slot)| slot.link.deadline_ms()).min()
    }

    /// Gives up the connections that are late, unless they can go on: their owners hear of it. O(connections).
    pub fn give_up_overdue(&mut self, now_ms: i64, stands_still: impl Fn(LinkOwner) -> bool) {
        let is_late = |slot: &Slot| slot.link.deadline_ms().is_some_and(|deadline_ms| deadline_ms < now_ms);
        let late =
            self.slots.iter_mut().filter(|(_, slot)| !slot.is_listed && is_late(slot) && !stands_still(slot.owner));
        let mut tokens = Vec::new();
        for (_, slot) in late {
            slot.link.time_out();
            tokens.push(slot.token);
        }
        tokens.into_iter().for_each(|token| self.list(token));
    }

    /// A connection, to see what it has received and how much it has to send.
    pub fn link(&self, token: Token) -> Option<&Link> {
        let slot = self.slots.get(token.slot as usize).filter(|slot| slot.token == token)?;
        Some(&slot.link)
    }

    /// The owner is done with so many of the bytes received.
    pub fn consume(&mut self, token: Token, bytes: usize) {
        self.change(token, |link| link.consume(bytes));
    }

    /// Has `write` append to what is to be sent.
    pub fn write_with(&mut self, token: Token, write: impl FnOnce(&mut Vec<u8>)) {
        self.change(token, |link| link.write_with(write));
    }

    /// Has the owner hear once more that there are bytes to read: it has left some for the next turn.
    pub fn call_again(&mut self, token: Token) {
        self.change(token, Link::owe_received);
    }

    /// Lends out what has come, and how much of it is consumed: `return_input` gives it back.
    pub fn lend_input(&mut self, token: Token) -> (Vec<u8>, usize) {
        self.slot(token).map(|slot| slot.link.lend_input()).unwrap_or_default()
    }

    /// Takes back what was lent out, of which so much is consumed now. A connection that was closed meanwhile needs it
    /// no more.
    pub fn return_input(&mut self, token: Token, input: Vec<u8>, consumed_bytes: usize) {
        self.change(token, |link| link.return_input(input, consumed_bytes));
    }

    /// Changes a connection, which may be able to go on then.
    fn change(&mut self, token: Token, change: impl FnOnce(&mut Link)) {
        if let Some(slot) = self.slot(token) {
            change(&mut slot.link);
            if slot.link.has_work() {
                self.list(token);
            }
        }
    }

    /// Closes a connection. Nothing more is heard of it.
    pub fn close(&mut self, token: Token) {
        drop(self.remove(token));
    }

    /// Takes a connection out of the slab and out of the poll; gives its socket if it stands.
    fn remove(&mut self, token: Token) -> Option<Stream> {
        self.slot(token)?;
        let slot = self.slots.remove(token.slot as usize);
        let mut stream = slot.link.into_stream()?;
        if let Some(registrar) = &self.registrar {
            // It is closed, or registered anew when it is wanted again.
            let _ = stream.deregister(registrar);
        }
        Some(stream)
    }

    /// Keeps a connection for the next one who wants to go to that server, with what is to be known of it then.
    pub fn park(&mut self, token: Token, host: &str, port: u16, note: i64, now_ms: i64) {
        if let Some(stream) = self.remove(token) {
            self.parked.put(host, port, stream, note, now_ms);
        }
    }

    /// Hands the parked connection to that server on to another facility, if there is one.
    pub fn lend_parked(&mut self, host: &str, port: u16, other: &mut Outbounds) {
        if let Some(parked) = self.parked.take(host, port) {
            other.parked.put_back(host, port, parked);
        }
    }

    /// Number of parked connections.
    pub fn parked_count(&self) -> usize {
        self.parked.count()
    }

    /// Closes parked connections that have been idle for long.
    pub fn close_idle_parked(&mut self, now_ms: i64) {
        self.parked.close_idle(now_ms);
    }
}
