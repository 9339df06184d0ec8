//! The server's thread: the loop, and the messages that it takes between two turns.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::wake::Wake;
use crate::collections::heap;
use crate::config::{Config, StartInfo, Statements};
use crate::drive::replication::replica;
use crate::engine::enforcement;
use crate::engine::removal;
use crate::engine::replication::Replication;
use crate::engine::state::ServerState;
use crate::engine::wake;
use crate::keyspace::lazy_free;
use crate::net::connection::Connection;
use crate::net::readiness::Readiness;
use crate::net::stream::Stream;
use crate::reactor::declared::declared;
use crate::reactor::door::Door;
use crate::reactor::event_loop::EventLoop;
use crate::replication::ReplicationId;
use crate::storage::file::operations::Disk;
use crate::storage::file::operations::simulated::SimulatedDisk;

/// Turns in which a loop comes to rest before a message is taken; with a script that does not end it never does.
const SETTLING_TURNS_MAX: usize = 200;
/// Values freed in one step at the end.
const FREED_ELEMENTS: usize = 10_000;
/// How soon a socket that was full is tried again, in µs.
const RETRY_US: u64 = 1000;

/// What a server begins with.
pub(super) struct Plan {
    pub config: Config,
    pub statements: Statements,
    pub seed: Option<u64>,
    /// Where a virtual clock begins, in ms since the epoch.
    pub virtual_ms: Option<u64>,
    pub listener: Option<TcpListener>,
}

/// Something that the loop's thread is to do between two turns.
pub(super) type Order = Box<dyn FnOnce(&mut Stage) + Send>;

/// A running server, on its thread.
pub(super) struct Stage {
    event_loop: EventLoop,
    ready: Vec<Readiness>,
    disk: SimulatedDisk,
    orders: Receiver<Order>,
    /// How late replies are.
    delay: Duration,
    /// Whether any connection may have a fault.
    has_faults: bool,
    is_virtual: bool,
    is_stopped: bool,
}

fn text(error: io::Error) -> String {
    error.to_string()
}

impl Stage {
    /// Starts a server; gives its port too, 0 without one.
    ///
    /// Errors: why it cannot be.
    pub(super) fn set(plan: Plan, orders: Receiver<Order>) -> Result<(Stage, u16), String> {
        if !crate::base::sys::allocator::counts() {
            heap::alone::count_alone();
        }
        let Plan { config, statements, seed, virtual_ms, listener } = plan;
        let start = StartInfo { statements, ..StartInfo::default() };
        let declared = declared(&config, &start).map_err(|error| error.to_string())?;
        let clock = virtual_ms.map_or_else(Clock::system, Clock::held_at);
        let drawn = Entropy::system().map_err(text)?;
        let entropy = seed.map_or_else(|| drawn.clone(), Entropy::Seeded);
        let mut state = ServerState::new(&crate::commands::PROGRAM, config, clock, &entropy);
        // Servers with the same seed have not the same history.
        let mut random = drawn.generator();
        let history = ReplicationId::from_entropy(std::array::from_fn(|_| random.u8(..)));
        state.replication = Replication::new(history);
        state.process.is_embedded = true;
        (state.commands, state.users) = (declared.commands, declared.users);
        let disk = SimulatedDisk::new(seed.unwrap_or(0));
        state.disk = Disk::Simulated(disk.clone());
        if !state.config.aclfile.is_empty() {
            enforcement::load_acl_file(&mut state)?;
        }
        let mut event_loop = EventLoop::new(state, Door::embedded().map_err(text)?)?;
        let mut port = 0;
        if let (Some(listener), Some(listeners)) = (listener, &mut event_loop.state.listeners) {
            port = listeners.adopt(listener).map_err(text)?;
            event_loop.state.config.port = port;
        }
        event_loop.load()?;
        event_loop.begin_following();
        let mut stage = Stage {
            event_loop,
            ready: Vec::new(),
            disk,
            orders,
            delay: Duration::ZERO,
            has_faults: false,
            is_virtual: virtual_ms.is_some(),
            is_stopped: false,
        };
        stage.settle();
        Ok((stage, port))
    }

    /// How the loop is woken.
    pub(super) fn wake(&self) -> Wake {
        self.event_loop.state.wake.clone()
    }

    /// Turns until the server has ended, or is told to, and frees all that it had.
    pub(super) fn run(mut self) {
        while !self.is_over() {
            let timeout = self.timeout();
            self.turn(timeout);
            self.take_orders();
        }
        if let Some(listeners) = &mut self.event_loop.state.listeners {
            listeners.close();
        }
        drop(self);
        while lazy_free::step(FREED_ELEMENTS) {}
        heap::alone::release();
    }

    fn is_over(&self) -> bool {
        self.is_stopped || self.event_loop.shutdown.is_complete() || self.disk.is_cut_off()
    }

    fn take_orders(&mut self) {
        while !self.is_over() {
            match self.orders.try_recv() {
                Ok(order) => {
                    // What clients have sent before comes first.
                    self.settle();
                    order(self);
                }
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => self.is_stopped = true,
            }
        }
    }

    /// How long the poll may wait.
    fn timeout(&mut self) -> Option<Duration> {
        let now = self.event_loop.state.clock.ticks();
        let timeout = self.event_loop.poll_timeout(now);
        match self.held_for() {
            Some(wait) => Some(timeout.map_or(wait, |timeout| timeout.min(wait))),
            None => timeout,
        }
    }

