//! The HTTP port: its connections, apart from the clients'.
//!
//! ```text
//! admit → Reading ──a request is complete──→ Waiting ──the job has written the text──→ Writing ─┐
//!            ↑      ├─it is answered at once─────────────────────────────────────────→ Writing ─┤
//!            │      └─it is for /events──────────────────→ Watching, until the viewer goes      │
//!            └──────────────────────the connection is kept──────────────────────────────────────┤
//!                                                       refused or not kept: Draining → closed ←┘
//! ```
//!
//! `peer` is one connection, `routes` decides what a request is answered with, `page` is the page, `trainer` what a
//! training instance has besides: lessons, whose loop is stepped by POST, and `sources`, which they point at.
//!
//! Never changes anything of this server: a request is GET or HEAD, and an order is for another loop. All clients that
//! wait for a text get the same one, so a flood of requests costs no more than one after the other. Every phase has a
//! deadline, and there are few places: the connection that has been silent longest makes room for the next. Viewers of
//! `/events` have places of their own. A viewer that is slow skips frames.

mod page;
mod peer;
mod routes;
mod sources;
mod trainer;

use std::rc::Rc;

use log::{debug, warn};
use slab::Slab;

use crate::drive::page::{Document, Documents};
use crate::engine::state::ServerState;
use crate::net::http::HttpSocket;
use crate::net::http::access::Rules;
use crate::net::poll_target::{OTHER_GENERATION, PollTarget};
use crate::net::poller::Registrar;
use crate::net::token::Token;

use peer::{Fate, Peer, Phase};
use routes::Facts;
pub use trainer::{Trainer, Training};

/// Connections at the same time, viewers apart.
const PEERS_MAX: usize = 16;
/// Viewers at the same time. With the others they are fewer than the descriptors that are kept for what is not a
/// client.
const VIEWERS_MAX: usize = 6;
/// Bytes that are sent in one turn of the loop.
const SEND_MAX_BYTES: usize = 128 * 1024;
/// Time between two frames of `/events`, in µs.
const FRAME_PERIOD_US: u64 = 250_000;

/// The HTTP port, apart from its listeners.
pub struct HttpService {
    registrar: Registrar,
    peers: Slab<Peer>,
    next_generation: u32,
    /// The monotonic clock as it was at the last look.
    now_us: u64,
    queues: [Queue; Document::ALL.len()],
    /// Connections that go on in the next turn.
    paused: Vec<Token>,
    /// Bytes that may still be sent in this turn.
    room_bytes: usize,
    /// When the next frame is due.
    frame_due_us: u64,
    /// What a training instance has besides.
    training: Option<Training>,
}

/// The connections that wait for one document.
#[derive(Default)]
struct Queue {
    /// They get the text that is being written.
    served_next: Vec<Token>,
    /// They asked later, and get the next one.
    waiting: Vec<Token>,
}

impl HttpService {
    /// A service without connections.
    pub fn new(registrar: Registrar) -> HttpService {
        HttpService {
            registrar,
            peers: Slab::new(),
            next_generation: 0,
            now_us: 0,
            queues: Default::default(),
            paused: Vec::new(),
            room_bytes: SEND_MAX_BYTES,
            frame_due_us: 0,
            training: None,
        }
    }

    /// Serves the lessons as well.
    pub fn begin_training(&mut self, training: Training) {
        self.training = Some(training);
    }

    /// Takes a connection in.
    pub fn admit(&mut self, mut socket: HttpSocket, now_us: u64) {
        self.now_us = now_us;
        if self.peers.len() - self.viewers() >= PEERS_MAX && !self.make_room() {
            return debug!("Too many connections to the HTTP port");
        }
        self.next_generation = (self.next_generation + 1) & OTHER_GENERATION;
        let entry = self.peers.vacant_entry();
        let token = Token { slot: entry.key() as u32, generation: self.next_generation };
        if let Err(error) = socket.register(&self.registrar, PollTarget::HttpPeer(token)) {
            return warn!("Error registering a connection to the HTTP port: {error}");
        }
        entry.insert(Peer::new(socket, token, now_us));
    }

    /// Connections that watch `/events`.
    fn viewers(&self) -> usize {
        self.peers.iter().filter(|(_, peer)| peer.is_viewer()).count()
    }

    /// Closes the connection that has kept a place without asking for the longest time, if there is one.
    fn make_room(&mut self) -> bool {
        let silent = self.peers.iter().filter(|(_, peer)| matches!(peer.phase, Phase::Reading | Phase::Draining));
        let longest = silent.min_by_key(|(_, peer)| peer.since_us);
        let Some(slot) = longest.map(|(slot, _)| slot) else {
            return false;
        };
        self.close(slot);
        true
    }

    /// Goes on with a connection that is ready for something.
    pub fn dispatch(&mut self, peer: Token, documents: &mut Documents, state: &ServerState) {
        self.go_on(peer, documents, state);
        self.begin(documents);
    }

