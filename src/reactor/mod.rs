//! The reactor: one poll loop that owns every connection and drives everything else.
//!
//! Never interprets a command's arguments; never blocks but in `poll`.

pub mod accepting;
pub mod http;
pub mod tools;

pub mod cron;
pub mod declared;
pub mod door;
pub mod ending;
pub mod event_loop;
mod feeding;
mod hints;
pub mod jobs;
pub mod launch;
mod load;
mod output;
mod recording;
mod reopening;
mod replica_replies;
mod reserves;
pub mod serve;
pub mod shutdown;
pub mod startup;
pub mod stepping;
pub mod supervision;
mod training;
mod turn_record;
pub mod watching;
