//! Sets the guard: whether the gate looks at a request more closely than otherwise.

use super::ServerState;
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
            || self.cluster.as_ref().is_some_and(|cluster| cluster.slot_migrations.holds_any())
            || self.replication.is_replica();
        self.guard = Guard { is_on: is_restricted || self.cluster.is_some() || self.config.import_mode, is_restricted };
    }

    /// Makes this server a node of a cluster: from now on requests run here only if their keys are here.
    pub fn join_cluster(&mut self, cluster: Cluster) {
        self.cluster = Some(Box::new(cluster));
        self.update_restrictions();
    }
}
