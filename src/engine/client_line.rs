//! The line of `name=value` fields that stands for a client in CLIENT LIST, CLIENT INFO and ACL LOG.

use std::io::Write;

use crate::command::registry::CommandId;
use crate::engine::context::Context;
use crate::engine::origin::Origin;
use crate::engine::pubsub::ChannelKind;
use crate::engine::session::{Close, Mode, Session};
use crate::engine::state::ServerState;
use crate::engine::tracking::{Tracker, TrackingMode};
use crate::resp::{Args, Protocol, Reply};

/// Replies waiting for a client are shown in two parts, as clients know it from Redis: up to so many
/// bytes as `obl`, what is beyond in pieces of this size as `oll` and `omem`.
const REPLY_PIECE_BYTES: usize = 16 * 1024;

/// A client as a line shows it. The caller of CLIENT LIST is out on loan: its replies, its command
/// and the arguments of that are not where those of the others are.
pub struct Portrait<'a> {
    pub session: &'a Session,
    reply: &'a Reply,
    command: Option<CommandId>,
    argument_bytes: usize,
    is_caller: bool,
}

impl<'a> Portrait<'a> {
    /// The client whose command runs.
    pub fn of_caller(context: &'a Context<'_>, args: Args<'_>) -> Portrait<'a> {
        Portrait {
            session: context.session,
            reply: context.reply,
            command: context.session.last_command.or(Some(context.command)),
            argument_bytes: args.total_bytes(),
            is_caller: true,
        }
    }

    /// A client whose command does not run at present.
    pub fn of_other(session: &'a Session) -> Portrait<'a> {
        Portrait {
            session,
            reply: &session.reply,
            command: session.last_command,
            argument_bytes: session.traffic.argument_bytes + waiting_bytes(session),
            is_caller: false,
        }
    }

    /// All memory held for the client, in bytes. The session of one that waits or is sending knows of its arguments
    /// itself.
    fn total_memory(&self) -> usize {
        let known = self.session.traffic.argument_bytes + waiting_bytes(self.session);
        let beyond = self.argument_bytes.saturating_sub(known);
        self.session.memory() + self.reply.memory() + beyond
    }
}

/// Bytes of the arguments with which a client waits.
fn waiting_bytes(session: &Session) -> usize {
    let waiting = session.waiting.as_ref();
    waiting.map_or(0, |waiting| waiting.request.as_args().total_bytes())
}

/// The caller's line without its end, as ACL LOG shows it.
pub fn line_of_caller(context: &Context<'_>, args: Args<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    write_line(&mut text, context.state, &Portrait::of_caller(context, args));
    text.pop();
    text
}

/// The same of a client whose command does not run at present.
pub fn line_of_other(state: &ServerState, session: &Session) -> Vec<u8> {
    let mut text = Vec::new();
    write_line(&mut text, state, &Portrait::of_other(session));
    text.pop();
    text
}

/// Writes a client's line, with its end.
pub fn write_line(text: &mut Vec<u8>, state: &ServerState, portrait: &Portrait<'_>) {
    let Portrait { session, reply, .. } = *portrait;
    let tracker = state.tracking.tracker(session.id);
    write_identity(text, session, &flags(state, session), state.now_ms());
    let pending_bytes = reply.len();
    let first_bytes = pending_bytes.min(REPLY_PIECE_BYTES);
    let beyond_bytes = pending_bytes - first_bytes;
    let is_blocked_writing = pending_bytes > 0 && !session.flush_queued;
    let events = if is_blocked_writing && !portrait.is_caller { "rw" } else { "r" };
    let command = portrait.command.map_or("NULL", |id| &state.commands.get(id).full_name);
    let protocol = if reply.protocol() == Protocol::Resp3 { 3 } else { 2 };
    let traffic = &session.traffic;
    let subscribed = |topic| {
        let subscriptions = session.subscriptions.as_ref();
        subscriptions.map_or(0, |subscriptions| subscriptions.of(topic).len())
    };
    let unit = session.unit();
    // INVARIANT: writing to memory does not fail.
    let _ = write!(
        text,
        " db={} sub={} psub={} ssub={} multi={} qbuf={} qbuf-free={} argv-mem={} multi-mem={} rbs={} rbp={} \
         obl={first_bytes} oll={} omem={beyond_bytes} tot-mem={} events={events} cmd={command} user={} \
         redir={} resp={protocol}",
        session.database,
        subscribed(ChannelKind::Channel),
        subscribed(ChannelKind::Pattern),
        subscribed(ChannelKind::ShardChannel),
        unit.map_or(-1, |unit| unit.commands as i64),
        traffic.query_bytes,
        traffic.query_free_bytes,
        portrait.argument_bytes,
        unit.map_or(0, |unit| unit.bytes),
        reply.capacity().min(REPLY_PIECE_BYTES),
        session.reply_peak_bytes.max(pending_bytes).min(REPLY_PIECE_BYTES),
        beyond_bytes.div_ceil(REPLY_PIECE_BYTES),
        portrait.total_memory(),
        session.user,
        tracker.map_or(-1, Tracker::shown_redirect),
    );
    text.extend_from_slice(b" lib-name=");
    text.extend_from_slice(&session.library_name);
    text.extend_from_slice(b" lib-ver=");
    text.extend_from_slice(&session.library_version);
    text.push(b'\n');
}

fn write_identity(text: &mut Vec<u8>, session: &Session, flags: &str, now_ms: i64) {
    // INVARIANT: writing to memory does not fail.
    let _ = write!(
        text,
        "id={} addr={} laddr={} fd={} name=",
        session.id, session.address.peer, session.address.local, session.descriptor
    );
    text.extend_from_slice(&session.name);
    let _ = write!(text, " age={} idle={} flags={flags}", session.age_s(now_ms), session.idle_s(now_ms),);
    // Only of clients that have one: other lines stay as Redis's.
    if session.follows_redirects {
        text.extend_from_slice(b" capa=r");
    }
}

/// One letter for each thing that is special about a client, or `N`.
pub fn flags(state: &ServerState, session: &Session) -> String {
    let tracker = state.tracking.tracker(session.id);
    let is_broken = tracker.is_some_and(|tracker| tracker.is_broken);
    let broadcasts = tracker.is_some_and(|tracker| tracker.mode == TrackingMode::Broadcast);
    let watches = &state.transactions.watches;
    let letters = [
        (session.mode == Mode::Replica, 'S'),
        (session.mode == Mode::Monitor, 'O'),
        (session.origin == Origin::Primary, 'M'),
        (session.subscriptions.is_some(), 'P'),
        (session.unit().is_some(), 'x'),
        (session.blocked.is_some(), 'b'),
        (tracker.is_some(), 't'),
        (is_broken, 'R'),
        (broadcasts, 'B'),
        (watches.is_touched(session), 'd'),
        (session.close == Close::AfterReply, 'c'),
        (session.close == Close::Now, 'A'),
        (session.address.unix, 'U'),
        (session.is_readonly, 'r'),
        (session.no_evict, 'e'),
        (session.no_touch, 'T'),
        (session.imports, 'I'),
    ];
    let flags: String = letters.iter().filter(|(applies, _)| *applies).map(|(_, letter)| letter).collect();
    if flags.is_empty() { "N".to_string() } else { flags }
}
