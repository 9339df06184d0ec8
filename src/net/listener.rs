//! Listening sockets: TCP on every configured address, and a Unix socket.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;

use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Config;

use super::stream::Stream;

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The sockets that clients connect to. Their poll tokens are their places in the list, from
/// `first_token` down.
pub struct Listeners {
    registry: Registry,
    listeners: Vec<Listener>,
    first_token: usize,
    unix_path: Option<String>,
    /// The TCP port really listened on (a configured one of 0 means none).
    pub port: u16,
}

impl Listeners {
    /// Opens what the settings ask for.
    ///
    /// Errors: the text to log, as soon as an address that must be there cannot be listened on.
    pub fn open(
        registry: Registry,
        first_token: usize,
        config: &Config,
    ) -> Result<Listeners, String> {
        let mut listeners = Listeners {
            registry,
            listeners: Vec::new(),
            first_token,
            unix_path: None,
            port: config.port,
        };
        listeners.listeners = open_tcp(config)?;
        if !config.unixsocket.is_empty() {
            let unix = open_unix(&config.unixsocket, config.unixsocketperm)
                .map_err(|error| format!("Failed opening Unix socket: bind: {error}"))?;
            listeners.unix_path = Some(config.unixsocket.clone());
            listeners.listeners.push(unix);
        }
        listeners
            .register()
            .map_err(|error| format!("Failed registering sockets: {error}"))?;
        Ok(listeners)
    }

    /// Closes the TCP sockets and opens those that the settings ask for now; on an error the old
    /// ones stay.
    ///
    /// Errors: why not, for the reply to CONFIG SET.
    pub fn rebind(&mut self, config: &Config) -> Result<(), String> {
        let same_port = self.port == config.port;
        // On the same port the old sockets would be in the way of the new ones.
        let kept = if same_port {
            self.close_tcp()
        } else {
            Vec::new()
        };
        match open_tcp(config) {
            Ok(opened) => {
                if !same_port {
                    drop(self.close_tcp());
                }
                self.listeners.splice(0..0, opened);
            }
            Err(error) => {
                // The old addresses were free a moment ago: listening on them again is the best
                // that can be done.
                let addresses = kept.iter().filter_map(|listener| match listener {
                    Listener::Tcp(socket) => socket.local_addr().ok(),
                    Listener::Unix(_) => None,
                });
                let addresses: Vec<_> = addresses.collect();
                drop(kept);
                for address in addresses {
                    if let Ok(listener) = open_address(address, config) {
                        self.listeners.insert(0, listener);
                    }
                }
                self.reregister().map_err(|error| error.to_string())?;
                return Err(error);
            }
        }
        self.port = config.port;
        self.reregister().map_err(|error| error.to_string())
    }

    fn close_tcp(&mut self) -> Vec<Listener> {
        let (tcp, unix) = self
            .listeners
            .drain(..)
            .partition(|listener| matches!(listener, Listener::Tcp(_)));
        self.listeners = unix;
        let mut tcp: Vec<Listener> = tcp;
        for listener in &mut tcp {
            if let Listener::Tcp(socket) = listener {
                // A socket that cannot be taken out leaves the poll when it is closed.
                let _ = self.registry.deregister(socket);
            }
        }
        tcp
    }

    fn register(&mut self) -> io::Result<()> {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            let token = Token(self.first_token - index);
            match listener {
                Listener::Tcp(socket) => {
                    self.registry.register(socket, token, Interest::READABLE)?
                }
                Listener::Unix(socket) => {
                    self.registry.register(socket, token, Interest::READABLE)?
                }
            }
        }
        Ok(())
    }

    fn reregister(&mut self) -> io::Result<()> {
        for listener in &mut self.listeners {
            // Those that are new are not registered yet.
            let _ = match listener {
                Listener::Tcp(socket) => self.registry.deregister(socket),
                Listener::Unix(socket) => self.registry.deregister(socket),
            };
        }
        self.register()
    }

    /// Number of sockets.
    pub fn len(&self) -> usize {
        self.listeners.len()
    }

    /// Whether nothing is listened on.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// Whether the token belongs to a listener; which one.
    pub fn index_of(&self, token: Token) -> Option<usize> {
        self.first_token
            .checked_sub(token.0)
            .filter(|index| *index < self.listeners.len())
    }

    /// The addresses listened on, for INFO and the process title.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let address = |listener: &Listener| match listener {
            Listener::Tcp(socket) => socket.local_addr().ok(),
            Listener::Unix(_) => None,
        };
        self.listeners.iter().filter_map(address).collect()
    }

    /// The path of the Unix socket, or nothing.
    pub fn unix_path(&self) -> Option<&str> {
        self.unix_path.as_deref()
    }

    /// The next connection that waits on a listener.
    ///
    /// Errors: `WouldBlock` when none waits; others as accept(2) gives them.
    pub fn accept(&self, index: usize) -> io::Result<Stream> {
        match &self.listeners[index] {
            Listener::Tcp(socket) => Ok(Stream::Tcp(socket.accept()?.0)),
            Listener::Unix(socket) => Ok(Stream::Unix(socket.accept()?.0)),
        }
    }

    /// Closes everything and removes the Unix socket's file.
    pub fn close(&mut self) {
        self.listeners.clear();
        if let Some(path) = self.unix_path.take() {
            log::info!("Removing the unix socket file.");
            // A file that is gone already is as good as one removed.
            let _ = fs::remove_file(path);
        }
    }
}

fn open_tcp(config: &Config) -> Result<Vec<Listener>, String> {
    let mut opened = Vec::new();
    if config.port == 0 {
        return Ok(opened);
    }
    let mut refused = 0;
    for name in &config.bind {
        let (name, optional) = match name.strip_prefix('-') {
            Some(name) => (name, true),
            None => (name.as_str(), false),
        };
        match addresses_of(name, config.port).and_then(|addresses| {
            addresses
                .into_iter()
                .map(|a| open_address(a, config))
                .collect::<io::Result<Vec<_>>>()
        }) {
            Ok(sockets) => opened.extend(sockets),
            Err(error) if optional && is_absence(&error) => refused += 1,
            Err(error) => {
                log::warn!(
                    "Warning: Could not create server TCP listening socket {name}:{}: {error}",
                    config.port
                );
                return Err(format!(
                    "Failed listening on port {} (tcp), aborting.",
                    config.port
                ));
            }
        }
    }
    if opened.is_empty() && refused > 0 {
        return Err(format!(
            "Failed listening on port {} (tcp), aborting.",
            config.port
        ));
    }
    Ok(opened)
}

/// Whether an address or its whole family is missing on this machine.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || matches!(error.raw_os_error(), Some(code) if code == 97 || code == 93 || code == 94)
}

fn addresses_of(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match name {
        "*" => Ok(vec![SocketAddr::new(
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port,
        )]),
        "::*" => Ok(vec![SocketAddr::new(
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            port,
        )]),
        name => Ok((name, port).to_socket_addrs()?.take(1).collect()),
    }
}

fn open_address(address: SocketAddr, config: &Config) -> io::Result<Listener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if config.socket_mark_id > 0 {
        socket.set_mark(config.socket_mark_id)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(config.tcp_backlog).unwrap_or(i32::MAX))?;
    Ok(Listener::Tcp(TcpListener::from_std(socket.into())))
}

fn open_unix(path: &str, mode: u32) -> io::Result<Listener> {
    // A socket left behind by an earlier run would be in the way.
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let socket = UnixListener::bind(path)?;
    if mode != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    Ok(Listener::Unix(socket))
}
