//! The genuine server and ours, and connections to them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::corpus::Case;
use crate::server::{PATIENCE, Server, free_port};

static STARTED: AtomicUsize = AtomicUsize::new(0);

/// A genuine server on a port and in a temporary folder of its own.
struct Genuine {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Genuine {
    /// Starts one; `None`, with a SKIP line, where the program is missing.
    fn start() -> Option<Genuine> {
        let program = std::env::var("ORACLE_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into());
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = format!("interop-lua-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
        let port = free_port();
        let spawned = Command::new(&program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = spawned else {
            println!("SKIP: {program} cannot be started, nothing was compared");
            return None;
        };
        let genuine = Genuine { child, port, folder };
        // Waiting for another process to listen is the one thing here that takes its time.
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(genuine);
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("{program} does not listen");
    }
}

impl Drop for Genuine {
    fn drop(&mut self) {
        // Nothing can be done about a failure, and it would only hide that of the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What came back.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    Reply(Vec<u8>),
    /// The connection was closed, or nothing came for long.
    Ended,
}

impl Answer {
    /// With addresses cut out: `table: 0x55…`, `function: …`, `thread: …` and `userdata: …` differ from start to start.
    /// This is all that is masked.
    pub fn masked(self) -> Answer {
        let Answer::Reply(bytes) = self else {
            return self;
        };
        let mut masked = Vec::with_capacity(bytes.len());
        let mut rest = bytes.as_slice();
        while let Some((&first, tail)) = rest.split_first() {
            let kind = ["table: 0x", "function: 0x", "thread: 0x", "userdata: 0x"]
                .iter()
                .find(|kind| rest.starts_with(kind.as_bytes()));
            let Some(kind) = kind else {
                masked.push(first);
                rest = tail;
                continue;
            };
            masked.extend_from_slice(kind.as_bytes());
            rest = &rest[kind.len()..];
            let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit());
            rest = &rest[digits.count()..];
        }
        Answer::Reply(without_lengths_of_addresses(masked))
    }
}

/// Addresses may differ in their number of digits, and so may the length of a bulk string that holds one.
fn without_lengths_of_addresses(bytes: Vec<u8>) -> Vec<u8> {
    let holds_address = bytes.windows(4).any(|window| window == b": 0x");
    if !holds_address || !bytes.starts_with(b"$") {
        return bytes;
    }
    let line = bytes.iter().position(|&byte| byte == b'\n');
    [b"$LEN\r\n", &bytes[line.expect("a header ends a line") + 1..]].concat()
}

/// A connection that sends one case after the other.
pub struct Client {
    input: BufReader<TcpStream>,
    sent: usize,
}

impl Client {
    fn connect(port: u16, resp3: bool) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        let mut client = Client { input: BufReader::new(stream), sent: 0 };
        if resp3 {
            let hello = vec![vec![b"HELLO".to_vec(), b"3".to_vec()]];
            client.exchange(&hello).expect("the server speaks RESP3");
        }
        client
    }

    /// The replies to a case's commands, as they came.
    pub fn run(&mut self, case: &Case) -> Answer {
        let replies = self.exchange(&case.preparation()).and_then(|_| self.exchange(&case.commands()));
        replies.map_or(Answer::Ended, Answer::Reply)
    }

    /// Sends commands and then a mark, and reads up to the mark: a reply that breaks the protocol is seen as it is, and
    /// does not shift the replies that follow.
    fn exchange(&mut self, commands: &[Vec<Vec<u8>>]) -> Option<Vec<u8>> {
        self.sent += 1;
        let mark = format!("mark-{}-of-the-test", self.sent);
        let echo = vec![b"ECHO".to_vec(), mark.clone().into_bytes()];
        let mut request = Vec::new();
        for command in commands.iter().chain([&echo]) {
            write!(request, "*{}\r\n", command.len()).expect("a Vec takes everything");
            for word in command {
                write!(request, "${}\r\n", word.len()).expect("a Vec takes everything");
                request.extend_from_slice(word);
                request.extend_from_slice(b"\r\n");
            }
        }
        self.input.get_mut().write_all(&request).ok()?;
        let end = format!("${}\r\n{mark}\r\n", mark.len()).into_bytes();
        let mut replies = Vec::new();
        while !replies.ends_with(&end) {
            match self.input.read_until(b'\n', &mut replies) {
                Ok(count) if count > 0 => {}
                _ => return None,
            }
        }
        replies.truncate(replies.len() - end.len());
        Some(replies)
    }
}

/// Both servers, with a connection by RESP2 and one by RESP3 to each.
pub struct Pair {
    genuine: Genuine,
    ours: Server,
    genuine_clients: [Client; 2],
    our_clients: [Client; 2],
}

fn clients(port: u16) -> [Client; 2] {
    [false, true].map(|resp3| Client::connect(port, resp3))
}

impl Pair {
    /// None where there is no genuine server.
    pub fn start() -> Option<Pair> {
        let genuine = Genuine::start()?;
        let ours = Server::start(&[]);
        Some(Pair { genuine_clients: clients(genuine.port), our_clients: clients(ours.port), genuine, ours })
    }

    pub fn genuine(&mut self, resp3: bool) -> &mut Client {
        &mut self.genuine_clients[usize::from(resp3)]
    }

    pub fn ours(&mut self, resp3: bool) -> &mut Client {
        &mut self.our_clients[usize::from(resp3)]
    }

    /// After a script that ended ours.
    pub fn restart_ours(&mut self) {
        self.ours = Server::start(&[]);
        self.our_clients = clients(self.ours.port);
    }

    /// After a script that ended the genuine one.
    pub fn restart_genuine(&mut self) {
        self.genuine = Genuine::start().expect("it was started before");
        self.genuine_clients = clients(self.genuine.port);
    }
}
