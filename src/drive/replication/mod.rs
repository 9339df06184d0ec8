//! Replication, both sides: carries out what the machines of `replication` ask for. Never decides by itself what
//! follows from a message: those machines do.
//!
//! ```text
//! commands::replication   PSYNC      primary::resume        goes on from the log of changes
//!                                    primary::add_waiting   needs all data
//! before the poll         tend       full_sync::begin_due   pins a version: its position in the log is taken at once
//! a job                   full_sync::step                   the version, piece by piece, to the sockets
//!                         spill::step                       the stream by way of the disk, for replicas far behind
//! each second             primary::each_second              PING, signs of life, timeouts
//! reactor                 EventLoop::feed_replicas          the log's bytes, to each replica from where it is
//!
//! commands::following     REPLICAOF  replica::follow        the link is due
//! links                   replica::run, take_event          what comes: replies, data, stream
//!                           replica_payload                 data: to a file, or beside the old ones
//!                           replica_stream                  commands are applied, their bytes passed on
//! ```
//!
//! Never decides by itself what comes next, and never answers a client.

pub mod failover;
pub mod full_sync;
pub mod primary;
pub mod replica;
pub mod replica_payload;
pub mod replica_report;
mod replica_stream;
mod restart;
pub mod spill;

use crate::engine::state::ServerState;

/// Does what the turn's commands have left to do for replicas.
pub fn tend(state: &mut ServerState) {
    if state.replication.primary.wants_sync {
        full_sync::begin_due(state);
    }
    if state.replication.primary.wants_acks {
        primary::ask_for_acks(state);
    }
    failover::tend(state);
}