    /// Whether there are connections.
    #[inline]
    pub fn has_peers(&self) -> bool {
        !self.peers.is_empty()
    }

    /// Whether there is something to do without waiting for an event.
    pub fn has_work(&self) -> bool {
        !self.paused.is_empty()
    }

    /// When the next frame is due on the monotonic clock, while there are viewers.
    pub fn due_us(&self, documents: &Documents) -> Option<u64> {
        documents.is_watched().then_some(self.frame_due_us)
    }

    fn go_on(&mut self, token: Token, documents: &mut Documents, state: &ServerState) {
        let slot = slot_of(token);
        let has_place = self.viewers() < VIEWERS_MAX;
        // Another connection may have the slot of one that went earlier in this turn.
        let found = self.peers.get_mut(slot);
        let Some(peer) = found.filter(|peer| peer.token == token) else {
            return;
        };
        let training_token = self.training.as_ref().map(|training| training.token.as_str());
        let is_encrypted = peer.socket.is_encrypted();
        let rules = Rules { token: &state.config.http_token, is_encrypted, training_token };
        let is_out_of_touch = state.replication.replica.as_ref().is_some_and(|side| !side.link.is_streaming());
        let facts = Facts { rules, is_loading: state.is_loading(), is_out_of_touch, has_place };
        match peer.go_on(&facts, self.now_us, &mut self.room_bytes) {
            Ok(Fate::Stays) => {}
            Ok(Fate::Asks(document)) => self.queues[document as usize].waiting.push(token),
            Ok(Fate::Orders) => {
                if let Some(training) = &mut self.training {
                    let answer = training.answer(peer.take_order());
                    peer.answer_order(answer, self.now_us);
                }
                // One order a turn.
                self.paused.push(token);
            }
            Ok(Fate::Pauses) if self.paused.contains(&token) => {}
            Ok(Fate::Pauses) => self.paused.push(token),
            Ok(Fate::Ends) => self.close(slot),
            Err(error) => {
                debug!("HTTP port: {error}");
                self.close(slot);
            }
        }
        documents.set_watched(self.viewers() > 0);
    }

    /// Has the documents written that connections wait for.
    fn begin(&mut self, documents: &mut Documents) {
        for document in Document::ALL {
            let queue = &mut self.queues[document as usize];
            if !queue.waiting.is_empty() && queue.served_next.is_empty() {
                std::mem::swap(&mut queue.waiting, &mut queue.served_next);
                documents.begin(document);
            }
        }
    }

    /// Sends what is there to be sent, and texts that are complete to the connections that wait for them. To be called
    /// once a turn.
    pub fn answer(&mut self, documents: &mut Documents, state: &ServerState) {
        self.room_bytes = SEND_MAX_BYTES;
        for token in std::mem::take(&mut self.paused) {
            self.go_on(token, documents, state);
        }
        self.begin_frame(documents, state);
        for document in Document::ALL {
            if let Some(text) = documents.take_written(document) {
                self.hand_out(document, &text, documents, state);
            }
        }
        self.begin(documents);
    }

    /// Has a frame written, if there are viewers and it is time.
    fn begin_frame(&mut self, documents: &mut Documents, state: &ServerState) {
        if !documents.is_watched() {
            return;
        }
        let now_us = state.clock.monotonic_us();
        if now_us >= self.frame_due_us {
            self.now_us = now_us;
            self.frame_due_us = now_us + FRAME_PERIOD_US;
            documents.begin(Document::Frame);
        }
    }

    fn hand_out(&mut self, document: Document, text: &Rc<[u8]>, documents: &mut Documents, state: &ServerState) {
        let mut receivers = std::mem::take(&mut self.queues[document as usize].served_next);
        if document == Document::Frame {
            let ready = self.peers.iter().filter(|(_, peer)| peer.takes_frames());
            receivers.extend(ready.map(|(_, peer)| peer.token));
        }
        for token in receivers {
            let found = self.peers.get_mut(slot_of(token));
            if let Some(peer) = found.filter(|peer| peer.token == token) {
                peer.answer_with(document, text, self.now_us);
                self.go_on(token, documents, state);
            }
        }
    }

    /// Closes the connections that are late. To be called now and then, with the time on the monotonic clock.
    pub fn close_overdue(&mut self, documents: &mut Documents, now_us: u64) {
        self.now_us = now_us;
        let late = self.peers.iter().filter(|(_, peer)| peer.is_late(now_us));
        let slots: Vec<usize> = late.map(|(slot, _)| slot).collect();
        slots.into_iter().for_each(|slot| self.close(slot));
        documents.set_watched(self.viewers() > 0);
    }

    fn close(&mut self, slot: usize) {
        let mut peer = self.peers.remove(slot);
        // The peer may have been faster.
        let _ = peer.socket.deregister(&self.registrar);
        let _ = peer.socket.shutdown();
    }
}

fn slot_of(token: Token) -> usize {
    token.slot as usize
}

#[cfg(test)]
mod tests;
