//! The door: by what everything enters that makes one run differ from another.
//!
//! Each input enters by one enum, whose first variant is the real one. A run in which all of them are replaced follows
//! from the test alone: the same seed gives the same bytes.
//!
//! | what enters | by | real | scripted |
//! |---|---|---|---|
//! | readiness, and its order | `net::poller::Poller::poll` | mio's poll | `World`: what is due, in the order that the test chooses |
//! | accepted sockets, addresses, errors | `net::listener::Listeners::accept` | accept(2) | `Peer::connect`, `World::fail_accepting` |
//! | bytes read, ends and errors | `net::stream::Stream` (`Read`) | read(2) | `Peer::send`, `finish`, `reset` |
//! | bytes taken by writes, errors | `net::stream::Stream` (`Write`) | write(2) | `Peer::set_capacity`, `receive`, `reset`; `FaultySocket` |
//! | connections to other servers | `net::stream::Stream::connect`, `is_connected` | connect(2) | `Peer::take_connecting`, `accept`, `refuse` |
//! | addresses of names | `net::lookup::Lookup` | a thread | `World::answer_name` |
//! | signals | `base::sys::signals::Signals` | handlers and a pair of sockets | `World::signal` |
//! | that a helper has done something | `base::wake::Wake` | mio's waker | a flag of the `World` |
//! | date, monotonic clock, ticks | `base::clock::Clock` | the system's clocks | `Clock::virtual_at`, `advance_virtual`, `set_virtual_step` |
//! | files, and what helpers for them complete | `storage::file::operations::Disk` | the system's files, threads | `SimulatedDisk`, whose helpers the test steps |
//! | randomness of the server | the seed of `ServerState::new` | drawn | given |
//!
//! All of these pass through the tape of the loop's thread (`base::tape::pass`), by which a run is recorded and
//! replayed.
//!
//! Ticks steer control: the share of a connection, the budget of jobs, slices of saving, loading, scripts and
//! migrations. With `Clock::set_virtual_step` each reading of the ticks moves a virtual clock on, so such a slice ends
//! after so many readings.
//!
//! What a server reads of its machine (memory of the process, limits, the system's name) is shown and, but for the
//! memory, decides nothing.

use std::io;

use crate::base::sys::signals::Signals;
use crate::net::poller::Poller;
use crate::net::scripted::world::World;

/// What the loop itself takes from outside. The clock, the disk and the seed belong to the server's state.
pub struct Door {
    pub poller: Poller,
    pub signals: Signals,
}

impl Door {
    /// The system's. `insist` is what a second SIGINT runs within its handler.
    ///
    /// Errors: the text to log before giving up.
    pub fn system(insist: fn()) -> Result<Door, String> {
        let signals = Signals::install(insist).map_err(|error| error.to_string())?;
        let poller = Poller::system().map_err(|error| format!("Can't create the poll: {error}"))?;
        Ok(Door { poller, signals })
    }

    /// That of a server within another program, to which the process's signals belong.
    ///
    /// Errors: the system's.
    pub fn embedded() -> io::Result<Door> {
        Ok(Door { poller: Poller::system()?, signals: Signals::Scripted(Default::default()) })
    }

    /// That of a tape which is replayed.
    pub fn replayed() -> Door {
        Door { poller: Poller::Replayed, signals: Signals::Scripted(Default::default()) }
    }

    /// That of a scripted world.
    pub fn scripted(world: &World) -> Door {
        Door { poller: Poller::scripted(world), signals: Signals::Scripted(world.signals()) }
    }
}
