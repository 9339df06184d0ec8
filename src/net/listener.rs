//! Listening sockets: TCP and TLS on every configured address, a Unix socket, the HTTP port, and the cluster's bus.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use mio::Interest;
use mio::net::{TcpListener, UnixListener};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::poll_target::PollTarget;
use super::poller::Registrar;
use super::scripted::server_end::ScriptedListener;
use crate::base::logging::system_text;
use crate::base::sys::{groups, sockets};
use crate::base::tape::hearing::Purpose;
use crate::base::tape::{self, Kind};
use crate::config::{AuthClients, Config};

use super::connection::Connection;
use super::http::HttpSocket;
use super::stream::Stream;
use super::tls::{self, Acceptor, TlsSession};
use super::unix_socket::UnixSocket;

/// What listens on TCP addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Plain,
    Tls,
    /// HTTP: its connections are not clients.
    Http,
    /// The bus of the cluster: other nodes.
    Bus,
}

/// An accepted connection.
pub enum Accepted {
    Client(Connection),
    Http(HttpSocket),
    /// A connection of another node, and its TLS session if it is encrypted.
    Bus(Stream, Option<Box<TlsSession>>),
}

impl Transport {
    /// All, in the order in which they are listed.
    pub const ALL: [Transport; 4] = [Transport::Plain, Transport::Tls, Transport::Http, Transport::Bus];
    /// What clients come by.
    pub const OF_CLIENTS: [Transport; 2] = [Transport::Plain, Transport::Tls];

    /// The name in the log and in INFO.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Plain => "tcp",
            Transport::Tls => "tls",
            Transport::Http => "http",
            Transport::Bus => "cluster bus",
        }
    }

    /// The port that the settings give it; 0: none.
    pub fn port(self, config: &Config) -> u16 {
        match self {
            Transport::Plain => config.port,
            Transport::Tls => config.tls_port,
            Transport::Http => config.http_port,
            Transport::Bus => config.bus_port(),
        }
    }

    /// The addresses that the settings give it.
    fn addresses(self, config: &Config) -> &[String] {
        match self {
            Transport::Plain | Transport::Tls | Transport::Bus => &config.bind,
            Transport::Http => &config.http_bind,
        }
    }
}

enum Listener {
    Tcp(TcpListener, Transport),
    Unix(UnixListener),
    /// Of a Unix socket where there is no transport.
    Scripted(ScriptedListener, Option<Transport>),
    /// The same, of a tape.
    Replayed(Option<Transport>),
}

