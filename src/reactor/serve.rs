//! Serving one connection: read, parse a batch, prefetch what it needs, run it, answer.
//!
//! ```text
//! EventLoop::serve        lends the session out, hands the replies to the socket afterwards
//!   Server::serve         a few reads at most: a busy client must not keep the others waiting
//!     run_input           parses batch after batch
//!       run_batch         prepares all requests of a batch, then runs them in order
//! ```
//!
//! The batch is what hides the memory's latency: while the first request's bucket travels from
//! memory, the buckets of the other requests travel with it, and their records after them.

use crate::drive::cluster::migration::import;
use crate::engine::output_limits;
use std::io;

use log::{debug, warn};

use crate::config::CertificateUser;
use crate::engine::apply::Flow;
use crate::engine::command_sizes;
use crate::engine::enforcement;
use crate::engine::execute;
use crate::engine::session::{Blocked, Close, Mode, Session, Token, UNAUTHENTICATED_OUTPUT_MAX_BYTES};
use crate::engine::state::ServerState;
use crate::net::connection::{Connection, Fill};
use crate::resp::{BATCH_MAX, Batch, Limits, OwnedArgs, Reply};

use super::accepting::PROTECTED_MODE_ERROR;
use super::event_loop::EventLoop;
use super::replica_replies::look_after_replica;
use super::watching::{Ran, Watcher};
use crate::engine::prepare::{Plan, prepare};
use crate::observe::turn::Part;

/// Reads from one connection in one turn; what is left waits for the next turn, and so behind the
/// others.
const READS_MAX: usize = 4;

/// How serving a piece of input ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// All whole requests were run.
    InputUsed,
    /// The rest must wait: for the end of a pause, or until replies are sent.
    Held,
    /// The connection has had its share of the turn; it is served again in the next one.
    Yielded,
    /// The connection is to be closed.
    Closing,
}

impl Ended {
    /// Whether there is more to do for the connection, in the next turn.
    fn leaves_more(self, is_readable: bool) -> bool {
        match self {
            Ended::InputUsed => is_readable,
            Ended::Yielded => true,
            Ended::Held | Ended::Closing => false,
        }
    }
}

impl EventLoop {
    /// Reads what a connection has to say and runs the requests in it.
    #[inline]
    pub(crate) fn serve(&mut self, token: Token) {
        let Some(mut session) = self.state.clients.checkout(token) else {
            return;
        };
        if session.handshaking && !self.may_shake_hands(token) {
            return self.state.clients.checkin(session);
        }
        let mut reply = std::mem::take(&mut session.reply);
        let unsent_bytes = (session.mode == Mode::Replica).then_some(reply.len());
        let connection = &mut self.connections[token.slot as usize];
        let mut server = Server {
            state: &mut self.state,
            batch: &mut self.batch,
            plans: &mut self.plans,
            shared: &mut self.shared,
            watcher: &mut self.watcher,
            share_ticks: self.share_ticks,
            backpressure_bytes: self.backpressure_bytes,
            deadline: 0,
        };
        let ended = server.serve_client(connection, &mut session, &mut reply);
        session.reply = reply;
        note_query_buffer(connection, &mut session);
        if let Some(unsent_bytes) = unsent_bytes {
            look_after_replica(&mut self.state, &mut session, unsent_bytes);
        }
        // A blocked client that is gone waits for nothing any more. Its requests go with it.
        if session.blocked.is_some() && connection.hung_up {
            session.close = Close::Now;
        }
        let more = ended.leaves_more(connection.readable);
        let closing = ended == Ended::Closing || session.close != Close::No;
        if closing {
            self.state.clients.queue_close(token);
        }
        let pending = !session.reply.is_empty() || connection.holds_output();
        let answered = pending && session.close != Close::Now;
        if answered {
            session.begin_leaving(&self.state.recorder, &self.state.clock);
        }
        if more && !closing {
            self.schedule(token);
        }
        self.state.note_peak();
        self.state.clients.count_memory_of(&mut session);
        if answered && !self.state.aof.is_up_to_date() {
            // The changes that it reports must be written first.
            self.state.clients.queue_flush(&mut session);
            self.state.clients.checkin(session);
            return;
        }
        self.state.clients.checkin(session);
        // Now, not before the poll: the socket is still in the cache, which saves a tenth of what a
        // lone request costs.
        if answered {
            self.flush_client(token);
        }
        self.evict_clients();
    }
}

