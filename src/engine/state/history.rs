//! What the state knows of its history: the replication offset, new ids.

use super::ServerState;
use crate::keyspace::Target;
use crate::replication::ReplicationId;

impl ServerState {
    /// Number of the last byte of the replication stream.
    #[inline]
    pub fn replication_offset(&self) -> u64 {
        self.keyspace.changes.propagation.log.count_of(Target::Replicas)
    }

    /// A name for a history that nobody has used.
    pub fn new_history_id(&mut self) -> ReplicationId {
        ReplicationId::from_entropy(std::array::from_fn(|_| self.random.u8(..)))
    }
}
