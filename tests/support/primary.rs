//! A primary that a test plays itself, byte by byte.
#![allow(dead_code)] // Each test program uses a part of it.

use std::collections::HashSet;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oneloop::storage::rdb::Checksum;

use crate::server::{PATIENCE, Raw};

/// The history of the data that are sent.
pub const ID: &str = "8f3c8f3c8f3c8f3c8f3c8f3c8f3c8f3c8f3c8f3c";
/// What ends data whose length is not told.
pub const MARK: &str = "0123456789abcdef0123456789abcdef01234567";
/// What a primary replies to PING and to all REPLCONF.
pub const GREETING: &str = "+PONG\r\n+OK\r\n+OK\r\n+OK\r\n";

/// The ports of all primaries of this process. A replica that is to follow a new primary on the port of an old one
/// replies that it does so already.
static USED_PORTS: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// Where replicas are to connect to.
pub struct FakePrimary {
    listener: TcpListener,
    pub port: u16,
}

impl FakePrimary {
    /// A primary on a port that no other primary of this process has had.
    pub fn new() -> FakePrimary {
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
            let port = listener.local_addr().expect("it is bound").port();
            if USED_PORTS.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
                return FakePrimary { listener, port };
            }
        }
    }

    /// The command that makes a replica of this primary.
    pub fn follow(&self) -> String {
        format!("REPLICAOF 127.0.0.1 {}", self.port)
    }

    /// The next connection of a replica.
    #[track_caller]
    pub fn accept(&self) -> ReplicaLink {
        self.listener.set_nonblocking(true).expect("it is bound");
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match self.listener.accept() {
                Ok((stream, _)) => break stream,
                Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
                Err(error) => panic!("nobody connects: {error}"),
            }
        };
        stream.set_nonblocking(false).expect("it is open");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        ReplicaLink { raw: Raw { stream } }
    }
}

/// The primary's end of a link.
pub struct ReplicaLink {
    pub raw: Raw<TcpStream>,
}

impl ReplicaLink {
    /// The next request of the replica, its words parted by spaces. Empty lines are passed over.
    #[track_caller]
    pub fn request(&mut self) -> String {
        let header = loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\n") {
                let mut byte = [0];
                self.raw.stream.read_exact(&mut byte).expect("a request");
                line.push(byte[0]);
            }
            let line = String::from_utf8(line).expect("plain text");
            if !line.trim().is_empty() {
                break line.trim().to_string();
            }
        };
        let Some(count) = header.strip_prefix('*') else { return header };
        let count: usize = count.parse().expect("a number of words");
        let words: Vec<String> = (0..count)
            .map(|_| {
                let length = self.raw.line()[1..].parse().expect("a length");
                let mut word = vec![0; length];
                self.raw.stream.read_exact(&mut word).expect("a word");
                self.raw.expect("\r\n");
                String::from_utf8(word).expect("plain text")
            })
            .collect();
        words.join(" ")
    }

    /// Answers all up to the request for data or stream, which it gives.
    #[track_caller]
    pub fn greet(&mut self) -> String {
        assert_eq!(self.request(), "PING");
        self.raw.send("+PONG\r\n");
        loop {
            let request = self.request();
            if request.starts_with("PSYNC") {
                return request;
            }
            self.raw.send("+OK\r\n");
        }
    }

    /// Sends all data, and awaits the acknowledgement that they are loaded.
    #[track_caller]
    pub fn send_all(&mut self, snapshot: &[u8], offset: u64) {
        self.greet();
        self.raw.send(full_resync(snapshot, offset, true));
        assert_eq!(self.request(), format!("REPLCONF ACK {offset}"));
    }

    /// The next acknowledgement of an offset other than this one.
    #[track_caller]
    pub fn acknowledged_after(&mut self, offset: u64) -> u64 {
        loop {
            let request = self.request();
            let offsets = request.strip_prefix("REPLCONF ACK ").expect(&request);
            // What is on the disk may follow.
            let acked: u64 = offsets.split(' ').next().unwrap_or_default().parse().expect(&request);
            if acked != offset {
                return acked;
            }
        }
    }

    /// Sends nothing more, and waits until the replica has closed its end as well.
    pub fn end(mut self) {
        // It may have been closed already.
        let _ = self.raw.stream.shutdown(std::net::Shutdown::Write);
        let _ = self.raw.stream.read_to_end(&mut Vec::new());
    }
}

/// The reply that announces all data, and the data.
pub fn full_resync(snapshot: &[u8], offset: u64, is_marked: bool) -> Vec<u8> {
    let head = match is_marked {
        true => format!("+FULLRESYNC {ID} {offset}\r\n\n$EOF:{MARK}\r\n"),
        false => format!("+FULLRESYNC {ID} {offset}\r\n${}\r\n", snapshot.len()),
    };
    let end: &[u8] = if is_marked { MARK.as_bytes() } else { b"" };
    [head.as_bytes(), snapshot, end].concat()
}

/// A snapshot with one key `k` of a short value.
pub fn snapshot(version: &str, value: &str) -> Vec<u8> {
    let mut bytes = version.as_bytes().to_vec();
    bytes.extend_from_slice(b"\xfa\x0erepl-stream-db\xc0\x00\xfe\x00\x00\x01k");
    bytes.push(value.len() as u8);
    bytes.extend_from_slice(value.as_bytes());
    bytes.push(0xff);
    let checksum = Checksum::of(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// A command as it stands in a stream.
pub fn command(words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    let encoded = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n{}", words.len(), encoded.collect::<String>())
}
