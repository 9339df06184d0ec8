//! The primary's stream: its commands are applied in batches, as a client's are, and its bytes are passed on as they
//! are.
//!
//! What was applied, and counts, ends with a command, or with the EXEC of a transaction. So a link that is lost in
//! between goes on from before it.

use crate::base::logging;
use crate::command::registry::CommandId;
use crate::command::spec::Flag;
use crate::config::PropagationErrorBehavior;
use crate::engine::apply;
use crate::engine::prepare::{Plan, prepare};
use crate::engine::replication::PrimaryClient;
use crate::engine::session::{Close, Session};
use crate::engine::state::ServerState;
use crate::engine::wake;
use crate::keyspace::Targets;
use crate::replication::link::Action;
use crate::resp::{Args, BATCH_MAX, Limits, Reply};
use crate::storage::aof::append_only::State;

/// The primary is trusted with whatever it has itself.
const LIMITS: Limits = Limits { authenticated: true, max_bulk_bytes: u64::MAX };

/// Time between two log lines about a failing disk, in ms.
const DISK_LOG_PERIOD_MS: i64 = 10_000;

/// How far applying has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// All that has come, but for what is not whole.
    All,
    /// The time is over.
    More,
    /// The stream stands still for now.
    Held,
}

/// Why the stream cannot go on.
pub(super) enum Trouble {
    /// It is none.
    NoStream(String),
    /// What it asks for cannot be done here.
    Inapplicable(String),
}

/// Whether the stream stands still: clients are paused, or a script holds up all commands.
pub(super) fn is_held(state: &ServerState) -> bool {
    state.now_ms() < state.pause.until_ms
        || state.scripting.busy().is_some()
        || state.scripting.debugged.is_exclusive()
        || state.is_amid_unit()
}

/// Applies commands until the deadline, in ticks; gives how many bytes were taken.
pub(super) fn apply(state: &mut ServerState, input: &[u8], deadline: u64) -> (usize, Result<Applied, Trouble>) {
    let client = state.replication.replica.as_mut().and_then(|side| side.client.take());
    let Some(mut client) = client else { return (0, Ok(Applied::All)) };
    let mut used = 0;
    let outcome = loop {
        if is_held(state) {
            break Ok(Applied::Held);
        }
        match apply_batch(state, &mut client, &input[used..]) {
            Err(trouble) => break Err(trouble),
            Ok((taken, count)) => {
                used += taken;
                if count == 0 || used == input.len() {
                    break Ok(Applied::All);
                }
            }
        }
        if state.clock.ticks() >= deadline {
            break Ok(Applied::More);
        }
    };
    let now_ms = state.now_ms();
    client.session.last_interaction_ms = now_ms;
    client.session.traffic.input_bytes += used as u64;
    if let Some(side) = &mut state.replication.replica {
        side.client = Some(client);
        side.link.note_input(now_ms);
    }
    state.note_appended();
    (used, outcome)
}

/// Tells the primary what was applied, and what of it is on the disk.
pub(super) fn acknowledge(state: &mut ServerState) {
    let (now_ms, fsynced) = (state.now_ms(), fsynced(state));
    let Some(side) = &mut state.replication.replica else { return };
    let mut actions = Vec::new();
    side.link.acknowledge(now_ms, fsynced, &mut actions);
    if let (Some(token), Some(Action::Send(bytes))) = (side.connection, actions.first()) {
        state.outbounds.write_with(token, |output| output.extend_from_slice(bytes));
    }
}

/// How much of the stream is on the disk; none without an append-only file.
pub(super) fn fsynced(state: &mut ServerState) -> Option<u64> {
    let (synced, is_all) = state.aof.on_disk();
    let side = state.replication.replica.as_mut()?;
    match state.aof.state() {
        State::Off => None,
        State::Starting => Some(0),
        State::On => Some(if is_all { side.fsynced(synced) } else { 0 }),
    }
}

/// Applies up to one batch of commands; gives how many bytes were taken, and how many commands were run.
fn apply_batch(state: &mut ServerState, client: &mut PrimaryClient, input: &[u8]) -> Result<(usize, usize), Trouble> {
    let PrimaryClient { session, parser, batch, unapplied } = client;
    let mut is_begun = parser.is_mid_request();
    let parsed = parser.parse(input, &LIMITS, batch);
    let parsed = parsed.map_err(|error| Trouble::NoStream(format!("Protocol error from master: {error}")))?;
    let count = batch.len();
    if count == 0 {
        check_form(is_begun, &input[..parsed])?;
        unapplied.extend_from_slice(&input[..parsed]);
        return Ok((parsed, 0));
    }
    let mut plans = [Plan::default(); BATCH_MAX];
    prepare(state, session, batch, input, &mut plans[..count]);
    let writes = |plan: &Plan| plan.command.is_some_and(|id| state.commands.get(id).flags.has(Flag::Write));
    if state.denies_writes() && plans[..count].iter().any(writes) {
        note_failing_disk(state);
    }
    state.begin_batch(plans[0].command);
    let mut progress = Progress { begun: state.replication_offset(), pending: unapplied.len(), settled: 0, end: 0 };
    let mut ran = 0;
    let mut result = Ok(());
    for (index, plan) in plans[..count].iter().enumerate() {
        result = check_form(std::mem::take(&mut is_begun), &input[progress.end..batch.end(index)]);
        if result.is_ok() {
            let args = batch.args(index, input);
            if plan.has_key {
                state.keyspace.remember_hash(args.at(plan.key as usize), plan.hash);
            }
            result = apply_one(state, session, args, plan.command, &progress);
        }
        if result.is_err() {
            break;
        }
        ran += 1;
        progress.end = batch.end(index);
        if session.transaction.is_none() {
            progress.settled = progress.end;
        }
        if is_held(state) {
            break;
        }
    }
    state.keyspace.forget_hash();
    state.end_batch(session, ran);
    let taken = if ran == count { parsed } else { progress.end };
    settle(state, unapplied, &input[..taken], progress.settled);
    result.map(|()| (taken, ran))
}

