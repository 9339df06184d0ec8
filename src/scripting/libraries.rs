//! x
use super::lua::Stack;
pub fn push_tables(_stack: &mut Stack) {}
