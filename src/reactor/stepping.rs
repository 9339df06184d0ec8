//! The loop turned by hand, in a scripted world: no waiting, no kernel; the test decides what is ready, and when.

use std::io;
use std::time::Duration;

use crate::engine::state::ServerState;
use crate::net::address::Address;
use crate::net::connection::Connection;
use crate::net::readiness::Readiness;
use crate::net::scripted::peer::Peer;
use crate::net::scripted::world::{Source, World};
use crate::net::stream::Stream;

use super::door::Door;
use super::event_loop::EventLoop;

/// A loop that turns when it is told to.
pub struct SteppedLoop {
    event_loop: EventLoop,
    world: World,
    ready: Vec<Readiness>,
}

impl SteppedLoop {
    /// A loop for this instance, in a world of its own. The instance has a virtual clock.
    ///
    /// # Errors
    ///
    /// The text for the log.
    pub fn new(state: ServerState) -> Result<SteppedLoop, String> {
        let world = World::new(state.clock.clone());
        let event_loop = EventLoop::new(state, Door::scripted(&world))?;
        Ok(SteppedLoop { event_loop, world, ready: Vec::new() })
    }

    /// Loads the data set, as at the start of a server.
    ///
    /// # Errors
    ///
    /// The text for the log.
    pub fn load(&mut self) -> Result<(), String> {
        self.event_loop.load()
    }

    /// Follows the primary that the settings name, if they name one, once the data set is loaded. Without one the
    /// server goes on with the history that its data are of.
    pub fn begin_following(&mut self) {
        self.event_loop.begin_following();
    }

    /// What is outside of the server.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// A client that is connected at once, without a listener.
    pub fn connect(&mut self) -> Peer {
        let (peer, end) = Peer::pair(&self.world);
        self.event_loop.accept_client(Connection::new(Stream::Scripted(end), None), "");
        peer
    }

    /// A client from that address, connected at once, which takes all that it is sent and forgets it.
    pub fn connect_from(&mut self, address: Address) -> Peer {
        let (peer, end) = Peer::pair_from(&self.world, address);
        peer.forget_all();
        self.event_loop.accept_client(Connection::new(Stream::Scripted(end), None), "");
        peer
    }

    /// One turn for all that is due now.
    ///
    /// # Errors
    ///
    /// The poll's.
    pub fn turn(&mut self) -> io::Result<()> {
        self.event_loop.poller.poll(Some(Duration::ZERO), &mut self.ready)?;
        self.event_loop.turn(&self.ready);
        Ok(())
    }

    /// One turn for these alone, in this order, as far as they are due.
    ///
    /// # Errors
    ///
    /// The poll's.
    pub fn turn_for(&mut self, sources: &[Source]) -> io::Result<()> {
        self.world.choose(sources);
        self.turn()
    }

    /// One turn without a poll: for what the last turn has left.
    pub fn turn_without_poll(&mut self) {
        self.ready.clear();
        self.event_loop.turn(&[]);
    }

    /// What the last poll has reported, in that order.
    pub fn reported(&self) -> &[Readiness] {
        &self.ready
    }

    /// The poll as the loop itself would do it, and the turn: where nothing is due, the virtual clock moves on by as
    /// long as the loop would wait.
    ///
    /// # Errors
    ///
    /// The poll's.
    pub fn wait(&mut self) -> io::Result<()> {
        self.event_loop.poll_and_turn(&mut self.ready, self.event_loop.state.clock.ticks()).map(|_| ())
    }

    /// Whether the loop would wait now: it has nothing left to do, and nothing is due.
    pub fn is_idle(&mut self) -> bool {
        self.time_to_wait() != Some(Duration::ZERO)
    }

    /// How long the loop would wait now: no time where something is left to do or due, any time where none is given.
    pub fn time_to_wait(&mut self) -> Option<Duration> {
        match self.world.due().is_empty() {
            true => self.event_loop.poll_timeout(self.event_loop.state.clock.ticks()),
            false => Some(Duration::ZERO),
        }
    }

    /// Whether the server has come to its end.
    pub fn is_over(&self) -> bool {
        self.event_loop.shutdown.is_complete()
    }

    /// The server's state, to look at.
    pub fn view(&self) -> &ServerState {
        &self.event_loop.state
    }

    /// The loop, to look into.
    pub(super) fn event_loop(&self) -> &EventLoop {
        &self.event_loop
    }

    /// The loop, to turn its knobs.
    pub(super) fn event_loop_mut(&mut self) -> &mut EventLoop {
        &mut self.event_loop
    }

    /// The server's state.
    pub fn state(&mut self) -> &mut ServerState {
        &mut self.event_loop.state
    }
}
