//! Gives memory that the allocator holds in reserve back to the system when the process is far larger than what is in
//! use.
//!
//! The system may take 0.1 s and more for what a large value or a long script has left, so a thread does it. Records
//! have a heap of their own, which a job trims.

use crate::base::sys::allocator;
use crate::base::wake::Wake;
use crate::engine::state::ServerState;
use crate::storage::file::operations::Disk;
use crate::storage::file::worker::Worker;

/// Memory not in use that is not worth the work, in bytes, and the part of the memory in use that is not either.
const EXCESS_MIN_BYTES: usize = 16 << 20;
const EXCESS_PART: usize = 8;

/// The thread and what it is doing.
#[derive(Default)]
pub struct Reserves {
    worker: Option<Worker>,
    is_busy: bool,
}

impl Reserves {
    /// Begins to give memory back if much of it is unused. `ServerState::stats` holds how large the process is.
    pub fn give_back_if_due(&mut self, state: &ServerState) {
        let outcome = self.worker.as_ref().and_then(Worker::next_outcome);
        self.is_busy &= outcome.is_none();
        let resident_bytes = state.stats.resident_bytes;
        if self.is_busy || !is_excessive(resident_bytes, state.used_memory()) {
            return;
        }
        if self.worker.is_none() {
            // A thread of the machine also where a test has a disk of its own: it waits for no disk.
            match Worker::start(&Disk::default(), "memory", Wake::default()) {
                Ok(worker) => self.worker = Some(worker),
                Err(error) => return log::warn!("Can't start a thread: {error}"),
            }
        }
        if let Some(worker) = &self.worker {
            self.is_busy = true;
            worker.submit(
                0,
                Box::new(|| {
                    allocator::release_reserves();
                    Ok(())
                }),
            );
        }
    }
}

fn is_excessive(resident_bytes: usize, used_bytes: usize) -> bool {
    resident_bytes.saturating_sub(used_bytes) > EXCESS_MIN_BYTES + used_bytes / EXCESS_PART
}

#[cfg(test)]
mod tests {
    use super::is_excessive;

    #[test]
    fn a_process_a_little_larger_than_its_data_is_left_alone() {
        assert!(!is_excessive(0, 1 << 20));
        assert!(!is_excessive(16 << 20, 1 << 20));
        assert!(is_excessive(18 << 20, 1 << 20));
        assert!(!is_excessive(1100 << 20, 1 << 30));
        assert!(is_excessive(1200 << 20, 1 << 30));
    }
}
