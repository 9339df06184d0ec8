//! ROOM base. Never

pub mod clock;
pub mod crash;
pub mod logging;
pub mod sys;
pub mod wake;
