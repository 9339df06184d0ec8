//! The loop: wait for readiness, serve and answer the ready clients, do other work within a budget.
//!
//! ```text
//! run:   poll (as long as poll_timeout allows) → turn → poll → …
//! turn:  serve_ready     those that were stopped early in the turn before
//!        dispatch        one event each: serve a client, note a listener, take a signal
//!        accept_waiting  new connections, so many a turn
//!        run_timers      the cron, the end of a pause, the deadlines of blocked clients
//!        jobs.run        background work, so long a turn
//!        before_sleep    what commands asked of the loop, what was pushed to others, the closing
//! ```
//!
//! It owns the sockets, in a slab under the same tokens as the sessions. Readiness is edge-triggered
//! and each connection is registered once; a client that is stopped before its socket is drained goes on
//! the ready list, and while that list or the jobs have work the poll does not wait.

use crate::base::tape;
use crate::drive::aof::rewrite;
use crate::engine::client_memory;
use std::io;
use std::time::Duration;

use slab::Slab;

use crate::base::sys::signals::Signals;
use crate::config::SpinLimit;
use crate::drive::cluster;
use crate::drive::links;
use crate::drive::replication;
use crate::drive::save::digest::Digests;
use crate::engine::loop_request::LoopRequest;
use crate::engine::session::{Close, Session, Token};
use crate::engine::state::ServerState;
use crate::engine::wake;
use crate::net::connection::Connection;
use crate::net::listener::Listeners;
use crate::net::poll_target::PollTarget;
use crate::net::poller::{Poller, Registrar};
use crate::net::readiness::Readiness;
use crate::resp::{BATCH_MAX, Batch};

use super::cron::Cron;
use super::door::Door;
use super::ending::Shutdown;
use super::jobs::Jobs;
use super::watching::Watcher;
use crate::engine::prepare::Plan;
use crate::observe::turn::Part;
use crate::reactor::http::{HttpService, Training};

/// Size of the buffer that all connections read into.
pub const SHARED_BUFFER_BYTES: usize = 64 * 1024;
/// Time for the requests of one connection in one turn, in ns: what is left of a longer pipeline
/// waits as well.
pub const SHARE_NS: u64 = 500_000;
/// Replies pending for a client whose output has no limit, from which on no more requests are read
/// from it until they are sent.
pub const BACKPRESSURE_BYTES: usize = 32 * 1024 * 1024;
/// How long the poll waits where a test slows saving or loading down, in µs.
const PACED_WAIT_US: u64 = 500;
/// Steps of TLS handshakes in one turn: one with a signature takes about half a millisecond.
const HANDSHAKES_MAX: u32 = 4;

/// The reactor with everything it owns.
pub struct EventLoop {
    pub(crate) poller: Poller,
    pub(super) registrar: Registrar,
    pub(crate) state: ServerState,
    pub(crate) connections: Slab<Connection>,
    /// Lent to each connection for the time it is served.
    pub(crate) shared: Box<[u8]>,
    pub(crate) batch: Batch,
    pub(crate) plans: Box<[Plan; BATCH_MAX]>,
    /// How long one connection is served in one turn.
    pub(crate) share_ticks: u64,
    /// From how many bytes of pending replies on a client is not read from.
    pub(crate) backpressure_bytes: usize,
    /// How many more steps of TLS handshakes this turn allows.
    pub(crate) handshakes_left: u32,
    /// Connections to serve without waiting for an event.
    pub(crate) ready: Vec<Token>,
    pub(crate) shutdown: Shutdown,
    pub(crate) signals: Signals,
    pub(super) cron: Cron,
    pub(crate) jobs: Jobs,
    pub(crate) flushing: Vec<Token>,
    /// Clients whose replies wait for the disk.
    pub(crate) held: Vec<Token>,
    pub(crate) accepting: Vec<usize>,
    /// Listeners on which accepting failed, most likely for want of file descriptors. The next tick
    /// of the cron tries them again.
    pub(super) stalled: Vec<usize>,
    /// Why the data set could not be loaded.
    pub(crate) load_error: Option<String>,
    /// Loading waits for the disk.
    pub(crate) load_waits: bool,
    /// When the log may report such a failure again, on the monotonic clock.
    pub(super) accept_warning_due_us: u64,
    /// When the last turn ended, in ticks.
    pub(crate) turn_ended: u64,
    /// How long the poll was last told to spin.
    spin_limit: SpinLimit,
    /// The HTTP port.
    pub(super) http: HttpService,
    /// What looks on, if anything does.
    pub(crate) watcher: Option<Box<dyn Watcher>>,
}