impl Listener {
    fn transport(&self) -> Option<Transport> {
        match self {
            Listener::Tcp(_, transport) => Some(*transport),
            Listener::Unix(_) => None,
            Listener::Scripted(_, transport) | Listener::Replayed(transport) => *transport,
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        tape::pass(Kind::Socket, || match self {
            Listener::Tcp(socket, _) => socket.local_addr().ok(),
            Listener::Unix(_) | Listener::Scripted(_, None) | Listener::Replayed(_) => None,
            Listener::Scripted(listener, _) => Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listener.port())),
        })
    }

    fn register(&mut self, registrar: &Registrar, target: PollTarget) -> io::Result<()> {
        match (self, registrar) {
            (Listener::Tcp(socket, _), Registrar::System(registry)) => {
                registry.register(socket, target.token(), Interest::READABLE)
            }
            (Listener::Unix(socket), Registrar::System(registry)) => {
                registry.register(socket, target.token(), Interest::READABLE)
            }
            (Listener::Scripted(listener, _), Registrar::Scripted(_, poller)) => {
                listener.register(*poller, target);
                Ok(())
            }
            (Listener::Replayed(_), _) => Ok(()),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Takes it out of the poll. One that cannot be taken out leaves the poll when it is closed.
    fn deregister(&mut self, registrar: &Registrar) {
        match (self, registrar) {
            (Listener::Tcp(socket, _), Registrar::System(registry)) => {
                let _ = registry.deregister(socket);
            }
            (Listener::Unix(socket), Registrar::System(registry)) => {
                let _ = registry.deregister(socket);
            }
            (Listener::Scripted(listener, _), _) => listener.deregister(),
            (Listener::Tcp(..) | Listener::Unix(_) | Listener::Replayed(_), _) => {}
        }
    }

    fn accept(&self, purpose: Purpose) -> io::Result<Stream> {
        let accepted = tape::pass_thing(Kind::Socket, || {
            Ok::<_, io::Error>(match self {
                Listener::Tcp(socket, _) => Stream::Tcp(socket.accept()?.0),
                Listener::Unix(socket) => Stream::Unix(UnixSocket::new(socket.accept()?.0)),
                Listener::Scripted(listener, _) => Stream::Scripted(listener.accept()?),
                Listener::Replayed(_) => return Err(io::ErrorKind::Unsupported.into()),
            })
        })?;
        Ok(accepted.unwrap_or_else(|| Stream::replayed(purpose)))
    }
}

fn encrypts_http(config: &Config) -> bool {
    config.http_tls && config.http_port != 0
}

fn encrypts_bus(config: &Config) -> bool {
    config.cluster_enabled && config.tls_cluster
}

/// When the files of TLS were changed last, as a number; always 0 where nothing is encrypted.
fn tls_stamp(config: &Config) -> u64 {
    match config.tls_port != 0 || encrypts_http(config) || encrypts_bus(config) {
        true => tls::files_stamp(config),
        false => 0,
    }
}

/// What encrypts for clients and for HTTP, and what encrypts the cluster's bus, where the settings ask for it.
fn acceptors(config: &Config) -> Result<(Option<Acceptor>, Option<Acceptor>), String> {
    let for_clients = match config.tls_port != 0 || encrypts_http(config) {
        true => Some(Acceptor::new(config)?),
        false => None,
    };
    let for_bus = match encrypts_bus(config) {
        true => Some(Acceptor::new(&Config { tls_auth_clients: AuthClients::Yes, ..config.clone() })?),
        false => None,
    };
    Ok((for_clients, for_bus))
}

/// Looks whether the certificates and all else that the settings say of TLS can be used.
///
/// Errors: why not.
pub fn check_tls(config: &Config) -> Result<(), String> {
    acceptors(config).map(|_| ())
}

/// The sockets that clients connect to. Their poll targets are their places in the list.
pub struct Listeners {
    registrar: Registrar,
    listeners: Vec<Listener>,
    unix_path: Option<String>,
    /// What encrypts, while there is a TLS port, or the HTTP port is encrypted.
    acceptor: Option<Acceptor>,
    encrypts_http: bool,
    /// What encrypts for the bus of the cluster, whose nodes have to show a certificate.
    bus_acceptor: Option<Acceptor>,
    /// When the files of TLS were changed last that have been read.
    tls_stamp: u64,
}

impl Listeners {
    /// Opens what the settings ask for.
    ///
    /// Errors: the text to log, as soon as an address that must be there cannot be listened on, or the
    /// settings of TLS are refused.
    pub fn open(registrar: Registrar, config: &Config) -> Result<Listeners, String> {
        let mut listeners = Listeners {
            registrar,
            listeners: Vec::new(),
            unix_path: None,
            acceptor: None,
            encrypts_http: false,
            bus_acceptor: None,
            tls_stamp: 0,
        };
        listeners.configure_tls(config).map_err(|reason| format!("Failed to configure TLS: {reason}"))?;
        check_exposure(config)?;
        listeners.listeners = open_tcp(&listeners.registrar, config, &Transport::ALL)?;
        if !config.unixsocket.is_empty() {
            let unix = open_unix(&listeners.registrar, config).map_err(|error| {
                format!("Failed opening Unix socket {}: {}", config.unixsocket, system_text(&error))
            })?;
            listeners.unix_path = Some(config.unixsocket.clone());
            listeners.listeners.push(unix);
        }
        listeners.register().map_err(|error| format!("Failed registering sockets: {error}"))?;
        Ok(listeners)
    }

    /// Listens for clients on one more socket, which is bound already; gives its port.
    ///
    /// Errors: the system's.
    pub fn adopt(&mut self, socket: std::net::TcpListener) -> io::Result<u16> {
        socket.set_nonblocking(true)?;
        let port = socket.local_addr()?.port();
        let mut listener = Listener::Tcp(TcpListener::from_std(socket), Transport::Plain);
        listener.register(&self.registrar, PollTarget::Listener(self.listeners.len() as u32))?;
        self.listeners.push(listener);
        Ok(port)
    }

    /// Reads the certificates and all else that the settings say of TLS anew, for the connections to
    /// come. Where nothing is encrypted nothing is read.
    ///
    /// Errors: the text to log; what was in force stays so.
    pub fn configure_tls(&mut self, config: &Config) -> Result<(), String> {
        // Taken first: a change while the files are being read is found later.
        let stamp = tls_stamp(config);
        (self.acceptor, self.bus_acceptor) = acceptors(config)?;
        self.encrypts_http = encrypts_http(config);
        self.tls_stamp = stamp;
        Ok(())
    }

    /// Whether the files of TLS have changed since they were read, or since this was asked last.
    pub fn note_tls_change(&mut self, config: &Config) -> bool {
        let stamp = tls_stamp(config);
        std::mem::replace(&mut self.tls_stamp, stamp) != stamp
    }

    /// Closes the TCP sockets of some transports and opens those that the settings ask for now; on an
    /// error the old ones stay.
    ///
    /// Errors: why not, for the log.
    pub fn rebind(&mut self, config: &Config, transports: &[Transport]) -> Result<(), String> {
        // On the same port the old sockets would be in the way of the new ones.
        let stays = |transport: Transport| self.port(transport) == transport.port(config);
        let (in_the_way, others): (Vec<_>, Vec<_>) =
            transports.iter().copied().partition(|transport| stays(*transport));
        let closed = self.close_tcp(&in_the_way);
        match open_tcp(&self.registrar, config, transports) {
            Ok(opened) => {
                self.close_tcp(&others);
                self.listeners.splice(0..0, opened);
                self.reregister().map_err(|error| error.to_string())
            }
            Err(error) => {
                // The old addresses were free a moment ago: listening on them again is the best
                // that can be done.
                for (address, transport) in closed {
                    if let Ok(listener) = open_address(&self.registrar, address, config, transport) {
                        self.listeners.insert(0, listener);
                    }
                }
                self.reregister().map_err(|error| error.to_string())?;
                Err(error)
            }
        }
    }

    /// Closes the sockets of these transports; gives where they listened.
    fn close_tcp(&mut self, transports: &[Transport]) -> Vec<(SocketAddr, Transport)> {
        let mut closed = Vec::new();
        let listeners = std::mem::take(&mut self.listeners);
        for mut listener in listeners {
            match listener.transport() {
                Some(transport) if transports.contains(&transport) => {
                    listener.deregister(&self.registrar);
                    closed.extend(listener.address().zip(listener.transport()));
                }
                _ => self.listeners.push(listener),
            }
        }
        closed
    }

    fn register(&mut self) -> io::Result<()> {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            listener.register(&self.registrar, PollTarget::Listener(index as u32))?;
        }
        Ok(())
    }

    fn reregister(&mut self) -> io::Result<()> {
        for listener in &mut self.listeners {
            // Those that are new are not registered yet.
            listener.deregister(&self.registrar);
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

    /// Number of sockets of that transport.
    pub fn count(&self, transport: Transport) -> usize {
        let transports = self.listeners.iter().map(Listener::transport);
        transports.filter(|known| *known == Some(transport)).count()
    }

    /// The port that a transport really listens on; 0: none.
    pub fn port(&self, transport: Transport) -> u16 {
        let mut listeners = self.listeners.iter();
        let found = listeners.find(|listener| listener.transport() == Some(transport));
        found.and_then(Listener::address).map_or(0, |address| address.port())
    }

    /// The path of the Unix socket, or nothing.
    pub fn unix_path(&self) -> Option<&str> {
        self.unix_path.as_deref()
    }

    /// The next connection that waits on a listener, at that time in seconds since the epoch.
    ///
    /// Errors: `WouldBlock` when none waits; others as accept(2) gives them.
    pub fn accept(&self, index: usize, now_s: u64) -> io::Result<Accepted> {
        let listener = &self.listeners[index];
        let transport = listener.transport().unwrap_or(Transport::Plain);
        let purpose = match transport {
            Transport::Plain | Transport::Tls => Purpose::Client,
            Transport::Http => Purpose::Http,
            Transport::Bus => Purpose::Bus,
        };
        let stream = listener.accept(purpose)?;
        let is_encrypted = match transport {
            Transport::Plain => false,
            Transport::Tls => true,
            Transport::Http => self.encrypts_http,
            Transport::Bus => self.bus_acceptor.is_some(),
        };
        let acceptor = if transport == Transport::Bus { &self.bus_acceptor } else { &self.acceptor };
        let tls = match (is_encrypted, acceptor) {
            (false, _) => None,
            (true, Some(acceptor)) => Some(acceptor.begin(now_s)?),
            (true, None) => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        match transport {
            Transport::Http => Ok(Accepted::Http(HttpSocket::new(stream, tls))),
            Transport::Plain | Transport::Tls => Ok(Accepted::Client(Connection::new(stream, tls))),
            Transport::Bus => Ok(Accepted::Bus(stream, tls)),
        }
    }

    /// Closes everything and removes the Unix socket's file.
    pub fn close(&mut self) {
        self.listeners.clear();
        if let Some(path) = self.unix_path.take() {
            log::info!("Removing the unix socket file.");
            // A file that is gone already is as good as one removed.
            let _ = tape::pass(Kind::Socket, || fs::remove_file(path));
        }
    }
}

/// Whether the HTTP port may be opened as the settings say: on other interfaces than loopback only where clients have
/// to show a token or a certificate.
///
/// Errors: the reason, for the log and for CONFIG SET.
pub fn check_exposure(config: &Config) -> Result<(), String> {
    let is_loopback = |name: &String| {
        let name = name.strip_prefix('-').unwrap_or(name);
        name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    let asks_for_token = !config.http_token.is_empty();
    let asks_for_certificate = config.http_tls && config.tls_auth_clients == AuthClients::Yes;
    let is_guarded = asks_for_token || asks_for_certificate || config.http_bind.iter().all(is_loopback);
    match config.http_port == 0 || is_guarded {
        true => Ok(()),
        false => {
            Err("http-bind names an address beyond the loopback interface: set http-token first, or http-tls with \
                      tls-auth-clients"
                .to_string())
        }
    }
}

fn open_tcp(registrar: &Registrar, config: &Config, transports: &[Transport]) -> Result<Vec<Listener>, String> {
    let mut opened = Vec::new();
    for transport in transports {
        opened.extend(open_transport(registrar, config, *transport)?);
    }
    Ok(opened)
}

fn open_transport(registrar: &Registrar, config: &Config, transport: Transport) -> Result<Vec<Listener>, String> {
    let port = transport.port(config);
    let mut opened = Vec::new();
    if port == 0 {
        return Ok(opened);
    }
    let failed = || {
        let kind = transport.name();
        format!("Failed listening on port {port} ({kind}), aborting.")
    };
    let mut refused = 0;
    for name in transport.addresses(config) {
        let (name, optional) = match name.strip_prefix('-') {
            Some(name) => (name, true),
            None => (name.as_str(), false),
        };
        match addresses_of(name, port).and_then(|addresses| {
            addresses
                .into_iter()
                .map(|address| open_address(registrar, address, config, transport))
                .collect::<io::Result<Vec<_>>>()
        }) {
            Ok(sockets) => opened.extend(sockets),
            Err(error) if optional && is_absence(&error) => refused += 1,
            Err(error) => {
                // It is nearly always the address that is refused.
                let reason = system_text(&error);
                log::warn!("Warning: Could not create server TCP listening socket {name}:{port}: bind: {reason}");
                return Err(failed());
            }
        }
    }
    if opened.is_empty() && refused > 0 {
        return Err(failed());
    }
    Ok(opened)
}

/// Whether an address or its whole family is missing on this machine.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || matches!(error.raw_os_error(), Some(code) if code == 97 || code == 93 || code == 94)
}

fn addresses_of(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match name {
        "*" => Ok(vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)]),
        "::*" => Ok(vec![SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)]),
        name => tape::pass(Kind::Name, || Ok((name, port).to_socket_addrs()?.take(1).collect())),
    }
}

