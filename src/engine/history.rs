//! Which history the data that were loaded belong to.

use crate::replication::{Position, ReplicationId};
use crate::storage::snapshot::AuxFields;

/// The place in a history that loaded data say they are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadedHistory {
    pub position: Position,
    /// The database that the stream had selected; none if the next command says.
    pub database: Option<usize>,
}

impl LoadedHistory {
    /// What the notes of a snapshot say.
    pub fn of(notes: &AuxFields) -> Option<LoadedHistory> {
        let id = ReplicationId::parse(notes.replication_id.as_deref()?.as_bytes())?;
        let offset = u64::try_from(notes.replication_offset?).ok()?;
        let database = notes.replication_database.and_then(|number| usize::try_from(number).ok());
        Some(LoadedHistory { position: Position { id, offset }, database })
    }
}
