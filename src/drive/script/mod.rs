//! ROOM drive::script. Never

pub mod bridge;
pub mod debugger;
pub mod run;
