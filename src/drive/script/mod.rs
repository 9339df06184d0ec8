//! Running scripts: at once or in slices, and under the debugger.
//!
//! Never knows Lua: the machine is in `scripting`.

pub mod bridge;
pub mod debugger;
pub mod run;
