//! Atomic migration of slots, compatible with Valkey 9: all keys of some slots are copied to another primary, which
//! hides them and then takes over the slots at once. Machines without I/O: received messages and times go in, actions
//! come out. Never touches a key.
//!
//! ```text
//! source                                          target
//! connecting                 AUTH, ESTABLISH →
//! waiting-to-snapshot                          ←  OK             waiting-for-ack
//!                                        ACK →                   receiving-snapshot
//! snapshotting   commands that make the keys →
//!                               SNAPSHOT-EOF →
//! replicating            changes of the keys → ←  REQUEST-PAUSE  waiting-for-paused
//! failover-paused     (writes wait)   PAUSED → ←  REQUEST-FAILOVER  failover-requested
//! failover-granted          FAILOVER-GRANTED →                   failover-granted: takes the slots under a new epoch
//! success: the target's claim arrives by the bus                 success
//! ```
//!
//! A failure before the takeover leaves the slots at the source: the target deletes the received keys.
//!
//! | file | contents |
//! |---|---|
//! | `state.rs` | the states, the messages, parsing of requests |
//! | `ranges.rs` | ranges of slots in the order of the command |
//! | `job.rs` | the data of a job that both sides have |
//! | `export.rs` | the source's side |
//! | `import.rs` | the target's side, and the job as tracked by a replica of the target |

pub mod export;
pub mod import;
pub mod job;
pub mod ranges;
pub mod state;

pub use export::{ExportAction, ExportJob};
pub use import::{ImportAction, ImportJob};
pub use job::{Job, JobName};
pub use ranges::SlotRanges;
pub use state::{Message, Settings, State};