/// How long those that are served without an event may take in one turn, in shares of one connection.
const READY_SHARES: u64 = 4;

impl EventLoop {
    /// Opens the listeners and registers the signals.
    ///
    /// Errors: the text to log before giving up.
    pub fn new(mut state: ServerState, door: Door) -> Result<EventLoop, String> {
        let Door { poller, signals } = door;
        let registrar = poller.registrar();
        let text = |error: io::Error| format!("Can't register with the poll: {error}");
        state.listeners = Some(Listeners::open(registrar.clone(), &state.config)?);
        registrar.watch(&signals).map_err(text)?;
        state.wake = registrar.waker().map_err(text)?;
        state.outbounds.attach(registrar.clone(), state.wake.clone());
        state.aof.attach(state.disk.clone(), state.wake.clone());
        let shared = vec![0; SHARED_BUFFER_BYTES].into_boxed_slice();
        state.process.startup_memory_bytes = state.used_memory();
        let turn_ended = state.clock.ticks();
        Ok(EventLoop {
            poller,
            cron: Cron::new(&state),
            share_ticks: state.clock.nanos_as_ticks(SHARE_NS),
            backpressure_bytes: BACKPRESSURE_BYTES,
            handshakes_left: 0,
            state,
            connections: Slab::new(),
            shared,
            batch: Batch::new(),
            plans: Box::new([Plan::default(); BATCH_MAX]),
            ready: Vec::new(),
            shutdown: Shutdown::default(),
            signals,
            jobs: Jobs::with_digests(Digests::of_tape()),
            flushing: Vec::new(),
            held: Vec::new(),
            accepting: Vec::new(),
            stalled: Vec::new(),
            load_error: None,
            load_waits: false,
            accept_warning_due_us: 0,
            turn_ended,
            spin_limit: SpinLimit::default(),
            http: HttpService::new(registrar.clone()),
            registrar,
            watcher: None,
        })
    }

    /// The server's state, to look at before the loop runs.
    pub fn state(&self) -> &ServerState {
        &self.state
    }

    /// The server's state, to work with once the loop has ended.
    pub fn state_mut(&mut self) -> &mut ServerState {
        &mut self.state
    }

    /// Makes this a training instance: the HTTP port steps another loop.
    pub fn begin_training(&mut self, training: Training) {
        self.http.begin_training(training);
    }

    /// Runs until the server is to end.
    ///
    /// Errors: the poll's own, none of which is expected.
    pub fn run(&mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        let mut now = self.state.clock.ticks();
        while !self.shutdown.is_complete() && !tape::is_over() {
            now = self.poll_and_turn(&mut ready, now)?;
        }
        Ok(())
    }

    /// Waits for readiness as long as may be, and takes the turn. It is `now`, in ticks; gives when the turn has ended.
    #[inline(always)]
    pub(crate) fn poll_and_turn(&mut self, ready: &mut Vec<Readiness>, now: u64) -> io::Result<u64> {
        let timeout = self.poll_timeout(now);
        match self.poller.poll(timeout, ready) {
            // The time that is left is not the same.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(self.state.clock.ticks()),
            result => result?,
        }
        self.turn(ready);
        if tape::is_on()
            && let Some(reason) = tape::end_turn()
        {
            log::warn!("The recording has ended: {reason}");
        }
        if let Some(watcher) = &mut self.watcher {
            watcher.turned(&mut self.state, &self.connections);
        }
        Ok(self.turn_ended)
    }

    /// Has the watcher, if there is one, look at the state.
    pub(crate) fn show(&mut self, how: impl FnOnce(&mut dyn Watcher, &mut ServerState)) {
        if let Some(watcher) = &mut self.watcher {
            how(watcher.as_mut(), &mut self.state);
        }
    }

