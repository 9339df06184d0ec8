//! Scripts and functions: what is loaded, what runs, and the Lua states that run it.
//!
//! ```text
//! EVAL, EVALSHA → cache (compiled scripts)   ┐
//! FCALL         → functions (libraries)      ├→ run::start → lua::Lua → bridge → command::call
//! SCRIPT DEBUG, then EVAL                    ┘  debugger::start
//! ```
//!
//! Scripts and functions have a state each. Never runs two scripts at a time, and never re-enters the loop: a script
//! that takes too long is suspended, and the loop's jobs take it further.

pub mod machine;

pub mod cache;
pub mod debugger;
pub mod failure;
pub mod flags;
pub mod functions;
pub mod into_lua;
pub mod into_reply;
pub mod libraries;
pub mod lua;
pub mod natives;
pub mod numbers;
pub mod service;

use crate::command::error::CommandError;

/// The chunk name of scripts, as their error messages show it.
pub const SCRIPT_NAME: &str = "@user_script";

/// The two kinds of programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For EVAL and EVALSHA.
    Script,
    /// Of a library, for FCALL.
    Function,
}

impl Kind {
    /// What other clients are told while a program of this kind is suspended.
    pub fn busy_error(self) -> CommandError {
        CommandError::fixed(match self {
            Kind::Script => "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
            Kind::Function => {
                "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
            }
        })
    }
}

/// A script cannot be compiled.
pub fn compile_error(message: Vec<u8>) -> CommandError {
    CommandError::of_bytes([b"ERR Error compiling script (new function): ", &message[..]].concat())
}
