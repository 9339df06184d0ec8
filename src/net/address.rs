//! Where a client comes from.

/// How the client reached the server.
#[derive(Clone, Debug, Default)]
pub struct Address {
    /// `ip:port`, or `path:0` of a Unix socket.
    pub peer: String,
    pub local: String,
    pub unix: bool,
}

impl Address {
    /// That of a client of a Unix socket with this path.
    pub fn of_unix(path: &str) -> Address {
        let end = format!("{path}:0");
        Address { peer: end.clone(), local: end, unix: true }
    }

    /// The client's host, without the port.
    pub fn peer_host(&self) -> &str {
        let host = self.peer.rsplit_once(':').map_or(self.peer.as_str(), |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether the client is on the same machine, as far as its address tells.
    pub fn is_local(&self) -> bool {
        self.unix || self.peer.starts_with("127.") || self.peer.starts_with("[::1]:")
    }
}
