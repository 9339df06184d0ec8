//! What works with the whole state: running scripts, moving keys to other servers, saving and loading, the cluster,
//! INFO, metrics
//! and what the page shows.
//!
//! Never serves a client's request by itself: commands and the loop's jobs call what is here.

pub mod aof;
pub mod certificates;
pub mod cluster;
pub mod info;
pub mod key_sizes;
pub mod links;
pub mod metrics;
pub mod migrate;
pub mod page;
pub mod prefix;
pub mod replication;
pub mod save;
pub mod script;
pub mod settings;
pub mod transaction;
