//! What a client that debugs a script asks for, and what it is shown.
//!
//! Never runs a script: `drive::script::debugger` does.

pub mod console;
pub mod show;

pub use console::Console;
