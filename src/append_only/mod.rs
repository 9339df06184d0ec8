//! The append-only file.

use crate::keyspace::Propagation;
use crate::persistence::aof::Feeder;

/// x
#[derive(Default)]
pub struct AppendOnly {
    feeder: Feeder,
    timestamps: bool,
}

impl AppendOnly {
    /// x
    pub fn feed(&mut self, unit: &Propagation, belong_together: bool, now_s: i64) {
        self.feeder
            .append(unit, belong_together, self.timestamps.then_some(now_s));
    }

    /// x
    pub fn take_bytes(&mut self) -> Vec<u8> {
        self.feeder.take()
    }
}
