//! The Lua machine, made safe to use: a state with a memory limit, its stack of values, and the fiber on which scripts run.
//!
//! PUC Lua 5.1, which Redis has too. A script runs on a machine stack of its own (a stackful coroutine): wherever it is, be it within
//! `pcall`, a metamethod or a sorting function, the hook that counts instructions can switch back to the loop and leave the script
//! standing.
//!
//! Three rules keep the bindings sound. Lua raises its errors by `longjmp`, so nothing that has a destructor is alive where one is
//! raised: natives return their errors, and `native` raises them when all else is over. While native code runs, the
//! memory limit does not apply, so that no call of Lua's interface can fail half-way (the limit is looked at afterwards). Nothing that a script
//! does runs when Lua collects garbage, as scripts cannot make finalizers.
//!
//! Never knows a command, a client or a reply: what scripts ask of the server goes to a [`Host`].

mod control;
mod genuine;
mod inspect;
mod load;
mod native;
mod pace;
mod stack;
mod state;
mod tables;

pub use control::{Halt, Host, Moment, Order};
pub use genuine::Wrapped;
pub use native::{Native, Outcome, Raise, Saved, Step};
pub use stack::{Kind, Reference, Stack};
pub use state::{Lua, Progress};
