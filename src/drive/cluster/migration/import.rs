//! The target's side: a client that is the source, and slots whose keys are hidden until they are this node's.

use crate::cluster::migration::{ImportAction, ImportJob, JobName, Message, SlotRanges};
use crate::cluster::node::Now;
use crate::cluster::{NodeId, SlotSet};
use crate::drive::cluster::migration::{migrations, owner_of, retire, settings};
use crate::drive::cluster::{keys, now, settle};
use crate::engine::origin::Origin;
use crate::engine::propagation;
use crate::engine::session::{ReplyMode, Session};
use crate::engine::slot_migrations::{Import, Migration, SlotMigrations};
use crate::engine::state::ServerState;
use crate::keyspace::{ExpiryMode, OuterExpiryMode};
use crate::net::token::Token;

/// A client becomes the source of slots: from now on all it sends is about them, and nothing is replied.
pub fn begin(state: &mut ServerState, session: &mut Session, name: JobName, ranges: SlotRanges, source: NodeId) {
    let (now, settings) = (now(state), settings(state));
    finish_deletion(state, &ranges.slots());
    let Some(cluster) = &mut state.cluster else { return };
    let target = cluster.member.table().myself().id;
    let machine = ImportJob::new(name, ranges, (source, target), settings, now);
    add(state, Import { machine, source: Some(session.token) });
    session.origin = Origin::SlotSource;
    session.policy = Origin::SlotSource.policy();
    session.deny_blocking = true;
    session.database = 0;
    session.reply_mode = ReplyMode::Off;
}

/// Deletes the remaining keys of these slots if they are lost slots: they do not belong to the import.
fn finish_deletion(state: &mut ServerState, slots: &SlotSet) {
    let is_lost = |slot: u16| state.cluster.as_ref().is_some_and(|cluster| cluster.lost.slots.contains(slot));
    if slots.iter().any(is_lost) {
        keys::finish_deletion(state);
    }
}

/// The primary, or this node before a restart, imports slots.
pub fn track(state: &mut ServerState, name: JobName, ranges: SlotRanges) {
    let machine = ImportJob::tracking(name, ranges, settings(state), now(state));
    add(state, Import { machine, source: None });
}

/// The primary was importing slots when it made the snapshot that was loaded.
pub(super) fn track_loaded(state: &mut ServerState) {
    let loaded = migrations(state).map(SlotMigrations::take_loaded).unwrap_or_default();
    for (name, ranges) in loaded {
        track(state, name, ranges);
    }
}

fn add(state: &mut ServerState, import: Import) {
    let Some(migrations) = migrations(state) else { return };
    let number = migrations.add(Migration::Import(Box::new(import)));
    hide(state);
    change(state, number, |_, _| {});
}

/// Hides the keys of all slots that come.
fn hide(state: &mut ServerState) {
    let Some(cluster) = &state.cluster else { return };
    let slots = cluster.slot_migrations.importing_slots();
    state.keyspace.hide_slots(slots.iter());
}

/// Changes a job, and carries out the actions that it asks for.
fn change(state: &mut ServerState, number: u64, change: impl FnOnce(&mut ImportJob, Now)) {
    let now = now(state);
    let Some(import) = migrations(state).and_then(|migrations| migrations.import_mut(number)) else { return };
    change(&mut import.machine, now);
    let name = import.machine.job.name;
    for action in import.machine.take_actions() {
        carry_out(state, number, &name, action);
    }
    retire(state, number);
}

fn carry_out(state: &mut ServerState, number: u64, name: &JobName, action: ImportAction) {
    match action {
        ImportAction::Send(message) => {
            if let Some(token) = source(state, number) {
                let words: [&[u8]; 3] = [b"CLUSTER", b"SYNCSLOTS", message.word().as_bytes()];
                state.clients.push(token, |reply| {
                    reply.array(words.len());
                    words.iter().for_each(|word| reply.bulk(word));
                });
            }
        }
        ImportAction::Close => {
            let import = migrations(state).and_then(|migrations| migrations.import_mut(number));
            if let Some(token) = import.and_then(|import| import.source.take()) {
                state.clients.close_soon(token);
            }
        }
        ImportAction::CleanUp => {
            let import = migrations(state).and_then(|migrations| migrations.import_mut(number));
            if let Some(slots) = import.map(|import| import.machine.job.slots.clone()) {
                keys::begin_deletion(state, &slots);
            }
        }
        ImportAction::Show => {
            retire(state, number);
            hide(state);
        }
        ImportAction::Finish { is_success, message } => finish(state, name, is_success, &message),
        ImportAction::Log(level, text) => log::log!(level, "{text}"),
    }
}