    /// One turn: everything between two polls.
    pub(crate) fn turn(&mut self, ready: &[Readiness]) {
        self.state.refresh_clock();
        self.state.memory.begin_turn(self.flushing.is_empty());
        let started = self.state.clock.ticks();
        self.state.recorder.begin_turn(started);
        let commands_before = self.state.stats.commands;
        self.handshakes_left = HANDSHAKES_MAX;
        self.serve_ready();
        for readiness in ready {
            self.state.recorder.note_event();
            self.dispatch(*readiness);
        }
        self.accept_waiting();
        let served = self.state.recorder.marked(&self.state.clock);
        let timed = self.run_timers(served);
        let mut loaded = timed;
        if self.state.loads_files() {
            self.load_slice();
            loaded = self.state.clock.ticks();
            self.state.recorder.mark(Part::Loading, loaded);
        }
        let jobs_done = self.jobs.run(&mut self.state, served.saturating_sub(started));
        // Without connections, only a job can have something for the port.
        if jobs_done.is_some() || self.http.has_peers() {
            self.http.answer(&mut self.jobs.documents, &self.state);
            self.state.keep_ledger(self.jobs.documents.is_watched() || self.state.config.prefix_ledger);
        }
        self.before_sleep();
        self.note_turn([started, served, timed, loaded, jobs_done.unwrap_or(loaded)], commands_before);
    }

    /// How long the poll may wait: not at all while there is work, else until the next timer. `now`: a reading of the
    /// clock's ticks that is as good as one made now.
    pub(crate) fn poll_timeout(&mut self, now: u64) -> Option<Duration> {
        let busy = !self.ready.is_empty()
            || !self.accepting.is_empty()
            || self.jobs.have_work()
            || self.http.has_work()
            || !self.flushing.is_empty()
            || self.state.scripting.busy().is_some()
            || links::can_go_on(&self.state)
            || self.state.replication.primary.has_room
            || self.state.saving.has_beginning()
            || self.state.clients.has_to_flush()
            || self.state.loads_files() && !self.load_waits;
        if busy {
            return Some(Duration::ZERO);
        }
        let now_us = self.state.clock.monotonic_us_at(now);
        let mut wait_us = self.cron.due_us().saturating_sub(now_us);
        if let Some(due_us) = self.http.due_us(&self.jobs.documents) {
            wait_us = wait_us.min(due_us.saturating_sub(now_us));
        }
        if let Some(due_us) = self.state.aof.due_us() {
            wait_us = wait_us.min(due_us.saturating_sub(now_us));
        }
        if self.state.is_paced() {
            wait_us = wait_us.min(PACED_WAIT_US);
        }
        if self.state.pause.is_active() {
            let left_ms = self.state.pause.due_ms() - self.state.now_ms();
            wait_us = wait_us.min((left_ms.max(0) as u64).saturating_mul(1000));
        }
        if let Some(deadline_ms) = self.next_deadline_ms() {
            // The turn may have taken longer than is left.
            self.state.clock.refresh();
            let due_us = (deadline_ms.max(0) as u64).saturating_add(1).saturating_mul(1000);
            wait_us = wait_us.min(due_us.saturating_sub(self.state.clock.now_us()));
        }
        Some(Duration::from_micros(wait_us))
    }

    /// When the first client or connection has waited for long enough, in ms since the epoch.
    #[inline]
    fn next_deadline_ms(&self) -> Option<i64> {
        if !self.has_deadlines() {
            return None;
        }
        let deadlines = [self.state.blocking.next_deadline_ms(), links::next_deadline_ms(&self.state)];
        deadlines.into_iter().flatten().min()
    }

    #[inline]
    fn has_deadlines(&self) -> bool {
        self.state.blocking.has_deadlines() || links::are_wanted(&self.state)
    }

    /// Goes on with what has become ready.
    #[inline]
    fn dispatch(&mut self, readiness: Readiness) {
        match readiness.target {
            PollTarget::Client(token) => self.dispatch_client(readiness, token),
            _ => self.dispatch_other(readiness),
        }
    }

    fn dispatch_other(&mut self, readiness: Readiness) {
        match readiness.target {
            PollTarget::Client(_) => {}
            PollTarget::Signals => self.take_signals(),
            PollTarget::Waker => {
                self.jobs.wake_saving(&self.state);
                self.state.outbounds.note_lookups();
            }
            PollTarget::Outbound(token) => {
                self.state.outbounds.note_ready(token);
                // Others go on after the clients were served. That a link has ended is known to each client whose
                // request came later.
                if readiness.closed {
                    links::run(&mut self.state);
                }
            }
            PollTarget::Listener(number) => self.note_listener(number as usize),
            PollTarget::HttpPeer(peer) => self.http.dispatch(peer, &mut self.jobs.documents, &self.state),
        }
        self.state.recorder.mark_now(Part::Read, &self.state.clock);
    }

