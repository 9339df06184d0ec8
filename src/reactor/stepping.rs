//! The loop turned by hand: no waiting, no listeners, no signals; the test decides what is ready, and when.

use std::io;
use std::time::Duration;

use mio::Events;

use crate::base::sys::signals::{Signal, Signals};
use crate::engine::state::ServerState;
use crate::net::connection::Connection;
use crate::net::stream::Stream;

use super::event_loop::{EVENTS_MAX, EventLoop};

/// A loop that turns when it is told to.
pub struct SteppedLoop {
    event_loop: EventLoop,
    events: Events,
}

impl SteppedLoop {
    /// A loop for this instance, whose settings name no port.
    ///
    /// # Errors
    ///
    /// The text for the log.
    pub fn new(state: ServerState) -> Result<SteppedLoop, String> {
        let signals = Signals::unattached().map_err(|error| error.to_string())?;
        Ok(SteppedLoop { event_loop: EventLoop::new(state, signals)?, events: Events::with_capacity(EVENTS_MAX) })
    }

    /// Loads the data set, as at the start of a server.
    ///
    /// # Errors
    ///
    /// The text for the log.
    pub fn load(&mut self) -> Result<(), String> {
        self.event_loop.load()
    }

    /// Takes a connected client in.
    pub fn connect(&mut self, stream: Stream) {
        self.event_loop.accept_client(Connection::new(stream, None), "");
    }

    /// One turn for what is ready now.
    ///
    /// # Errors
    ///
    /// The poll's.
    pub fn turn(&mut self) -> io::Result<()> {
        let poll = &mut self.event_loop.poll;
        poll.poll(&mut self.events, Some(Duration::ZERO))?;
        self.event_loop.turn(&self.events);
        Ok(())
    }

    /// As when SIGTERM has come.
    pub fn terminate(&mut self) {
        self.event_loop.shutdown.schedule(Signal::Terminate);
    }

    /// Whether the server has come to its end.
    pub fn is_over(&self) -> bool {
        self.event_loop.shutdown.is_complete()
    }

    /// The server's state.
    pub fn state(&mut self) -> &mut ServerState {
        &mut self.event_loop.state
    }
}
