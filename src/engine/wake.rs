//! Waking clients that wait: a key is ready, the deadline has passed, or somebody says so.

use crate::engine::propagation;
use crate::command::error::CommandError;
use crate::engine::call;
use crate::engine::effects;
use crate::engine::state::Instance;
use crate::keyspace::InterestId;
use crate::engine::session::{Blocked, Close, Session, Token};

/// Why a client stops waiting without having been served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It gets what its command replies when the time is over.
    TimedOut,
    /// CLIENT UNBLOCK with ERROR.
    Unblocked,
}

/// Runs the requests of those who wait for a key again, the first come first, for as long as the key has what they wait for.
///
/// What they change is in the log afterwards. A change of this very key calls for no second round: whoever was passed over
/// had looked at a key of another type, or wants more than such a request can bring.
pub fn serve_key(instance: &mut Instance, id: InterestId) {
    let Some((database, key)) = instance.keyspace.changes.interest().key(id) else {
        return;
    };
    instance.blocking.queues.begin(id);
    loop {
        // Asked again for each: the one before may have taken the last element.
        let record = instance.keyspace.peek(database, &key);
        let type_name = record.map(|record| record.value().type_name());
        let Some(token) = instance.blocking.queues.next(id, type_name) else {
            return;
        };
        if let Some(mut session) = instance.clients.lend(token) {
            // To one that is being closed nobody could deliver what is taken out for it.
            if session.close == Close::No {
                run_again(instance, &mut session);
                propagation::end_unit_of(instance, &mut session, true);
            }
            instance.clients.restore(session);
        }
    }
}

fn run_again(instance: &mut Instance, session: &mut Session) {
    let mut reply = std::mem::take(&mut session.reply);
    call::resume(instance, session, &mut reply);
    session.reply = reply;
    if session.blocked != Some(Blocked::Keys) {
        go_on(instance, session);
    }
}

/// Has the client's reply sent, and what it has asked for meanwhile served.
pub fn go_on(instance: &mut Instance, session: &mut Session) {
    instance.clients.queue_flush(session);
    instance.clients.queue_resume(session.token);
    if session.close != Close::No {
        instance.clients.queue_close(session.token);
    }
}

/// Serves every key that somebody waits for: for the end of CLIENT PAUSE, which may have kept some from being served.
pub fn serve_all(instance: &mut Instance) {
    instance.blocking.signal_all();
    effects::changes(instance);
}

/// Runs a client's request again because it is time to; it asks for another time if it finds nothing.
fn look_again(instance: &mut Instance, token: Token) {
    let Some(mut session) = instance.clients.lend(token) else {
        return;
    };
    instance.blocking.look_again_at(&mut session, None);
    if session.waiting.is_some() && session.close == Close::No {
        // What it changes is told of when it is back among the others.
        instance.nesting += 1;
        run_again(instance, &mut session);
        instance.nesting -= 1;
        propagation::end_unit_of(instance, &mut session, true);
    }
    instance.clients.restore(session);
    effects::changes(instance);
}

/// Runs the requests of those again who wait for the disk, on which more is now.
pub fn look_at_disk(instance: &mut Instance) {
    instance.blocking.seen_disk = instance.aof.on_disk();
    let waiting = std::mem::take(&mut instance.blocking.for_disk);
    waiting
        .iter()
        .for_each(|token| look_again(instance, *token));
    let waits = |token: &Token| {
        let session = instance.clients.get(*token);
        session.is_some_and(|session| session.waiting.is_some())
    };
    let still: Vec<Token> = waiting.into_iter().filter(waits).collect();
    instance.blocking.for_disk.extend(still);
}

/// Ends a client's wait without serving it; tells whether it waited for keys.
pub fn end(instance: &mut Instance, token: Token, ending: Ending) -> bool {
    let Some(mut session) = instance.clients.lend(token) else {
        return false;
    };
    let waiting = match session.close {
        Close::No => instance.stop_waiting(&mut session),
        Close::AfterReply | Close::Now => None,
    };
    let waited = waiting.is_some();
    if let Some(waiting) = waiting {
        let error = (ending == Ending::Unblocked).then_some(CommandError::fixed(
            "UNBLOCKED client unblocked via CLIENT UNBLOCK",
        ));
        let mut reply = std::mem::take(&mut session.reply);
        call::conclude(instance, &mut session, &mut reply, *waiting, error);
        session.reply = reply;
        go_on(instance, &mut session);
    }
    instance.clients.restore(session);
    waited
}

/// Runs the requests again that wait for a time, and ends the waits whose deadlines have passed.
pub fn run_timeouts(instance: &mut Instance) {
    for token in instance.blocking.due_looks(instance.now_ms()) {
        look_again(instance, token);
    }
    while let Some(token) = instance.blocking.next_overdue(instance.now_ms()) {
        end(instance, token, Ending::TimedOut);
    }
}
