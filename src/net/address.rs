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

    /// Whether the client is on the same machine, as far as its address tells.
    pub fn is_local(&self) -> bool {
        self.unix || self.peer.starts_with("127.") || self.peer.starts_with("[::1]:")
    }
}
