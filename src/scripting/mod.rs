//! Scripts. Never x.
pub mod lua;
