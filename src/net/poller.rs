//! Readiness: the poll, and where everything that it watches is registered.
//!
//! A poll reports [`Readiness`], a struct of our own, so that a test can write what a poll reports. The real poll is
//! mio's; the others are a scripted world's and a tape's.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Waker};

use super::poll_target::PollTarget;
use super::readiness::Readiness;
use super::scripted::world::World;
use super::spin::{CoreTime, Governor, SpinCounts};
use crate::base::clock::{Clock, Ticks};
use crate::base::sys::resources;
use crate::base::sys::signals::Signals;
use crate::base::tape::{self, Kind};
use crate::base::wake::Wake;
use crate::config::SpinLimit;

/// Readiness events taken from one poll.
const EVENTS_MAX: usize = 1024;

/// What waits for readiness.
pub enum Poller {
    /// The system's poll.
    System(SystemPoller),
    /// That of a scripted world, by its number.
    Scripted(World, u32),
    /// A tape's.
    Replayed,
}

/// mio's poll.
pub struct SystemPoller {
    poll: Poll,
    events: Events,
    registry: Rc<Registry>,
    spin: Governor,
    /// Measures spins: beside the tape, which holds what a poll has reported in the end.
    stopwatch: Ticks,
}

/// Where sockets are registered with a poller. A clone is the same place.
#[derive(Clone)]
pub enum Registrar {
    /// The system's poll.
    System(Rc<Registry>),
    /// A scripted world's poller, by its number.
    Scripted(World, u32),
    /// Nowhere: a tape says what becomes ready.
    Replayed,
}

impl Poller {
    /// A poll of the system.
    ///
    /// Errors: the system's.
    pub fn system() -> io::Result<Poller> {
        let poll = Poll::new()?;
        let registry = Rc::new(poll.registry().try_clone()?);
        Ok(Poller::System(SystemPoller {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            registry,
            spin: Governor::default(),
            stopwatch: Clock::system().stopwatch(),
        }))
    }

    /// One more poller of a scripted world.
    pub fn scripted(world: &World) -> Poller {
        Poller::Scripted(world.clone(), world.add_poller())
    }

    /// Where sockets are registered.
    #[inline]
    pub fn registrar(&self) -> Registrar {
        match self {
            Poller::System(system) => Registrar::System(Rc::clone(&system.registry)),
            Poller::Scripted(world, number) => Registrar::Scripted(world.clone(), *number),
            Poller::Replayed => Registrar::Replayed,
        }
    }

    /// Waits until something is ready, or the time is over; `ready` then holds what is, in the order in which it is
    /// reported, and nothing else.
    ///
    /// Errors: the system's; `Interrupted` where a signal came.
    // Once a turn, so a lone request pays for what it costs: it belongs into the loop.
    #[inline(always)]
    pub fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Readiness>) -> io::Result<()> {
        match self {
            _ if tape::is_on() => self.poll_taped(timeout, ready),
            Poller::System(system) => system.poll(timeout, ready),
            Poller::Scripted(world, number) => {
                world.poll(*number, timeout, ready);
                Ok(())
            }
            Poller::Replayed => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Has the governor of spinning look at the time since the last call; gives what was counted in it. `clients`: how
    /// many are connected.
    pub fn tend_spin(&mut self, limit: SpinLimit, clients: usize) -> SpinCounts {
        tape::pass(Kind::Machine, || match self {
            Poller::System(system) => {
                let now = Duration::from_nanos(system.stopwatch.nanos_between(0, system.stopwatch.now()));
                system.spin.tick(limit, CoreTime { now, waited: resources::waited_for_core() }, clients)
            }
            Poller::Scripted(..) | Poller::Replayed => SpinCounts::default(),
        })
    }

    fn poll_taped(&mut self, timeout: Option<Duration>, ready: &mut Vec<Readiness>) -> io::Result<()> {
        let reported = tape::pass(Kind::Poll, || {
            self.poll(timeout, ready)?;
            Ok::<_, io::Error>(ready.iter().map(Readiness::as_numbers).collect::<Vec<_>>())
        })?;
        ready.clear();
        ready.extend(reported.iter().map(|numbers| Readiness::of_numbers(*numbers)));
        Ok(())
    }
}

impl SystemPoller {
    #[inline(always)]
    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Readiness>) -> io::Result<()> {
        ready.clear();
        let budget = self.spin.budget();
        if budget.is_zero() || timeout == Some(Duration::ZERO) {
            self.poll.poll(&mut self.events, timeout)?;
        } else {
            self.spin_and_poll(budget, timeout)?;
        }
        for event in &self.events {
            ready.push(readiness_of(event));
        }
        Ok(())
    }

    /// Asks again and again, as long as the budget allows, before it waits.
    #[inline(never)]
    fn spin_and_poll(&mut self, budget: Duration, timeout: Option<Duration>) -> io::Result<()> {
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        if !self.events.is_empty() {
            // It would not have slept.
            return Ok(());
        }
        let began = self.stopwatch.now();
        let budget = timeout.map_or(budget, |timeout| budget.min(timeout));
        let mut spent = Duration::ZERO;
        while self.events.is_empty() && spent < budget {
            self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            spent = Duration::from_nanos(self.stopwatch.nanos_between(began, self.stopwatch.now()));
        }
        self.spin.note(!self.events.is_empty());
        if !self.events.is_empty() {
            return Ok(());
        }
        self.poll.poll(&mut self.events, timeout.map(|timeout| timeout.saturating_sub(spent)))
    }
}

#[inline(always)]
fn readiness_of(event: &Event) -> Readiness {
    Readiness {
        target: PollTarget::of(event.token()),
        readable: event.is_readable(),
        writable: event.is_writable(),
        closed: event.is_read_closed() || event.is_error(),
    }
}

impl Registrar {
    /// A poller of the same kind, for code that waits apart from the loop.
    ///
    /// Errors: the system's.
    pub fn another_poller(&self) -> io::Result<Poller> {
        match self {
            Registrar::System(_) => Poller::system(),
            Registrar::Scripted(world, _) => Ok(Poller::scripted(world)),
            Registrar::Replayed => Ok(Poller::Replayed),
        }
    }

    /// How helper threads wake the poll.
    ///
    /// Errors: the system's.
    pub fn waker(&self) -> io::Result<Wake> {
        match self {
            Registrar::System(registry) => Ok(Wake::of(Waker::new(registry, PollTarget::Waker.token())?)),
            Registrar::Scripted(world, _) => Ok(world.wake()),
            Registrar::Replayed => Ok(Wake::Nothing),
        }
    }

    /// Has the poll return when a signal has come.
    ///
    /// Errors: the system's.
    pub fn watch(&self, signals: &Signals) -> io::Result<()> {
        match (self, signals.source_fd()) {
            (Registrar::System(registry), Some(descriptor)) => {
                registry.register(&mut SourceFd(&descriptor), PollTarget::Signals.token(), Interest::READABLE)
            }
            // A scripted world reports the signals that it sends.
            _ => Ok(()),
        }
    }
}
