//! The Lua machine, made safe to use: a state with a memory limit, its stack of values, and the fiber on which scripts
//! run.
//!
//! PUC Lua 5.1, which Redis has too. A script runs on a machine stack of its own (a stackful coroutine): wherever it
//! is, be it within `pcall`, a metamethod or a sorting function, the hook that counts instructions can switch back to
//! the loop and leave the script standing.
//!
//! Three rules keep the bindings sound. Lua raises its errors by `longjmp`, so nothing that has a destructor is alive
//! where one is raised: natives return their errors, and `native` raises them when all else is over. While native code
//! runs, the memory limit does not apply, so that no call of Lua's interface can fail half-way (the limit is looked at
//! afterwards). Nothing that a script does runs when Lua collects garbage, as scripts cannot make finalizers.
//!
//! The sources are those of Lua 5.1.5 as they were published. What Redis has mended in its copy since, and what was
//! found in the libraries around it, is guarded against from outside; `tests/commands/lua_hardening.rs` holds to it:
//!
//! | fault | what guards against it |
//! |---|---|
//! | compiled code that breaks the machine (CVE-2015-4335) | `load`: only texts are compiled |
//! | `struct` runs over in sizes (CVE-2015-8080, CVE-2018-11219, CVE-2020-14147) | `structs`: checked arithmetic |
//! | `cmsgpack` runs over Lua's stack (CVE-2018-11218) | `Stack::reserve` before pushing |
//! | replies and arguments run over Lua's stack (CVE-2021-32626) | the same |
//! | libraries that load code of the machine (CVE-2022-0543) | they are not opened |
//! | globals that others see changed (CVE-2022-24735) | `genuine`: proxies |
//! | strings made to collide | `intern`: all bytes are in the hash |
//! | `bit.tohex` runs over its buffer (CVE-2024-31449) | `bits`: at most eight digits |
//! | objects used while a state is closed (CVE-2024-46981) | there are no finalizers: no `newproxy`, and no `debug` |
//! | `unpack` runs over in its count (CVE-2025-46817) | `genuine`: it is checked before |
//! | metatables of strings and others can be changed (CVE-2025-46818) | `genuine`: scripts see a proxy |
//! | a long bracket with too many `=` (CVE-2025-46819) | `load`: no text is so long |
//! | the compiler's name of a chunk is freed (CVE-2025-49844) | `load`: a copy of it is on the stack |
//! | a parser, a matcher or coroutines too deep within each other | Lua's own limit of 200 calls of C; `patterns` counts |
//!
//! Never knows a command, a client or a reply: what scripts ask of the server goes to a [`Host`].

mod addresses;
mod behind;
pub mod control;
pub mod genuine;
pub mod inspect;
pub mod intern;
pub mod load;
pub mod native;
pub mod pace;
mod progress;
mod raise;
pub mod stack;
pub mod state;
pub mod tables;

pub use control::{HookAction, Host, Moment, Order};
pub use genuine::Wrapped;
pub use native::{Native, Outcome, Raise, Saved, Step};
pub use stack::{Kind, Place, Reference, Stack};
pub use state::{Lua, Progress};
