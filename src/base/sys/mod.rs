//! Everything that talks to libc directly: signals, faults, process state, resource counters, the OOM score, locks,
//! syslog, the date, the time zone, locales. Never knows what a client, a key or a directive is.

pub mod allocator;
pub mod faults;
pub mod groups;
pub mod host;
pub mod locale;
pub mod lock;
pub mod machine;
pub mod memory;
pub mod oom_score;
pub mod process;
pub mod resources;
pub mod signals;
pub mod sockets;
pub mod syslog;
pub mod time;
pub mod time_zone;
