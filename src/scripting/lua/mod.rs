//! The Lua machine, made safe to use: a state with a memory limit, its stack of values, and the fiber on which scripts run.
//!
//! LuaJIT's interpreter, the compiler to machine code switched off, so that a script can be stopped at any instruction. A script
//! runs on a machine stack of its own (a stackful coroutine): wherever it is, be it within `pcall`, a metamethod or a sorting
//! function, the hook that counts instructions can switch back to the loop and leave the script standing.
//!
//! Three rules keep the bindings sound. Lua raises its errors by unwinding, so nothing that has a destructor is alive where one is
//! raised: natives return their errors, and `native` raises them when all else is over. While native code runs, the
//! memory limit does not apply, so that no call of Lua's interface can fail half-way (the limit is looked at afterwards). Nothing that a script
//! does runs when Lua collects garbage, as scripts cannot make finalizers.
//!
//! Never knows a command, a client or a reply: what scripts ask of the server goes to a [`Host`].

pub mod control;
pub mod inspect;
pub mod interrupt;
pub mod lines;
pub mod native;
pub mod stack;
pub mod state;

/// The name of the chunk whose functions stand between scripts and natives: no place in it is told of in messages.
pub const INTERNAL: &str = "=sandbox";

pub use control::{HookAction, Host, Interruption, Moment, Order};
pub use native::{Native, Outcome, Raise};
pub use stack::{Kind, Reference, Stack};
pub use state::{Lua, Progress};