    /// How long it is until a reply that is held back is due.
    fn held_for(&mut self) -> Option<Duration> {
        if !self.has_faults {
            return None;
        }
        let connections = self.event_loop.connections.iter_mut();
        let due_us = connections.filter_map(|(_, connection)| connection.stream.as_faulty()?.due_us()).min()?;
        let now_us = self.event_loop.state.clock.now_us();
        Some(Duration::from_micros(due_us.saturating_sub(now_us).max(RETRY_US)))
    }

    /// One poll and one turn. A poll that fails ends the server.
    fn turn(&mut self, timeout: Option<Duration>) {
        match self.event_loop.poller.poll(timeout, &mut self.ready) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => self.is_stopped = true,
            _ => {}
        }
        self.event_loop.turn(&self.ready);
        for helper in self.disk.busy_helpers() {
            while self.disk.run_helper(helper) {}
        }
        if self.has_faults {
            self.work_faults();
        }
    }

    /// Turns until nothing is left to do.
    pub(super) fn settle(&mut self) {
        for _ in 0..SETTLING_TURNS_MAX {
            self.turn(Some(Duration::ZERO));
            let now = self.event_loop.state.clock.ticks();
            if self.is_over() || self.ready.is_empty() && self.event_loop.poll_timeout(now) != Some(Duration::ZERO) {
                return;
            }
        }
    }

    /// Sends what is due, and has connections that have come meanwhile be as slow as the others.
    fn work_faults(&mut self) {
        let (mut has_faults, delay) = (!self.delay.is_zero(), self.delay);
        let EventLoop { connections, state, .. } = &mut self.event_loop;
        for (_, connection) in connections {
            if !delay.is_zero() {
                connection.stream.make_faulty(&state.clock).delay(delay);
            }
            if let Some(socket) = connection.stream.as_faulty() {
                socket.release();
                has_faults |= socket.is_faulty();
            }
        }
        self.has_faults = has_faults;
    }

    /// The server's state.
    pub(super) fn state(&mut self) -> &mut ServerState {
        &mut self.event_loop.state
    }

    /// Ends the server as soon as the message is done.
    pub(super) fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// Takes a connection in, of which this is the server's end.
    ///
    /// Errors: the system's.
    pub(super) fn connect(&mut self, socket: UnixStream) -> io::Result<()> {
        let stream = Stream::of_pair(socket)?;
        self.event_loop.accept_client(Connection::new(stream, None), "");
        Ok(())
    }

    /// Moves the virtual clock on; says whether there is one. What is due then has happened afterwards.
    pub(super) fn advance(&mut self, duration: Duration) -> bool {
        if self.is_virtual {
            let state = &mut self.event_loop.state;
            state.clock.advance_virtual_by(duration);
            state.refresh_clock();
            // A time is over once it has passed, by a millisecond. A test means the moment itself.
            state.keyspace.now_ms += 1;
            removal::expire_all(state);
            wake::run_timeouts(state);
            state.keyspace.now_ms -= 1;
            self.event_loop.turn(&[]);
        }
        self.is_virtual
    }

    /// Has each connection break off after so many more bytes of replies.
    pub(super) fn drop_after(&mut self, bytes: usize) {
        self.has_faults = true;
        let EventLoop { connections, state, .. } = &mut self.event_loop;
        for (_, connection) in connections {
            connection.stream.make_faulty(&state.clock).cut_after(bytes);
        }
    }

    /// Has replies be so late from now on.
    pub(super) fn delay(&mut self, delay: Duration) {
        self.has_faults = true;
        self.delay = delay;
        for (_, connection) in &mut self.event_loop.connections {
            if let Some(socket) = connection.stream.as_faulty() {
                socket.delay(delay);
            }
        }
    }

    /// The disk.
    pub(super) fn disk(&self) -> &SimulatedDisk {
        &self.disk
    }

    /// Has the primary be out of reach, or no longer; says whether this is a replica.
    pub(super) fn lose_primary(&mut self, is_lost: bool) -> bool {
        let is_replica = self.state().replication.is_replica();
        if is_replica {
            replica::set_out_of_reach(self.state(), is_lost);
        }
        is_replica
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::keyspace::{Expiry, NewValue};

    #[test]
    fn the_memory_of_a_server_goes_with_it() {
        let (config, statements) = Config::parse_text(b"port 0\nsave \"\"\n").expect("it is valid");
        let plan = Plan { config, statements, seed: Some(1), virtual_ms: None, listener: None };
        let (orders, received) = channel::<Order>();
        let fill = |stage: &mut Stage| {
            let keyspace = &mut stage.state().keyspace;
            for number in 0..20_000 {
                keyspace.set(0, format!("key:{number}").as_bytes(), NewValue::Raw(&[b'x'; 1000]), Expiry::Clear);
            }
            let (large, giant) = (vec![b'x'; 100_000], vec![b'x'; 3 << 20]);
            keyspace.set(0, b"large", NewValue::Large(large.into()), Expiry::Clear);
            keyspace.set(0, b"giant", NewValue::Large(giant.into()), Expiry::Clear);
            assert!(stage.state().used_memory() > 23_000_000);
            stage.stop();
        };
        let server = std::thread::spawn(move || {
            let (stage, port) = Stage::set(plan, received).expect("it starts");
            assert_eq!(port, 0);
            orders.send(Box::new(fill)).expect("it is alive");
            stage.run();
            (heap::allocated_bytes(), heap::resident_bytes(), lazy_free::pending())
        });
        assert_eq!(server.join().expect("it ends in good order"), (0, 0, 0));
    }
}
