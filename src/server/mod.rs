//! The reactor and what surrounds it at process level. Never interprets a command's arguments.

pub mod clock;
pub mod startup;
pub mod supervision;
pub mod title;
