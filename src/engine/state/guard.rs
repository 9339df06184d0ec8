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
        self.guard = Guard { is_on: is_restricted || self.cluster.is_some(), is_restricted };
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
        self.update_restrictions();
    }
}