fn open_address(
    registrar: &Registrar,
    address: SocketAddr,
    config: &Config,
    transport: Transport,
) -> io::Result<Listener> {
    if let Registrar::Scripted(world, _) = registrar {
        return Ok(Listener::Scripted(ScriptedListener::open(world, address.port()), Some(transport)));
    }
    let opened = tape::pass_thing(Kind::Socket, || open_real_address(address, config))?;
    Ok(opened.map_or(Listener::Replayed(Some(transport)), |socket| Listener::Tcp(socket, transport)))
}

fn open_real_address(address: SocketAddr, config: &Config) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if config.socket_mark_id > 0 {
        socket.set_mark(config.socket_mark_id)?;
    }
    if config.socket_busy_poll_us > 0 {
        // Those that are accepted have what their listener has.
        sockets::set_busy_poll(&socket, config.socket_busy_poll_us)
            .map_err(|error| io::Error::other(format!("socket-busy-poll-us: {error}")))?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(config.tcp_backlog).unwrap_or(i32::MAX))?;
    Ok(TcpListener::from_std(socket.into()))
}

fn open_unix(registrar: &Registrar, config: &Config) -> io::Result<Listener> {
    if let Registrar::Scripted(world, _) = registrar {
        return Ok(Listener::Scripted(ScriptedListener::open(world, 0), None));
    }
    let opened = tape::pass_thing(Kind::Socket, || open_real_unix(config))?;
    Ok(opened.map_or(Listener::Replayed(None), Listener::Unix))
}

