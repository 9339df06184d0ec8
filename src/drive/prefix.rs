//! Jobs over all keys with a prefix (PREFIX): walked over a pinned version, so that nobody waits; what changed
//! meanwhile is left alone.
//!
//! A key is changed by the plain command that does it, run in the job's name: so it is published, tracked, replicated
//! and appended as that command is.

use crate::acl::Users;
use crate::engine::apply;
use crate::engine::enforcement;
use crate::engine::origin::Origin;
use crate::engine::prefix_jobs::{PrefixJob, PrefixState, PrefixWork};
use crate::engine::session::{Session, Token};
use crate::engine::state::ServerState;
use crate::engine::wake;
use crate::net::address::Address;
use crate::resp::{Args, Protocol, Reply};

/// Keys that one step changes.
const CHANGED_AT_ONCE: usize = 16;
/// Records that one step releases.
const RELEASED_AT_ONCE: usize = 256;
/// A token that no client has.
const NOBODY: Token = Token { slot: u32::MAX, generation: 0 };

/// Does a piece of the first job: some ten microseconds' worth. Says whether there is more to do. What writes waits
/// while clients' writes do.
pub fn step(state: &mut ServerState) -> bool {
    if !state.prefix_jobs.have_work() {
        return false;
    }
    let has_more = state.prefix_jobs.release_step(RELEASED_AT_ONCE);
    let now_ms = state.now_ms();
    let Some(mut job) = state.prefix_jobs.take_first() else {
        return has_more;
    };
    if job.report.work.writes() && state.replication.is_replica() {
        state.prefix_jobs.end(job, PrefixState::Demoted, now_ms);
        return true;
    }
    if job.report.work.writes() && state.keyspace_paused() {
        state.prefix_jobs.go_on(job);
        return false;
    }
    if !job.found.is_empty() {
        change_some(state, &mut job);
    } else if !walk(&mut job, now_ms) {
        state.prefix_jobs.end(job, PrefixState::Done, now_ms);
        return true;
    }
    state.prefix_jobs.go_on(job);
    true
}

/// Looks at the next keys; says whether there were any. O(1), at most some hundred keys.
fn walk(job: &mut PrefixJob, now_ms: i64) -> bool {
    let PrefixJob { report, version, found } = job;
    let is_there = version.database().is_some();
    version.next_records(|record| {
        report.counts.walked += 1;
        if !record.key().starts_with(&report.prefix) || record.is_due(now_ms) {
            return;
        }
        report.counts.matched += 1;
        match report.work {
            PrefixWork::Count => {}
            PrefixWork::Memory => report.counts.bytes += record.memory_with_table_bytes() as u64,
            _ => found.push(record.clone()),
        }
    });
    is_there
}

/// Changes some of the keys that were found, unless something else has changed them.
fn change_some(state: &mut ServerState, job: &mut PrefixJob) {
    let user = Users::unrestricted(enforcement::acl_context(state));
    let mut session = Session::new(0, NOBODY, Address::default(), state.now_ms(), user, Origin::Job);
    session.database = job.report.database;
    let mut reply = Reply::new(Protocol::Resp2);
    for _ in 0..CHANGED_AT_ONCE {
        let Some(record) = job.found.pop() else { break };
        if !state.keyspace.has_still(job.report.database, &record) {
            job.report.counts.left_alone += 1;
            continue;
        }
        let key = record.key().to_vec();
        // The key may be changed in place now.
        drop(record);
        job.report.counts.changed += u64::from(change(state, &mut session, &mut reply, &job.report.work, &key));
    }
    wake::serve_ready(state);
}

/// Changes a key; says whether that changed anything.
fn change(state: &mut ServerState, session: &mut Session, reply: &mut Reply, work: &PrefixWork, key: &[u8]) -> bool {
    let time;
    let mut words: Vec<&[u8]> = match work {
        PrefixWork::Count | PrefixWork::Memory => return false,
        PrefixWork::Unlink => vec![b"UNLINK", key],
        PrefixWork::Persist => vec![b"PERSIST", key],
        PrefixWork::Expire { at_ms, .. } => {
            time = at_ms.to_string();
            vec![b"PEXPIREAT", key, time.as_bytes()]
        }
    };
    if let PrefixWork::Expire { condition: Some(condition), .. } = work {
        words.push(condition.as_bytes());
    }
    let resolved = state.commands.find(words[0]).map(|command| command.id);
    let applied = apply::apply(state, session, reply, Args::from_slices(&words), resolved);
    let has_changed = reply.contiguous() == Some(b":1\r\n");
    reply.clear();
    applied.is_ok() && has_changed
}