fn source(state: &mut ServerState, number: u64) -> Option<Token> {
    migrations(state)?.import_mut(number)?.source
}

/// Passes the outcome of a job on to the replicas and the append-only file.
fn finish(state: &mut ServerState, name: &JobName, is_success: bool, message: &str) {
    if state.replication.is_replica() {
        return;
    }
    let outcome: &[u8] = if is_success { b"SUCCESS" } else { b"FAILED" };
    let mut words: Vec<&[u8]> = vec![b"CLUSTER", b"SYNCSLOTS", b"FINISH", b"STATE", outcome, b"NAME", name.as_bytes()];
    if !message.is_empty() {
        words.extend([b"MESSAGE".as_slice(), message.as_bytes()]);
    }
    state.keyspace.changes.propagation.add(0, &words);
    propagation::end_unit(state, false);
}

/// The source has sent a message.
pub fn take_message(state: &mut ServerState, source: Token, message: Message) {
    if let Some(number) = number_of(state, source) {
        change(state, number, |job, now| job.on_message(message, now));
    }
}

/// The source has sent something else than a message.
pub fn refuse(state: &mut ServerState, source: Token, reason: &str) {
    if let Some(number) = number_of(state, source) {
        fail(state, number, reason);
    }
}

/// Takes the outcome of a job from the primary or the append-only file. Tells whether the job is known.
pub fn take_finish(state: &mut ServerState, name: &JobName, is_success: bool, message: String) -> bool {
    let migrations = state.cluster.as_ref().map(|cluster| &cluster.slot_migrations);
    let Some((number, _)) = migrations.and_then(|migrations| migrations.import_named(name)) else { return false };
    change(state, number, |job, now| job.on_finish(is_success, message, now));
    true
}

fn number_of(state: &ServerState, source: Token) -> Option<u64> {
    state.cluster.as_ref()?.slot_migrations.import_of(source).map(|(number, _)| number)
}

fn fail(state: &mut ServerState, number: u64, message: &str) {
    let is_primary = !state.replication.is_replica();
    change(state, number, |job, now| job.fail(message, is_primary, now));
}

/// The state to restore after a source's requests were run.
pub struct Serving {
    outer: OuterExpiryMode,
    errors: u64,
}

/// Before a client's requests are run: the commands of a source alone decide which keys expire.
#[inline]
pub fn begin_serving(state: &mut ServerState, session: &Session) -> Option<Serving> {
    (session.origin == Origin::SlotSource).then(|| Serving {
        outer: state.keyspace.enter_expiry_mode(ExpiryMode::Ignore),
        errors: state.error_stats.total(),
    })
}

/// After a source's requests were run. A command that failed here did not fail at the source: then the keys differ.
#[cold]
pub fn end_serving(state: &mut ServerState, session: &Session, serving: Serving) {
    state.keyspace.leave_expiry_mode(serving.outer);
    let Some(number) = number_of(state, session.token) else { return };
    change(state, number, ImportJob::on_interaction);
    if state.error_stats.total() != serving.errors {
        let message = match state.memory.is_full() {
            true => "Ran out of memory (OOM) during slot import",
            false => "Failed to process command during slot migration. Check logs for more information",
        };
        fail(state, number, message);
    }
}

fn numbers(state: &ServerState) -> Vec<u64> {
    let imports = state.cluster.iter().flat_map(|cluster| cluster.slot_migrations.imports());
    imports.map(|(number, _)| number).collect()
}

