//! Atomic migration of slots, as nodes of Valkey 9 do it: all keys of some slots are copied to another primary, which
//! hides them; then it takes the slots over at once. Machines without I/O: what is received and the time go in, actions
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
//! success: the target's claim has come by the bus                success
//! ```
//!
//! Whatever fails before the slots are taken over leaves them where they are: the target deletes what it has received.
//!
//! | file | what it has |
//! |---|---|
//! | `state.rs` | the states, the messages, how a request is read |
//! | `ranges.rs` | ranges of slots in the order of the command |
//! | `job.rs` | what both sides know of a job |
//! | `export.rs` | the source's side |
//! | `import.rs` | the target's side, and what a replica of the target knows |

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