impl EventLoop {
    /// Whether this turn has time for one more step of a handshake; if not, the next one serves the client.
    #[cold]
    fn may_shake_hands(&mut self, token: Token) -> bool {
        if self.handshakes_left == 0 {
            self.schedule(token);
            return false;
        }
        self.handshakes_left -= 1;
        true
    }
}

/// Copies the connection's figures to its session, for CLIENT LIST.
fn note_query_buffer(connection: &Connection, session: &mut Session) {
    // What an argument has received counts as an argument once it is complete, as clients know it from Redis.
    let receiving_bytes = connection.parser.receiving_bytes();
    session.traffic.query_bytes = connection.input.len() + receiving_bytes;
    session.traffic.query_free_bytes =
        connection.input.capacity() - connection.input.len() + connection.parser.reserved_bytes();
    session.traffic.argument_bytes = connection.parser.pending_bytes() - receiving_bytes;
}

/// What serving needs of the loop, apart from the connection.
struct Server<'a> {
    state: &'a mut ServerState,
    batch: &'a mut Batch,
    /// What is known of the requests of the batch.
    plans: &'a mut [Plan; BATCH_MAX],
    shared: &'a mut [u8],
    watcher: &'a mut Option<Box<dyn Watcher>>,
    /// How long a connection is served in one turn.
    share_ticks: u64,
    /// From how many bytes of pending replies on a client is not read from.
    backpressure_bytes: usize,
    /// The deadline; 0 until it is first needed.
    deadline: u64,
}

