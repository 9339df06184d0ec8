//! Connections to other servers that are kept for the next one who wants to go there.

use std::collections::BTreeMap;

use crate::net::stream::Stream;

/// Connections kept at most.
const PARKED_MAX: usize = 64;
/// How long one is kept without being used, in ms.
const IDLE_MAX_MS: i64 = 10_000;

/// An unused connection.
pub struct Parked {
    pub(super) stream: Stream,
    /// What its next owner is to know of it.
    pub(super) note: i64,
    used_ms: i64,
}

/// All of them. None is registered with a poll: whether one is still open shows when it is used.
#[derive(Default)]
pub struct ParkingLot {
    by_host: BTreeMap<(String, u16), Parked>,
}

impl ParkingLot {
    /// A connection to that server.
    pub fn take(&mut self, host: &str, port: u16) -> Option<Parked> {
        self.by_host.remove(&(host.to_string(), port))
    }

    /// Keeps a connection, in place of another one if there are too many.
    pub fn put(&mut self, host: &str, port: u16, stream: Stream, note: i64, now_ms: i64) {
        self.put_back(host, port, Parked { stream, note, used_ms: now_ms });
    }

    /// Keeps one that was kept before.
    pub fn put_back(&mut self, host: &str, port: u16, parked: Parked) {
        let place = (host.to_string(), port);
        if self.by_host.len() >= PARKED_MAX && !self.by_host.contains_key(&place) {
            let longest_idle = self.by_host.iter().min_by_key(|(_, parked)| parked.used_ms);
            if let Some(oldest) = longest_idle.map(|(place, _)| place.clone()) {
                self.by_host.remove(&oldest);
            }
        }
        self.by_host.insert(place, parked);
    }

    /// Closes those that have been idle for long.
    pub fn close_idle(&mut self, now_ms: i64) {
        self.by_host.retain(|_, parked| now_ms - parked.used_ms <= IDLE_MAX_MS);
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
        let mut lot = ParkingLot::default();
        for port in 0..70 {
            lot.put("host", port, stream(&listener), 3, i64::from(port));
        }
        assert_eq!(lot.count(), 64);
        assert!(lot.take("host", 5).is_none());
        assert_eq!(lot.take("host", 6).expect("it is kept").note, 3);
        assert!(lot.take("host", 6).is_none(), "it is in use");
        lot.put("host", 69, stream(&listener), 1, 100);
        assert_eq!(lot.count(), 63);
        lot.close_idle(10_068);
        assert_eq!(lot.count(), 2, "those of 68 and 69");
        lot.close_idle(10_101);
        assert_eq!(lot.count(), 0);
    }
}
