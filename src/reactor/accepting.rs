//! Taking new connections in, so many a turn, or sending them away with the reason.

use std::io;

use log::{debug, warn};

use crate::drive::cluster::bus;
use crate::net::address::Address;
use crate::net::connection::Connection;
use crate::net::listener::Accepted;
use crate::net::poll_target::PollTarget;
use crate::observe::turn::Part;

use super::event_loop::EventLoop;

/// Time between two warnings that accepting fails, in µs.
const ACCEPT_WARNING_PERIOD_US: u64 = 1_000_000;

impl EventLoop {
    /// Takes in the connections that wait at the listeners, as many as one turn allows. A listener
    /// is reported once for all of them, so it is remembered until it has no more.
    pub(super) fn accept_waiting(&mut self) {
        if self.accepting.is_empty() {
            return;
        }
        self.accept_some();
        self.state.recorder.mark_now(Part::Accept, &self.state.clock);
    }

    fn accept_some(&mut self) {
        let config = &self.state.config;
        let (mut room, mut encrypted_room) =
            (config.max_new_connections_per_cycle, config.max_new_tls_connections_per_cycle);
        // Listeners whose connections have had their share of the turn: a flood must not keep the others waiting.
        let mut rested = Vec::new();
        while let Some(index) = self.accepting.last().copied() {
            let Some(listeners) = &self.state.listeners else {
                return self.accepting.clear();
            };
            if index >= listeners.len() {
                self.accepting.pop();
                continue;
            }
            let mut left = &mut room;
            match listeners.accept(index, self.state.clock.now_ms() / 1000) {
                Ok(Accepted::Client(connection)) => {
                    if connection.is_encrypted() {
                        left = &mut encrypted_room;
                    }
                    let path = listeners.unix_path().unwrap_or_default().to_string();
                    self.accept_client(connection, &path);
                }
                Ok(Accepted::Http(socket)) => {
                    self.http.admit(socket, self.state.clock.monotonic_us());
                }
                Ok(Accepted::Bus(stream, session)) => bus::accept(&mut self.state, stream, session),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.accepting.pop();
                    continue;
                }
                // The peer was gone before we came to it; the next one may be there.
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {
                }
                Err(error) => {
                    self.warn_of_accepting(&error);
                    self.stalled.extend(self.accepting.pop());
                    continue;
                }
            }
            *left = left.saturating_sub(1);
            if *left == 0 {
                rested.extend(self.accepting.pop());
            }
        }
        self.accepting.append(&mut rested);
    }

    /// Once a second is enough: without file descriptors every attempt fails.
    fn warn_of_accepting(&mut self, error: &io::Error) {
        let now_us = self.state.clock.monotonic_us();
        if now_us >= self.accept_warning_due_us {
            self.accept_warning_due_us = now_us + ACCEPT_WARNING_PERIOD_US;
            warn!("Accepting client connection: {error}");
        }
    }

    /// Takes a new connection in, or sends it away with the reason.
    pub(crate) fn accept_client(&mut self, mut connection: Connection, unix_path: &str) {
        self.state.stats.connections += 1;
        let address = connection.stream.address(unix_path);
        if let Some(reason) = self.reason_to_refuse(&address, &connection) {
            self.state.stats.rejected_connections += 1;
            if !connection.is_encrypted() {
                // A peer that does not take even this line is closed all the same.
                let _ = io::Write::write(&mut connection.stream, reason.as_bytes());
            }
            return;
        }
        if let Err(error) = connection.stream.set_options(self.state.config.tcp_keepalive) {
            debug!("Can't set socket options for {}: {error}", address.peer);
        }
        let descriptor = connection.stream.descriptor();
        let handshaking = connection.is_handshaking();
        let key = self.connections.vacant_key();
        let token = self.state.add_client(address);
        // INVARIANT: sessions and connections come and go together, so both slabs choose alike.
        assert_eq!(key, token.slot as usize, "a session and its connection share a slot");
        if let Err(error) = connection.stream.register(&self.registrar, PollTarget::Client(token)) {
            warn!("Error registering fd event for the new client: {error}");
            self.state.clients.remove(token);
            return;
        }
        self.connections.insert(connection);
        if let Some(session) = self.state.clients.get_mut(token) {
            session.descriptor = descriptor;
            session.handshaking = handshaking;
            session.is_encrypted = handshaking;
            if let Some(watcher) = &mut self.watcher {
                watcher.connected(session);
            }
        }
    }

    fn reason_to_refuse(&self, address: &Address, connection: &Connection) -> Option<&'static str> {
        if self.state.clients.len() >= self.state.config.maxclients as usize {
            return Some("-ERR max number of clients reached\r\n");
        }
        // One that is to be encrypted is told once it can be: see `Server::meet`.
        let refused = !connection.is_encrypted() && self.state.protects_from(address);
        refused.then_some(PROTECTED_MODE_ERROR)
    }
}

/// What a client from elsewhere is told while nothing protects the data.
pub(crate) const PROTECTED_MODE_ERROR: &str = "-DENIED Oneloop is running in protected mode because protected \
mode is enabled and no password is set for the default user. In this mode connections are only \
accepted from the loopback interface. To let other hosts connect: 1) turn protected mode off with \
'CONFIG SET protected-mode no' from this machine, if the server is not reachable from the internet; \
2) set 'protected-mode no' in the configuration file and restart; 3) start the server with \
'--protected-mode no'; or 4) set a password for the default user.\r\n";