fn open_real_unix(config: &Config) -> io::Result<UnixListener> {
    let (path, mode) = (config.unixsocket.as_str(), config.unixsocketperm);
    clear_unix_path(path)?;
    let socket = UnixListener::bind(path)?;
    if !config.unixsocketgroup.is_empty() {
        let group = groups::id_of(&config.unixsocketgroup)?;
        std::os::unix::fs::chown(path, None, Some(group))?;
    }
    if mode != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    Ok(socket)
}

/// Removes a socket that an earlier run has left behind: it would be in the way.
///
/// Errors: what is there is no socket, or a server listens on it.
fn clear_unix_path(path: &str) -> io::Result<()> {
    check_unix_path(path)?;
    if is_listened_to(path) {
        return Err(io::Error::other("another server listens there"));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Looks whether a Unix socket can be made at a path, or is there already.
///
/// Errors: why not.
pub fn check_unix_path(path: &str) -> io::Result<()> {
    let folder = Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::metadata(folder.unwrap_or(Path::new(".")))?;
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => Err(io::Error::other("what is there is no socket")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether a connection to a Unix socket is taken. One that would have to wait has a server, too.
fn is_listened_to(path: &str) -> bool {
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    connect().map_or_else(|error: io::Error| error.kind() == io::ErrorKind::WouldBlock, |()| true)
}
