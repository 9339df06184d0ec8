//! Looking ahead: what a batch of requests will need of memory is fetched while the first of them has not run yet.
//!
//! The lines that a request needs hang one on the other: the bucket of its key leads to the record, the record of a
//! large collection to the bucket of the member, that one to the member. So the batch is gone through once for each
//! step, and all requests' lines of that step travel from memory side by side.

use crate::command::registry::{Command, CommandId};
use crate::engine::session::Session;
use crate::engine::state::ServerState;
use crate::resp::Batch;

/// What is known of a request before it runs.
#[derive(Clone, Copy, Default)]
pub struct Plan {
    pub command: Option<CommandId>,
    pub has_key: bool,
    /// Which argument the key is.
    pub key: u8,
    /// Which argument is looked up in the collection at the key; 0: none.
    member: u8,
    pub hash: u64,
}

/// Looks up the commands of a batch, works out the hashes of their keys and has the tables' cache lines fetched: all
/// buckets first, then all records, then what large collections need.
#[inline]
pub fn prepare(state: &ServerState, session: &Session, batch: &Batch, input: &[u8], plans: &mut [Plan]) {
    let database = session.database;
    let mut known: Option<(&[u8], &Command)> = None;
    let mut any_member = 0;
    for (index, plan) in plans.iter_mut().enumerate() {
        *plan = Plan::default();
        let args = batch.args(index, input);
        let command = match known {
            // A pipeline mostly repeats one command, which is then looked up once.
            Some((name, command)) if name == args.at(0) => command,
            _ => match state.commands.resolve(args.at(0), args.get(1)) {
                Some(command) => command,
                None => continue,
            },
        };
        let is_whole = command.parent.is_none() && command.subcommands.is_empty();
        known = is_whole.then_some((args.at(0), command));
        plan.command = Some(command.id);
        if command.first_key > 0
            && let Some(key) = args.get(command.first_key as usize)
        {
            plan.has_key = true;
            plan.key = command.first_key;
            plan.member = command.spec.member;
            any_member |= plan.member;
            plan.hash = state.keyspace.hash(key);
            state.keyspace.prefetch_bucket(database, plan.hash);
        }
    }
    if plans.len() > 1 {
        for plan in plans.iter().filter(|plan| plan.has_key) {
            state.keyspace.prefetch_record(database, plan.hash);
        }
        if any_member > 0 {
            prepare_members(state, session, batch, input, plans);
        }
    }
}

/// Prefetches the members that the requests look up in large collections.
fn prepare_members(state: &ServerState, session: &Session, batch: &Batch, input: &[u8], plans: &[Plan]) {
    let keyspace = state.keyspace.database(session.database);
    let mut found = arrayvec::ArrayVec::<_, { crate::resp::BATCH_MAX }>::new();
    for (index, plan) in plans.iter().enumerate().filter(|(_, plan)| plan.member > 0) {
        let args = batch.args(index, input);
        let Some(member) = args.get(plan.member as usize) else {
            continue;
        };
        let record = keyspace.get(plan.hash, args.at(plan.key as usize));
        if let Some(object) = record.and_then(|record| record.value().object())
            && let Some(hash) = object.prefetch_bucket(member)
        {
            found.push((object, hash));
        }
    }
    for (object, hash) in found {
        object.prefetch_entry(hash);
    }
}
