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
    /// Whether the client is on the same machine, as far as its address tells.
    pub fn is_local(&self) -> bool {
        self.unix || self.peer.starts_with("127.") || self.peer.starts_with("[::1]:")
    }
}