impl Server<'_> {
    /// Serves a client; one that is the source of slots which come here is looked after.
    #[inline]
    fn serve_client(&mut self, connection: &mut Connection, session: &mut Session, reply: &mut Reply) -> Ended {
        let source = import::begin_serving(self.state, session);
        let ended = self.serve(connection, session, reply);
        if let Some(serving) = source {
            import::end_serving(self.state, session, serving);
        }
        ended
    }

    /// Runs what the connection has kept, then what its socket brings, until one of the reasons to
    /// stop comes up.
    fn serve(&mut self, connection: &mut Connection, session: &mut Session, reply: &mut Reply) -> Ended {
        let ended = self.serve_waiting(connection, session, reply);
        if ended != Ended::InputUsed {
            return ended;
        }
        for number in 0..READS_MAX {
            if number > 0 && self.share_is_used() {
                return Ended::Yielded;
            }
            let filled = match self.fill(connection) {
                Ok(filled) => filled,
                Err(error) => {
                    self.log_read_error(session, &error);
                    session.close = Close::Now;
                    return Ended::Closing;
                }
            };
            let (shared, total, drained) = match filled {
                Fill::More { shared, total } => (shared, total, false),
                Fill::Drained { shared, total } => (shared, total, true),
                Fill::Closed => {
                    debug!("Client closed connection");
                    // One that closed only its own end still gets what it asked for.
                    session.close = if reply.is_empty() { Close::Now } else { Close::AfterReply };
                    return Ended::Closing;
                }
            };
            if session.handshaking && !self.meet(connection, session, reply) {
                return Ended::Closing;
            }
            self.state.stats.reads += u64::from(total > 0);
            self.state.stats.input_bytes += total as u64;
            session.traffic.input_bytes += total as u64;
            session.last_interaction_ms = self.state.now_ms();
            if self.is_too_large(connection, session) {
                connection.input.extend_from_slice(&self.shared[..shared]);
                return Ended::Yielded;
            }
            let ended = self.take_input(connection, session, reply, shared);
            if ended != Ended::InputUsed || drained {
                return ended;
            }
        }
        Ended::InputUsed
    }

    /// Runs what the connection has kept, unless it must wait on.
    #[inline]
    fn serve_waiting(&mut self, connection: &mut Connection, session: &mut Session, reply: &mut Reply) -> Ended {
        if session.close != Close::No {
            return Ended::Closing;
        }
        if session.blocked.is_some() || connection.output_blocked {
            return Ended::Held;
        }
        if connection.paused.is_some() {
            let ended = self.run_paused(&mut connection.paused, session, reply);
            if ended != Ended::InputUsed {
                connection.output_blocked = ended == Ended::Held && session.blocked.is_none();
                return ended;
            }
        }
        if !connection.input.is_empty() {
            return self.run_kept_input(connection, session, reply, 0);
        }
        Ended::InputUsed
    }

    /// Reads once from the connection's socket.
    #[inline]
    fn fill(&mut self, connection: &mut Connection) -> io::Result<Fill> {
        let filled = connection.fill(self.shared);
        self.state.recorder.mark_now(Part::Read, &self.state.clock);
        filled
    }

    /// Whether what was received of a large request brings all clients over the limit of their memory: then some are to
    /// be closed, perhaps this one, before it is run.
    fn is_too_large(&mut self, connection: &Connection, session: &mut Session) -> bool {
        if !self.state.clients.has_memory_limit() || !connection.parser.is_mid_request() {
            return false;
        }
        note_query_buffer(connection, session);
        self.state.clients.count_memory_of(session);
        self.state.clients.memory_limit_reached()
    }

    /// Looks whether the handshake is over; if so, whether the client may stay, and as whom.
    #[cold]
    fn meet(&mut self, connection: &Connection, session: &mut Session, reply: &mut Reply) -> bool {
        session.handshaking = connection.is_handshaking();
        if session.handshaking {
            return true;
        }
        if !self.state.protects_from(&session.address) {
            if self.state.config.tls_auth_clients_user == CertificateUser::CommonName
                && let Some(name) = connection.common_name()
            {
                enforcement::log_in_by_certificate(self.state, session, &name);
            }
            return true;
        }
        self.state.stats.rejected_connections += 1;
        reply.raw(PROTECTED_MODE_ERROR.as_bytes());
        session.close = Close::AfterReply;
        false
    }

    /// Failed handshakes are logged at the default level, but once a second at most: any peer can cause them.
    #[cold]
    fn log_read_error(&mut self, session: &Session, error: &io::Error) {
        let now_ms = self.state.now_ms();
        if session.handshaking && now_ms - self.state.log_times.handshake_ms >= 1000 {
            self.state.log_times.handshake_ms = now_ms;
            warn!(
                "Error accepting a client connection: {error} (addr={} laddr={})",
                session.address.peer, session.address.local
            );
        } else {
            debug!("Reading from client: {error}");
        }
    }

    /// Runs what was read: straight from the shared buffer, unless earlier bytes come before it.
    fn take_input(
        &mut self,
        connection: &mut Connection,
        session: &mut Session,
        reply: &mut Reply,
        count: usize,
    ) -> Ended {
        if !connection.input.is_empty() {
            return self.run_kept_input(connection, session, reply, count);
        }
        let shared = std::mem::take(&mut self.shared);
        let (used, ended) = self.run_input(connection, session, reply, &shared[..count]);
        connection.input.extend_from_slice(&shared[used..count]);
        self.shared = shared;
        self.check_query_limit(connection, session, ended)
    }

    /// Runs the connection's own bytes, with `count` more from the shared buffer behind them.
    fn run_kept_input(
        &mut self,
        connection: &mut Connection,
        session: &mut Session,
        reply: &mut Reply,
        count: usize,
    ) -> Ended {
        let mut input = std::mem::take(&mut connection.input);
        input.extend_from_slice(&self.shared[..count]);
        let (used, ended) = self.run_input(connection, session, reply, &input);
        if used < input.len() {
            input.drain(..used);
            connection.input = input;
        }
        self.check_query_limit(connection, session, ended)
    }

    /// Parses and runs whole requests; tells how many bytes were used.
    fn run_input(
        &mut self,
        connection: &mut Connection,
        session: &mut Session,
        reply: &mut Reply,
        input: &[u8],
    ) -> (usize, Ended) {
        let mut used = 0;
        session.traffic.query_bytes = input.len();
        loop {
            let limits = Limits {
                authenticated: !self.state.must_log_in(session),
                max_bulk_bytes: self.state.config.proto_max_bulk_len,
            };
            let rest = &input[used..];
            let parsed = match connection.parser.parse(rest, &limits, self.batch) {
                Ok(parsed) => parsed,
                Err(error) => {
                    debug!("Protocol error from client {}: {error}", session.address.peer);
                    let text = error.reply_text();
                    self.state.error_stats.record(&String::from_utf8_lossy(&text));
                    reply.error(&text);
                    session.close = Close::AfterReply;
                    return (input.len(), Ended::Closing);
                }
            };
            if self.batch.is_empty() {
                return (used + parsed, Ended::InputUsed);
            }
            let (ran, ended) = self.run_batch(&mut connection.paused, session, reply, rest);
            self.state.keyspace.forget_hash();
            if ended != Ended::InputUsed {
                if ended == Ended::Held {
                    connection.output_blocked = session.blocked.is_none();
                }
                return (used + ran, ended);
            }
            used += parsed;
            if used < input.len() && self.share_is_used() {
                return (used, Ended::Yielded);
            }
        }
    }

    /// Whether the connection was served for long enough. To be asked where there is more to do: the
    /// time runs from the first asking on, so that a client that sends little costs no look at the clock.
    fn share_is_used(&mut self) -> bool {
        let now = self.state.clock.ticks();
        if self.deadline == 0 {
            self.deadline = now.saturating_add(self.share_ticks);
        }
        now >= self.deadline
    }

    /// Runs the requests of the batch; tells how far into the input those reach that were run.
    fn run_batch(
        &mut self,
        paused: &mut Option<OwnedArgs>,
        session: &mut Session,
        reply: &mut Reply,
        input: &[u8],
    ) -> (usize, Ended) {
        let count = self.batch.len();
        prepare(self.state, session, self.batch, input, &mut self.plans[..count]);
        if self.state.recorder.hot_keys.is_on() {
            self.sample_keys(session.database, input, count);
        }
        self.state.begin_batch(self.plans[0].command);
        let (ran, done, ended) = match self.watcher.is_some() {
            false => self.run_requests::<false>(paused, session, reply, input),
            true => self.run_watched(paused, session, reply, input),
        };
        let waiting = self.state.end_batch(session, ran);
        for alike in self.plans[..ran].chunk_by(|one, next| one.command == next.command) {
            if let Some(command) = alike[0].command {
                self.state.command_stats.record_waiting(command, waiting, alike.len() as u64);
            }
        }
        (done, ended)
    }

    /// Hands some of the batch's keys to the sketch of hot keys and to the ledger.
    #[cold]
    fn sample_keys(&mut self, database: usize, input: &[u8], count: usize) {
        for (index, plan) in self.plans[..count].iter().enumerate().filter(|(_, plan)| plan.has_key) {
            if self.state.recorder.hot_keys.wants_next() {
                let key = self.batch.args(index, input).at(plan.key as usize);
                let is_hit = self.state.keyspace.live(database, key).is_some();
                self.state.recorder.hot_keys.add(plan.hash, database, key);
                self.state.recorder.ledger.note_request(key, is_hit);
            }
        }
    }

    /// Runs the requests of a replay that is watched. Out of line, so that this code costs an ordinary request nothing.
    #[cold]
    #[inline(never)]
    fn run_watched(
        &mut self,
        paused: &mut Option<OwnedArgs>,
        session: &mut Session,
        reply: &mut Reply,
        input: &[u8],
    ) -> (usize, usize, Ended) {
        self.run_requests::<true>(paused, session, reply, input)
    }

    /// Runs them one after the other; tells as well how many were run. The watcher is shown each, if there is one.
    #[inline]
    fn run_requests<const WATCHED: bool>(
        &mut self,
        paused: &mut Option<OwnedArgs>,
        session: &mut Session,
        reply: &mut Reply,
        input: &[u8],
    ) -> (usize, usize, Ended) {
        let count = self.batch.len();
        let mut done = 0;
        let mut reply_start = reply.len();
        let watermark = self.watermark(input);
        for index in 0..count {
            let plan = self.plans[index];
            let args = self.batch.args(index, input);
            if plan.has_key {
                self.state.keyspace.remember_hash(args.at(plan.key as usize), plan.hash);
            }
            let flow = execute::execute_resolved(self.state, session, reply, args, plan.command);
            if WATCHED
                && flow != Flow::Paused
                && let Some(watcher) = self.watcher
            {
                watcher.ran(self.state, &Ran { session, args, reply, reply_start });
            }
            done = self.batch.end(index);
            if flow == Flow::Paused {
                // The parser may have let go of its bytes. Not `args`, which would have to be copied for every request.
                *paused = Some(self.batch.args(index, input).to_owned());
                return (index, done, self.pause(session));
            }
            let reply_end = reply.len();
            if self.is_noteworthy(session, reply_end, watermark) {
                let args = self.batch.args(index, input);
                command_sizes::note_request(self.state, session, args, reply_end.saturating_sub(reply_start));
                let ended = self.look_after_request(session, reply);
                if ended != Ended::InputUsed {
                    return (index + 1, done, ended);
                }
            }
            reply_start = reply_end;
        }
        (count, done, Ended::InputUsed)
    }

    /// Runs the request that was put off, unless it must wait again.
    fn run_paused(&mut self, paused: &mut Option<OwnedArgs>, session: &mut Session, reply: &mut Reply) -> Ended {
        let Some(request) = paused.take() else {
            return Ended::InputUsed;
        };
        let reply_start = reply.len();
        if execute::execute(self.state, session, reply, request.as_args()) == Flow::Paused {
            *paused = Some(request);
            return self.pause(session);
        }
        if let Some(watcher) = self.watcher {
            watcher.ran(self.state, &Ran { session, args: request.as_args(), reply, reply_start });
        }
        self.look_after_request(session, reply)
    }

    /// Has the client wait for the end of a pause.
    fn pause(&mut self, session: &mut Session) -> Ended {
        session.blocked = Some(Blocked::Paused);
        self.state.clients.pause(session.token);
        Ended::Held
    }

    /// Bytes of replies from which on a request of this batch is looked after: to keep limits, and to log large
    /// replies. None where a request may be large.
    fn watermark(&self, input: &[u8]) -> u64 {
        let logs = &self.state.command_logs;
        if self.batch.request_bytes_max(input) >= logs.request_bytes_min {
            return 0;
        }
        logs.reply_bytes_min.min(UNAUTHENTICATED_OUTPUT_MAX_BYTES + 1)
    }

    /// Whether a request that has run has to be looked after.
    #[inline]
    fn is_noteworthy(&self, session: &Session, reply_end: usize, watermark: u64) -> bool {
        session.close != Close::No
            || session.blocked.is_some()
            || reply_end as u64 >= watermark
            || self.state.output_limited()
            || self.state.yields
    }

    /// Whether the client's next request may run at once.
    #[cold]
    fn look_after_request(&mut self, session: &mut Session, reply: &Reply) -> Ended {
        if session.close != Close::No {
            return Ended::Closing;
        }
        if session.blocked.is_some() {
            return Ended::Held;
        }
        self.check_client_limits(session, reply)
    }

    /// What the replies that wait, and a slow request, allow: go on, wait, or give the client up.
    fn check_client_limits(&mut self, session: &mut Session, reply: &Reply) -> Ended {
        let yields = std::mem::take(&mut self.state.yields);
        if output_limits::output_limit_reached(self.state, session, reply.len()) {
            session.close = Close::Now;
            Ended::Closing
        } else if reply.len() > self.backpressure_bytes {
            Ended::Held
        } else if yields {
            Ended::Yielded
        } else {
            Ended::InputUsed
        }
    }

    /// Gives a client up whose unfinished request, with those that it has queued, has grown beyond the limit.
    fn check_query_limit(&mut self, connection: &Connection, session: &mut Session, ended: Ended) -> Ended {
        let limit = self.state.config.client_query_buffer_limit;
        let queued = match &session.transaction {
            Some(transaction) => transaction.memory(),
            None if connection.input.is_empty() && !connection.parser.is_mid_request() => {
                return ended;
            }
            None => 0,
        };
        let held = connection.input.len() + connection.parser.pending_bytes() + queued;
        if held as u64 <= limit || ended == Ended::Held {
            return ended;
        }
        warn!("Closing client that reached max query buffer length: {}", session.address.peer);
        self.state.stats.client_query_buffer_limit_disconnections += 1;
        session.close = Close::Now;
        Ended::Closing
    }
}
