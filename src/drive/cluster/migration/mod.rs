//! Slots that move: carries out the actions of the machines of `cluster/migration`. Never decides what follows from a
//! message or from time: the machines do.
//!
//! ```text
//! the source   export::begin        CLUSTER MIGRATESLOTS
//!              export::take_event   the connection to the target
//!              export::step         a job: the pinned keys of the slots, piece by piece
//!              engine::propagation  gathers each change of their keys from the same turn on
//! the target   import::begin        CLUSTER SYNCSLOTS ESTABLISH: its client is the source from now on
//!              import::begin_serving, import::end_serving    before and after the source's requests are run
//! both         run                  ten times a second
//!              end_turn             before the poll: snapshots begin, changes are sent, slots are taken over
//! ```

pub mod export;
pub mod import;

use crate::cluster::SlotSet;
use crate::cluster::migration::Settings;
use crate::cluster::node::NodeKey;
use crate::engine::cluster::Cluster;
use crate::engine::slot_migrations::SlotMigrations;
use crate::engine::state::ServerState;

/// How long a manual failover may take, in ms; writes are held back twice as long for slots that move.
const FAILOVER_MS: u64 = 5000;

/// The settings of the machines.
fn settings(state: &ServerState) -> Settings {
    Settings {
        timeout_ms: u64::from(state.config.repl_timeout) * 1000,
        max_failover_bytes: u64::try_from(state.config.slot_migration_max_failover_repl_bytes).ok(),
        pause_ms: 2 * FAILOVER_MS,
    }
}

fn migrations(state: &mut ServerState) -> Option<&mut SlotMigrations> {
    state.cluster.as_mut().map(|cluster| &mut cluster.slot_migrations)
}

/// The one node that has all these slots, if there is one.
fn owner_of(cluster: &Cluster, slots: &SlotSet) -> Option<NodeKey> {
    let table = cluster.member.table();
    let mut owners = slots.iter().map(|slot| table.owner(slot));
    let first = owners.next()??;
    owners.all(|owner| owner == Some(first)).then_some(first)
}

/// Puts a migration away that is over.
fn retire(state: &mut ServerState, number: u64) {
    let most = usize::try_from(state.config.cluster_slot_migration_log_max_len).unwrap_or(usize::MAX);
    if let Some(migrations) = migrations(state) {
        migrations.retire(number, most);
    }
}

fn is_idle(state: &ServerState) -> bool {
    state.cluster.as_ref().is_none_or(|cluster| cluster.slot_migrations.is_idle())
}

/// Time has passed: ten times a second.
pub(super) fn run(state: &mut ServerState) {
    let most = usize::try_from(state.config.cluster_slot_migration_log_max_len).unwrap_or(usize::MAX);
    if let Some(migrations) = migrations(state) {
        migrations.trim(most);
    }
    if is_idle(state) {
        return;
    }
    on_slots_changed(state);
    export::tick(state);
    import::tick(state);
}

/// The owner of a slot may be another one now, or this node a replica.
pub(super) fn on_slots_changed(state: &mut ServerState) {
    if !is_idle(state) {
        export::look_at_owners(state);
        import::look_at_owners(state);
    }
}

/// Keys that came are gone, while their source still has them.
const FLUSHED: &str = "Data was flushed";

/// Before the poll: carries out the consequences of the turn.
pub(super) fn end_turn(state: &mut ServerState) {
    let flushes = state.keyspace.changes.flushes();
    let has_flushed = migrations(state).is_some_and(|migrations| migrations.flushes != flushes);
    let mut emptied = Vec::new();
    if let Some(migrations) = migrations(state) {
        migrations.flushes = flushes;
        emptied = std::mem::take(&mut migrations.emptied);
    }
    if has_flushed && !is_idle(state) {
        fail_all(state, FLUSHED);
    }
    if !emptied.is_empty() {
        import::fail_some(state, &emptied, FLUSHED);
    }
    import::track_loaded(state);
    if is_idle(state) {
        return;
    }
    import::end_turn(state);
    export::end_turn(state);
}

/// Ends all migrations that are going on: they cannot go on.
pub fn fail_all(state: &mut ServerState, message: &str) {
    export::fail_all(state, message);
    import::fail_all(state, message);
}
