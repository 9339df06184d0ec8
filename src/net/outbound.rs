//! Connections to other servers that are kept for the next keys to go there.

use ahash::AHashMap;

use crate::net::stream::Stream;

/// Connections kept at most.
const SOCKETS_MAX: usize = 64;
/// How long one is kept without being used, in ms.
const IDLE_MAX_MS: i64 = 10_000;
/// The database of a connection of which it is not known. A request for a database of this number asks for none.
pub const NO_DATABASE: i64 = -1;

struct Kept {
    stream: Stream,
    database: i64,
    used_ms: i64,
}

/// All connections that are kept. None of them is registered with a poll: whether one is still open shows when it is used.
#[derive(Default)]
pub struct Sockets {
    by_host: AHashMap<(String, u16), Kept>,
}

impl Sockets {
    /// A connection to that server with the database that it has selected.
    pub fn take(&mut self, host: &str, port: u16) -> Option<(Stream, i64)> {
        let kept = self.by_host.remove(&(host.to_string(), port))?;
        Some((kept.stream, kept.database))
    }

    /// Keeps a connection, in place of another one if there are too many.
    pub fn put(&mut self, host: &str, port: u16, stream: Stream, database: i64, now_ms: i64) {
        let place = (host.to_string(), port);
        if self.by_host.len() >= SOCKETS_MAX && !self.by_host.contains_key(&place) {
            let longest_idle = self.by_host.iter().min_by_key(|(_, kept)| kept.used_ms);
            if let Some(oldest) = longest_idle.map(|(place, _)| place.clone()) {
                self.by_host.remove(&oldest);
            }
        }
        let kept = Kept { stream, database, used_ms: now_ms };
        self.by_host.insert(place, kept);
    }

    /// Closes those that have been idle for long.
    pub fn close_idle(&mut self, now_ms: i64) {
        self.by_host.retain(|_, kept| now_ms - kept.used_ms <= IDLE_MAX_MS);
    }

    /// Number of connections.
    pub fn count(&self) -> usize {
        self.by_host.len()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn stream(listener: &TcpListener) -> Stream {
        let socket = TcpStream::connect(listener.local_addr().expect("it is bound"));
        Stream::Tcp(mio::net::TcpStream::from_std(socket.expect("it listens")))
    }

    #[test]
    fn the_last_used_are_kept_and_not_for_ever() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let mut sockets = Sockets::default();
        for port in 0..70 {
            sockets.put("host", port, stream(&listener), 3, i64::from(port));
        }
        assert_eq!(sockets.count(), 64);
        assert!(sockets.take("host", 5).is_none());
        assert_eq!(sockets.take("host", 6).expect("it is kept").1, 3);
        assert!(sockets.take("host", 6).is_none(), "it is in use");
        sockets.put("host", 69, stream(&listener), 1, 100);
        assert_eq!(sockets.count(), 63);
        sockets.close_idle(10_068);
        assert_eq!(sockets.count(), 2, "those of 68 and 69");
        sockets.close_idle(10_101);
        assert_eq!(sockets.count(), 0);
    }
}
