//! A primary that was started again: which history its data belong to.
//!
//! It begins a history of its own, since nobody knows whether the file had all that replicas were sent. The one that it
//! was loaded from is its second: replicas go on with that one if they are not ahead. And should this server be told to
//! follow one of them, as Sentinels tell it after they have promoted another server, it goes on with the first history
//! as well, as long as its data are what was loaded.

use crate::drive::replication::primary;
use crate::engine::propagation;
use crate::engine::replication::Restored;
use crate::engine::state::ServerState;
use crate::keyspace::Target;
use crate::replication::Position;
use crate::resp::{Batch, Limits, Parser};

/// After so many bytes of the stream it is not looked any more whether they say anything of the data.
const QUIET_MAX_BYTES: u64 = 1 << 20;

/// Commands of the stream that change no data: messages, and what servers tell each other.
const QUIET: [&[u8]; 5] = [b"publish", b"spublish", b"ping", b"select", b"replconf"];

/// The data are loaded, and this server is a primary. Replicas from before its restart may go on if they have all that
/// was loaded.
pub(super) fn go_on_as_primary(state: &mut ServerState) {
    let Some(loaded) = state.replication.loaded.take() else { return };
    primary::adopt_history(state, loaded.position);
    let id = state.new_history_id();
    state.replication.identity.branch(id, loaded.position.offset);
    primary::begin_backlog(state, false);
    let expired = std::mem::take(&mut state.replication.expired_at_load);
    // Without these keys the data are no longer what they were at that place.
    let changes = state.keyspace.changes.total();
    state.replication.restored = expired.is_empty().then_some(Restored { history: loaded, changes });
    // The replicas have the keys that were left out here.
    let propagation = &mut state.keyspace.changes.propagation;
    for (database, key) in expired {
        propagation.delete(database, &key);
    }
    propagation::end_unit(state, false);
}

/// This server is to follow another one. If its data are still those of the history that they were loaded from, it goes
/// back to that history: gives the place there, and the database that the stream had selected.
pub(super) fn go_back(state: &mut ServerState) -> Option<(Position, usize)> {
    let Restored { history: loaded, changes } = state.replication.restored.take()?;
    let is_known = state.replication.identity.second_id == loaded.position.id;
    let is_same = changes == state.keyspace.changes.total() && is_quiet_since(state, loaded.position.offset);
    // Replicas may have been sent messages in the history that is given up.
    if !is_known || !is_same || state.replication.primary.has_replicas() {
        return None;
    }
    log::info!("Nothing was written since the start: going back to the history that was loaded");
    primary::adopt_history(state, loaded.position);
    Some((loaded.position, loaded.database.unwrap_or(0)))
}

/// Whether the stream since an offset says nothing of the data.
fn is_quiet_since(state: &mut ServerState, offset: u64) -> bool {
    if state.replication_offset() - offset > QUIET_MAX_BYTES {
        return false;
    }
    let log = &mut state.keyspace.changes.propagation.log;
    let Some(reader) = log.attach_at(Target::Replicas, offset) else { return false };
    let stream: Vec<u8> = log.unread(&reader).flatten().copied().collect();
    log.detach(reader);
    is_quiet(&stream)
}

/// Whether bytes of a stream are whole commands, none of which changes data.
fn is_quiet(mut stream: &[u8]) -> bool {
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    let limits = Limits { authenticated: true, max_bulk_bytes: QUIET_MAX_BYTES };
    while !stream.is_empty() {
        let Ok(taken) = parser.parse(stream, &limits, &mut batch) else { return false };
        let is_quiet = |index| QUIET.iter().any(|name| batch.args(index, stream).at(0).eq_ignore_ascii_case(name));
        if batch.is_empty() || !(0..batch.len()).all(is_quiet) {
            return false;
        }
        stream = &stream[taken..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(commands: &[&[&str]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for words in commands {
            let words = words.iter().map(|word| word.as_bytes());
            crate::keyspace::change_log::unit::encode(&mut bytes, words.len(), words);
        }
        bytes
    }

    #[test]
    fn messages_and_signs_of_life_change_nothing() {
        assert!(is_quiet(b""));
        let message: &[&str] = &["PUBLISH", "channel", "text"];
        let quiet = [&["SELECT", "0"], message, &["PING"], &["REPLCONF", "GETACK", "*"]];
        // More commands than fit one batch.
        assert!(is_quiet(&stream(&quiet.repeat(100))));
        assert!(!is_quiet(&stream(&[message, &["SET", "a", "1"], message])));
        assert!(!is_quiet(&stream(&[message, &["MULTI"], &["EXEC"]])));
        let cut = stream(&quiet);
        assert!(!is_quiet(&cut[..cut.len() - 1]), "what is cut may be anything");
        assert!(!is_quiet(b"SET a 1\r\n") && !is_quiet(b"*1\r\n$x"));
    }
}