/// What is applied cannot be saved, or not be appended to the file.
#[cold]
fn note_failing_disk(state: &mut ServerState) {
    if !state.config.replica_ignore_disk_write_errors {
        log::warn!("Replica was unable to write command to disk.");
        return state.disk.files().end_process();
    }
    let now_ms = state.now_ms();
    if let Some(side) = &mut state.replication.replica
        && now_ms - side.disk_logged_ms >= DISK_LOG_PERIOD_MS
    {
        side.disk_logged_ms = now_ms;
        log::warn!("Replica is applying a command it is unable to write to disk.");
    }
}

/// How far a batch has come.
struct Progress {
    /// The offset of the stream when the batch began.
    begun: u64,
    /// Bytes before the batch that were not applied.
    pending: usize,
    /// What was applied ends there in the input.
    settled: usize,
    /// The command that was run last ends there in the input.
    end: usize,
}

impl Progress {
    /// The offset up to which all is applied.
    fn offset(&self) -> u64 {
        let applied = if self.settled > 0 { self.pending + self.settled } else { 0 };
        self.begun + applied as u64
    }
}

/// Passes on what was applied, and keeps the rest of what was taken.
fn settle(state: &mut ServerState, unapplied: &mut Vec<u8>, taken: &[u8], settled: usize) {
    if settled > 0 {
        let log = &mut state.keyspace.changes.propagation.log;
        log.append_raw(Targets::REPLICAS, unapplied);
        log.append_raw(Targets::REPLICAS, &taken[..settled]);
        unapplied.clear();
        unapplied.shrink_to(BATCH_MAX * 1024);
        let offset = state.replication_offset();
        if let Some(side) = &mut state.replication.replica {
            side.link.applied(offset);
        }
    }
    unapplied.extend_from_slice(&taken[settled..]);
}

/// Only requests in the form of arrays make a stream; empty lines between them mean nothing.
fn check_form(is_begun: bool, bytes: &[u8]) -> Result<(), Trouble> {
    let first = bytes.iter().find(|byte| !matches!(byte, b'\r' | b'\n'));
    match first {
        None | Some(b'*') => Ok(()),
        Some(_) if is_begun => Ok(()),
        Some(_) => Err(Trouble::NoStream("Protocol error from master: a line that is no command".into())),
    }
}

fn apply_one(
    state: &mut ServerState,
    session: &mut Session,
    args: Args<'_>,
    command: Option<CommandId>,
    progress: &Progress,
) -> Result<(), Trouble> {
    if args.at(0).eq_ignore_ascii_case(b"replconf") {
        if args.get(1).is_some_and(|option| option.eq_ignore_ascii_case(b"getack")) {
            if let Some(side) = &mut state.replication.replica {
                side.link.applied(progress.offset());
            }
            acknowledge(state);
        }
        return Ok(());
    }
    let errors = state.error_stats.total();
    let mut reply = std::mem::take(&mut session.reply);
    let policy = session.policy;
    session.last_command = command;
    state.with_policy(policy, |state| apply::request(state, session, &mut reply, args, command));
    if !state.is_amid_unit() && state.blocking.has_ready() {
        wake::serve_ready(state);
    }
    session.close = Close::No;
    let result = match state.error_stats.total() == errors {
        true => Ok(()),
        false => complain(state, &reply, args),
    };
    reply.clear();
    session.reply = reply;
    result
}

/// A command has failed here that has not failed at the primary.
#[cold]
fn complain(state: &mut ServerState, reply: &Reply, args: Args<'_>) -> Result<(), Trouble> {
    let bytes = reply.to_vec();
    let text = error_in(&bytes);
    let name = logging::user_data(args.at(0));
    if args.at(0).eq_ignore_ascii_case(b"select") {
        return Err(Trouble::Inapplicable(format!(
            "The primary uses database {}, and there are {} here (see `databases`): it cannot be followed",
            args.get(1).map(logging::user_data).unwrap_or_default(),
            state.keyspace.count()
        )));
    }
    state.stats.unexpected_errors += 1;
    log::warn!(
        "== CRITICAL == This replica is sending an error to its master: '{}' after processing the command '{name}'",
        logging::user_data(text)
    );
    // Where clients write as well, such errors are to be expected.
    let matters = state.config.replica_read_only;
    if matters && state.config.propagation_error_behavior != PropagationErrorBehavior::Ignore {
        log::warn!("This replica panicked sending an error to its master");
        state.disk.files().end_process();
    }
    Ok(())
}

/// The first error in a reply, without its end.
fn error_in(reply: &[u8]) -> &[u8] {
    let start = match reply.starts_with(b"-") {
        true => Some(0),
        false => memchr::memmem::find(reply, b"\n-").map(|place| place + 1),
    };
    let rest = &reply[start.map_or(reply.len(), |start| start + 1)..];
    rest.split(|byte| *byte == b'\r').next().unwrap_or_default()
}