    /// Connections wait at a listener. One on which accepting failed waits for the cron.
    fn note_listener(&mut self, index: usize) {
        if !self.accepting.contains(&index) && !self.stalled.contains(&index) {
            self.accepting.push(index);
        }
    }

    #[inline]
    fn dispatch_client(&mut self, readiness: Readiness, token: Token) {
        // An event may be of a client that went earlier in this turn, and whose place another has
        // taken: the generation tells them apart.
        if !self.state.clients.contains(token) {
            return;
        }
        let connection = &mut self.connections[token.slot as usize];
        let Readiness { readable, writable, closed, .. } = readiness;
        if closed {
            connection.hung_up = true;
        }
        let (output_blocked, ready) = (connection.output_blocked, connection.ready);
        if readable || connection.hung_up {
            connection.readable = true;
        }
        if writable && output_blocked {
            self.flush_client(token);
        }
        if writable && self.state.replication.primary.has_replicas() {
            // The edge is seen once, whatever else the event is for: what follows may not write.
            self.state.replication.primary.replicas.note_room(token);
        }
        if ready {
            // Was served in this turn already and had its share: the next turn serves it.
        } else if readable || closed {
            self.serve(token);
        } else if writable && !output_blocked {
            self.flush_client(token);
        }
    }

    /// Serves those that were stopped before their sockets were drained, as many as the budget allows; the others come
    /// first in the next turn. So a client with few requests does not wait for all clients with many.
    #[inline]
    fn serve_ready(&mut self) {
        if self.ready.is_empty() {
            return;
        }
        let ready = std::mem::take(&mut self.ready);
        let deadline = self.state.clock.ticks() + READY_SHARES * self.share_ticks;
        let mut served = 0;
        for token in &ready {
            if served > 0 && self.state.clock.ticks() >= deadline {
                break;
            }
            served += 1;
            if self.state.clients.contains(*token) {
                self.connections[token.slot as usize].ready = false;
                self.serve(*token);
            }
        }
        self.ready.splice(..0, ready[served..].iter().copied());
    }

    /// Has a connection served in the next turn without an event.
    pub(crate) fn schedule(&mut self, token: Token) {
        let connection = &mut self.connections[token.slot as usize];
        if !connection.ready {
            connection.ready = true;
            self.ready.push(token);
        }
    }

    /// Has a client served that no longer waits, if it has asked for something meanwhile.
    fn resume(&mut self, token: Token) {
        if self.state.clients.contains(token) {
            let connection = &self.connections[token.slot as usize];
            if connection.readable || !connection.input.is_empty() {
                self.schedule(token);
            }
        }
    }

    /// Closes the largest clients while all together hold more memory than they may.
    #[inline]
    pub(crate) fn evict_clients(&mut self) {
        if self.state.clients.memory_limit_reached() {
            client_memory::clients_to_evict(&mut self.state).into_iter().for_each(|token| self.close(token));
        }
    }

    /// Whether all that a client is to be sent is on its way.
    fn is_flushed(&self, session: &Session) -> bool {
        let connection = &self.connections[session.token.slot as usize];
        session.reply.is_empty() && !connection.holds_output()
    }

    /// Closes a connection and forgets its client.
    pub(crate) fn close(&mut self, token: Token) {
        if !self.state.clients.contains(token) {
            return;
        }
        if let (Some(watcher), Some(session)) = (&mut self.watcher, self.state.clients.get(token)) {
            watcher.closed(session.id);
        }
        self.state.remove_client(token);
        let mut connection = self.connections.remove(token.slot as usize);
        // The peer may have been faster.
        let _ = connection.stream.deregister(&self.registrar);
        connection.end();
    }

    /// A signal handler has written to the pair of sockets that the poll watches.
    fn take_signals(&mut self) {
        while let Some(signal) = self.signals.drain() {
            if !tape::is_replaying() {
                super::startup::log_signal(signal);
            }
            self.shutdown.schedule(signal);
            self.state.shutdown_scheduled = true;
        }
    }

