//! Following what cannot be written at present, and the requests whose replies may reveal it.

use crate::command::registry::CommandId;
use crate::command::spec::Flag;
use crate::engine::session::Session;
use crate::engine::state::ServerState;
use crate::engine::unflushed_keys::UnflushedKeys;
use crate::resp::Args;
use crate::storage::aof::{AppendedReader, Found};

/// Looks at what was gathered and cannot be written. O(bytes of that that are new).
#[cold]
pub fn note_unflushed(state: &mut ServerState) {
    if state.aof.failure.is_none() {
        state.unflushed = None;
        return;
    }
    let mut unflushed = state.unflushed.take().unwrap_or_else(|| UnflushedKeys::new(state.keyspace.seed()));
    let log = &state.keyspace.changes.propagation.log;
    let unread = state.aof.reader.as_ref().map(|reader| log.unread_from(reader, unflushed.seen));
    let mut unread = unread.into_iter().flatten();
    let mut reader = AppendedReader::default();
    // INVARIANT: whole commands were gathered.
    while let Ok(found) = reader.advance() {
        match found {
            Found::Incomplete => match unread.next() {
                Some(bytes) => reader.feed(bytes),
                None => break,
            },
            Found::Time(_) | Found::BadTime | Found::History(_) | Found::Annotation => {}
            Found::Command => {
                let words: Vec<&[u8]> = reader.arguments().collect();
                let args = Args::from_slices(&words);
                if let Some(command) = state.commands.resolve(args.at(0), args.get(1)) {
                    unflushed.note(command, args);
                }
            }
        }
    }
    unflushed.seen = log.end();
    state.unflushed = Some(unflushed);
}

/// A client makes a request: a reply that may reveal what cannot be written has to wait for it.
#[cold]
pub fn note_dependence(state: &ServerState, session: &mut Session, args: Args<'_>, resolved: Option<CommandId>) {
    let (Some(unflushed), Some(command)) = (&state.unflushed, resolved) else {
        return;
    };
    let command = state.commands.get(command);
    let is_queued = session.transaction.is_some() && !command.flags.has(Flag::RunsQueue);
    if !is_queued && unflushed.shows_in(command, args) {
        session.sees_unflushed = true;
    }
}
