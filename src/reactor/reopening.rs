//! A loop that has replayed a recording goes on as a server, on the state that the recording has led to.
//!
//! What was outside of the recorded server stays outside: its files, its sockets, its primary and its replicas. The
//! date stands still at the last recorded turn, so nothing expires. Sessions stay for CLIENT LIST; what they are sent
//! goes nowhere.

use std::io;

use crate::drive::replication::replica;
use crate::engine::state::ServerState;
use crate::net::listener::Listeners;
use crate::storage::file::operations::Disk;

use super::cron::Cron;
use super::door::Door;
use super::ending::Shutdown;
use super::event_loop::EventLoop;
use super::http::HttpService;
use super::jobs::Jobs;
use super::startup;

/// Where such a server listens.
const ADDRESS: &str = "127.0.0.1";

impl EventLoop {
    /// Opens this port of the loopback interface for new clients. The tape is off, and its last reading of the ticks
    /// was this.
    ///
    /// Errors: the text for the user.
    pub(crate) fn reopen(&mut self, port: u16, last_ticks: u64) -> Result<(), String> {
        let text = |error: io::Error| format!("Can't register with the poll: {error}");
        self.state.clock.resume(last_ticks);
        let door = Door::system(startup::log_insistence)?;
        self.registrar = door.poller.registrar();
        (self.poller, self.signals) = (door.poller, door.signals);
        self.registrar.watch(&self.signals).map_err(text)?;
        self.state.wake = self.registrar.waker().map_err(text)?;
        leave_outside(&mut self.state, port);
        self.state.outbounds.attach(self.registrar.clone(), self.state.wake.clone());
        self.state.aof.attach(self.state.disk.clone(), self.state.wake.clone());
        self.state.listeners = Some(Listeners::open(self.registrar.clone(), &self.state.config)?);
        self.begin_anew();
        Ok(())
    }

    /// Forgets what the loop was about to do: the recorded clients are not served any more.
    fn begin_anew(&mut self) {
        (self.watcher, self.load_error, self.shutdown) = (None, None, Shutdown::default());
        for list in [&mut self.ready, &mut self.flushing, &mut self.held] {
            list.clear();
        }
        self.connections.iter_mut().for_each(|(_, connection)| connection.ready = false);
        self.accepting.clear();
        self.stalled.clear();
        self.http = HttpService::new(self.registrar.clone());
        self.jobs = Jobs::default();
        self.cron = Cron::new(&self.state);
        self.turn_ended = self.state.clock.ticks();
    }
}

/// Cuts the state off from files, from other servers, and from the recorded addresses.
fn leave_outside(state: &mut ServerState, port: u16) {
    replica::promote(state);
    state.disk = Disk::Absent;
    (state.loading, state.replay) = (None, None);
    state.process.config_file = None;
    state.process.pid_file = None;
    (state.shutdown_scheduled, state.shutdown_due_ms) = (false, None);
    // Their files, if they have any, are the recorded server's.
    std::mem::forget(state.saving.background.take());
    std::mem::forget(std::mem::take(&mut state.aof));
    std::mem::forget(std::mem::take(&mut state.outbounds));
    let clients = u32::try_from(state.clients.len()).unwrap_or(u32::MAX);
    let config = &mut state.config;
    config.save.clear();
    config.appendonly = false;
    config.aclfile.clear();
    config.unixsocket.clear();
    (config.port, config.tls_port, config.http_port) = (port, 0, 0);
    config.bind = vec![ADDRESS.to_string()];
    config.maxclients = config.maxclients.saturating_add(clients);
    state.unpause();
    state.set_save_failed(false);
}