    /// Does what is due, if `now`, in ticks, anything can be. Gives when that was done.
    #[inline]
    fn run_timers(&mut self, now: u64) -> u64 {
        let is_due = self.cron.is_due(self.state.clock.monotonic_us_at(now));
        if !is_due && !self.state.pause.is_active() && !self.has_deadlines() {
            return now;
        }
        if is_due {
            self.cron_tick();
        }
        let pause = self.state.pause;
        let is_busy = self.state.scripting.busy().is_some();
        if pause.is_active() && pause.due_ms() <= self.state.now_ms() && !is_busy {
            self.state.unpause();
        }
        wake::run_timeouts(&mut self.state);
        links::run(&mut self.state);
        let timed = self.state.clock.ticks();
        self.state.recorder.mark(Part::Timers, timed);
        timed
    }

    fn cron_tick(&mut self) {
        // There is no event for connections that wait already.
        self.accepting.append(&mut self.stalled);
        let overdue = self.cron.tick(&mut self.state, &mut self.jobs);
        for token in overdue {
            self.close(token);
        }
        let now_us = self.state.clock.monotonic_us();
        self.http.close_overdue(&mut self.jobs.documents, now_us);
        self.shutdown.supervisor.keep_alive(now_us);
        self.tend_spin();
        self.begin_scheduled_shutdown();
    }

    /// Has the poll decide whether it is worth to stay awake.
    fn tend_spin(&mut self) {
        let limit = self.state.config.loop_spin_us;
        let off = SpinLimit::default();
        if limit != off || self.spin_limit != off {
            self.spin_limit = limit;
            self.state.loop_stats.spin += self.poller.tend_spin(limit, self.state.clients.len());
        }
    }

    /// The last thing before the poll: what commands asked of the loop, then what was pushed to
    /// clients that were not being served (those that were have been answered), then the closing.
    fn before_sleep(&mut self) {
        self.fulfil_requests();
        if self.state.clients.has_to_resume() {
            self.state.clients.take_to_resume().into_iter().for_each(|token| self.resume(token));
        }
        self.state.tracking.broadcast(&mut self.state.clients);
        if self.state.aof.may_have_outcomes() {
            rewrite::collect_work(&mut self.state);
        }
        if self.state.aof.has_log() || !self.held.is_empty() {
            self.release_held();
        }
        if self.state.blocking.has_disk_waiters() && self.state.blocking.is_safety_due(self.state.safety()) {
            wake::look_at_safety(&mut self.state);
        }
        if self.state.cluster.is_some() {
            cluster::end_turn(&mut self.state);
            self.fulfil_requests();
        }
        replication::tend(&mut self.state);
        if self.shutdown.waiting.is_some() {
            self.tend_waiting_shutdown();
        }
        self.feed_replicas();
        self.flush_pushed();
        self.evict_clients();
        if self.state.clients.has_to_close() {
            self.state.clients.take_to_close().into_iter().for_each(|token| self.close_if_asked(token));
        }
    }

    #[inline]
    fn fulfil_requests(&mut self) {
        if !self.state.requests.is_empty() {
            self.fulfil_all();
        }
    }

    #[cold]
    fn fulfil_all(&mut self) {
        std::mem::take(&mut self.state.requests).into_iter().for_each(|request| self.fulfil(request));
    }

    fn close_if_asked(&mut self, token: Token) {
        let Some(session) = self.state.clients.get(token) else {
            return;
        };
        match session.close {
            Close::Now => self.close(token),
            Close::AfterReply if self.is_flushed(session) => self.close(token),
            Close::AfterReply | Close::No => {}
        }
    }

    fn fulfil(&mut self, request: LoopRequest) {
        match request {
            LoopRequest::Shutdown { options, requester } => self.begin_shutdown(options, requester),
            LoopRequest::ForgetShutdown => self.forget_shutdown(),
            LoopRequest::GatherWrites(token) if self.state.clients.contains(token) => {
                self.connections[token.slot as usize].stream.gather_writes();
            }
            LoopRequest::GatherWrites(_) => {}
            LoopRequest::ServePaused => {
                for token in wake::end_pause(&mut self.state) {
                    self.schedule(token);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