/// Before the poll: sources that are gone, slots that are to be taken over, slots whose keys are deleted.
pub(super) fn end_turn(state: &mut ServerState) {
    let lost = migrations(state).map(|migrations| std::mem::take(&mut migrations.lost_sources)).unwrap_or_default();
    for token in lost {
        if let Some(number) = number_of(state, token) {
            if let Some(import) = migrations(state).and_then(|migrations| migrations.import_mut(number)) {
                import.source = None;
            }
            change(state, number, ImportJob::on_closed);
        }
    }
    for number in numbers(state) {
        let import = migrations(state).and_then(|migrations| migrations.import_mut(number));
        if import.is_some_and(|import| import.machine.takes_over()) {
            take_over(state, number);
        }
        if is_cleaned_up(state, number) {
            change(state, number, ImportJob::on_cleaned_up);
        }
    }
}

fn is_cleaned_up(state: &ServerState, number: u64) -> bool {
    let Some(cluster) = &state.cluster else { return false };
    let import = cluster.slot_migrations.imports().find(|(other, _)| *other == number);
    import.is_some_and(|(_, import)| cluster.lost.slots.intersection(&import.machine.job.slots).next().is_none())
}

/// All keys are here, and the source changes none: the slots are this node's under a new epoch.
fn take_over(state: &mut ServerState, number: u64) {
    look_at_owners(state);
    let now = now(state);
    let Some(cluster) = &mut state.cluster else { return };
    let Some(import) = cluster.slot_migrations.import_mut(number).filter(|import| import.machine.takes_over()) else {
        return;
    };
    log::info!(
        "Slot migration {} completed successfully. This node is now the owner of the slots",
        import.machine.job.description()
    );
    cluster.member.take_slots(&import.machine.job.slots, now);
    settle(state);
    change(state, number, ImportJob::on_taken_over);
}

/// Time has passed.
pub(super) fn tick(state: &mut ServerState) {
    let settings = settings(state);
    for number in numbers(state) {
        change(state, number, |job, now| {
            job.configure(settings);
            job.on_tick(now);
        });
    }
}

/// Ends the jobs whose slots are no longer the source's. On a replica they are the primary's business.
pub(super) fn look_at_owners(state: &mut ServerState) {
    let is_replica = state.cluster.as_ref().is_some_and(|cluster| !cluster.member.table().myself().is_primary());
    for number in numbers(state) {
        if is_replica {
            change(state, number, ImportJob::on_demoted);
            continue;
        }
        let Some(cluster) = &state.cluster else { return };
        let Some((_, import)) = cluster.slot_migrations.imports().find(|(other, _)| *other == number) else { continue };
        let table = cluster.member.table();
        let Some(source) = import.machine.job.source.map(|source| table.find(&source)) else { continue };
        let owner = owner_of(cluster, &import.machine.job.slots);
        if owner.is_some() && owner == source {
            continue;
        }
        let message = match owner == Some(table.my_key()) {
            true => "Slots were unexpectedly assigned to myself during import",
            false => "Slots are no longer owned by source node",
        };
        fail(state, number, message);
    }
}

pub(super) fn fail_all(state: &mut ServerState, message: &str) {
    for number in numbers(state) {
        fail(state, number, message);
    }
}

/// Ends the imports of these slots. O(slots · imports).
pub(super) fn fail_some(state: &mut ServerState, slots: &[u16], message: &str) {
    let imports = state.cluster.iter().flat_map(|cluster| cluster.slot_migrations.imports());
    let concerned = imports.filter(|(_, import)| slots.iter().any(|slot| import.machine.job.slots.contains(*slot)));
    let numbers: Vec<u64> = concerned.map(|(number, _)| number).collect();
    for number in numbers {
        fail(state, number, message);
    }
}

/// This node has become a primary: the imports of its former primary fail.
pub fn on_promotion(state: &mut ServerState) {
    fail_all(state, "A failover occurred during slot import");
}

/// The data are loaded: imports that were under way when this node ended fail. Gives their slots.
pub fn on_loaded(state: &mut ServerState) -> SlotSet {
    track_loaded(state);
    let slots = state.cluster.as_ref().map(|cluster| cluster.slot_migrations.importing_slots()).unwrap_or_default();
    if state.config.replicaof.is_none() {
        fail_all(state, "Process restarted");
    }
    slots
}
