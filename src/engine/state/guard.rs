//! Sets the guard: whether the gate looks at a request more closely than otherwise.

use super::{SLOW_US, ServerState};
use crate::engine::cluster::Cluster;
use crate::engine::guard::Guard;

impl ServerState {
    /// Notes whether some commands are refused, or held back, at present.
    pub fn update_restrictions(&mut self) {
        let is_restricted = self.is_loading()
            || self.refuses_writes_for_failed_save()
            || self.aof.denial().is_some()
            || self.lacks_good_replicas()
            || !self.migrations.is_empty()
            || self.cluster.as_ref().is_some_and(|cluster| cluster.looks_closer())
            || self.recorder.tracks_keys()
            || self.replication.is_replica();
        self.guard = Guard { is_on: is_restricted || self.cluster.is_some() || self.config.import_mode, is_restricted };
    }

    /// Whether the data set is being loaded, so that clients have to wait for it.
    pub fn is_loading(&self) -> bool {
        self.loads_files()
            || self.replication.replica.as_ref().is_some_and(|replica| replica.hides_data())
            || self.debug.answers_loading
    }

    /// Makes this server a node of a cluster: from now on requests run here only if their keys are here.
    pub fn join_cluster(&mut self, cluster: Cluster) {
        self.cluster = Some(Box::new(cluster));
        self.update_slot_stats();
    }

    /// Counts what the requests about each slot cost, or does so no longer, as the settings say.
    pub fn update_slot_stats(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            cluster.slot_stats.set_on(self.config.cluster_slot_stats_enabled);
            self.keyspace.changes.propagation.log.set_moves(cluster.gathers());
        }
        self.update_restrictions();
        self.update_slow_threshold();
    }

    /// Counts what the requests about each key cost, or does so no longer, as HOTKEYS has it.
    pub fn update_tracked_keys(&mut self) {
        self.update_restrictions();
        self.update_slow_threshold();
    }

    /// Has commands noted from the lowest threshold on that anybody has for slow ones.
    pub fn update_slow_threshold(&mut self) {
        let slowlog_us = u64::try_from(self.config.slowlog_log_slower_than).unwrap_or(u64::MAX);
        let latency_us = match self.config.latency_monitor_threshold {
            0 => u64::MAX,
            threshold_ms => threshold_ms.saturating_mul(1000),
        };
        let is_each_counted = self.cluster.as_ref().is_some_and(|cluster| cluster.slot_stats.is_on());
        let counted_us = if is_each_counted || self.recorder.tracks_keys() { 0 } else { u64::MAX };
        let threshold_us = slowlog_us.min(latency_us).min(SLOW_US).min(counted_us);
        self.slow_ticks = self.clock.nanos_as_ticks(threshold_us.saturating_mul(1000));
    }
}
