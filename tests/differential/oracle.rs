//! A genuine redis-server, started for the test on a Unix socket of its own and ended with it.
#![allow(dead_code)] // Each test program uses a part of it.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Words;

/// What both servers take as the longest string: as little as can be set, so that tests reach it.
pub const BULK_MAX_BYTES: usize = 1024 * 1024;

/// The server and the connection to it.
pub struct Oracle {
    server: Child,
    folder: PathBuf,
    input: BufReader<UnixStream>,
    output: UnixStream,
    /// How much of the append-only file has been taken.
    taken_bytes: u64,
}

impl Oracle {
    /// Starts the server that this program is; nothing if there is no such program.
    pub fn start(program: &str) -> Option<Oracle> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = format!("differential-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
        let socket = folder.join("redis.sock");
        let server = Command::new(program)
            .args(["--port", "0", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "no"])
            .args(["--auto-aof-rewrite-percentage", "0"])
            .args(["--enable-debug-command", "yes"])
            .args(["--proto-max-bulk-len", &BULK_MAX_BYTES.to_string()])
            .arg("--unixsocket")
            .arg(&socket)
            .arg("--dir")
            .arg(&folder)
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        // Waiting for another process to listen is the one thing here that takes its time.
        let stream = (0..200).find_map(|_| {
            std::thread::sleep(Duration::from_millis(25));
            UnixStream::connect(&socket).ok()
        });
        let output = stream.expect("redis-server listens within five seconds");
        let input = BufReader::new(output.try_clone().expect("a socket can be cloned"));
        Some(Oracle { server, folder, input, output, taken_bytes: 0 })
    }

    /// Where it keeps its files.
    #[allow(dead_code)] // Not every test program looks at them.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Runs commands and gives their replies, as they came.
    pub fn run(&mut self, commands: &[Words]) -> Vec<Vec<u8>> {
        // The requests are written by a thread of their own: with replies unread, both sides could wait for each other.
        let requests: Vec<u8> = commands.iter().flat_map(encoded).collect();
        let mut output = self.output.try_clone().expect("a socket can be cloned");
        let writer = std::thread::spawn(move || output.write_all(&requests));
        let replies = commands
            .iter()
            .map(|_| {
                let mut reply = Vec::new();
                read_reply(&mut self.input, &mut reply);
                reply
            })
            .collect();
        writer.join().expect("the writer does not panic").expect("the server reads");
        replies
    }

    /// What was appended to its file since the last time.
    pub fn take_appended(&mut self) -> Vec<u8> {
        let path = self.folder.join("appendonlydir/appendonly.aof.1.incr.aof");
        let mut file = std::fs::File::open(path).expect("it appends");
        file.seek(SeekFrom::Start(self.taken_bytes)).expect("a file can be sought in");
        let mut bytes = Vec::new();
        let count = file.read_to_end(&mut bytes).expect("it can be read");
        self.taken_bytes += count as u64;
        bytes
    }

    /// Waits until so many clients wait; says whether they do.
    pub fn wait_until_blocked(&mut self, count: usize) -> bool {
        let line = format!("blocked_clients:{count}\r\n");
        let question = [b"INFO".to_vec(), b"clients".to_vec()].to_vec();
        (0..5000).any(|_| {
            let reply = self.run(std::slice::from_ref(&question)).remove(0);
            String::from_utf8_lossy(&reply).contains(&line)
        })
    }

    /// Another connection.
    pub fn connect(&self) -> Connection {
        let stream = UnixStream::connect(self.folder.join("redis.sock"));
        let stream = stream.expect("the server listens");
        let step_budget = stream.set_read_timeout(Some(Duration::from_secs(20)));
        step_budget.expect("there is such a timeout");
        Connection(BufReader::new(stream))
    }

    /// Another connection, which hears all messages on channels that match a pattern.
    pub fn listen(&self, pattern: &str) -> Listener {
        let stream = UnixStream::connect(self.folder.join("redis.sock"));
        let mut stream = stream.expect("the server listens");
        let request = encoded(&vec![b"psubscribe".to_vec(), pattern.as_bytes().to_vec()]);
        stream.write_all(&request).expect("the server reads");
        let mut listener = Listener(BufReader::new(stream));
        read_reply(&mut listener.0, &mut Vec::new());
        listener
    }
}

/// A connection that asks one thing after the other.
pub struct Connection(BufReader<UnixStream>);

impl Connection {
    /// Runs a command and gives its reply, as it came.
    pub fn ask(&mut self, command: &Words) -> Vec<u8> {
        self.send(command);
        self.receive()
    }

    /// Sends a command, which may wait for something.
    pub fn send(&mut self, command: &Words) {
        let sent = self.0.get_mut().write_all(&encoded(command));
        sent.expect("the server reads");
    }

    /// The reply to what was sent.
    pub fn receive(&mut self) -> Vec<u8> {
        let mut reply = Vec::new();
        read_reply(&mut self.0, &mut reply);
        reply
    }
}

/// A connection that only hears.
pub struct Listener(BufReader<UnixStream>);

impl Listener {
    /// The next message, as it came.
    pub fn next(&mut self) -> Vec<u8> {
        let mut message = Vec::new();
        read_reply(&mut self.0, &mut message);
        message
    }
}

/// Reads one reply of any form; its bytes are added to `reply`.
fn read_reply(input: &mut BufReader<UnixStream>, reply: &mut Vec<u8>) {
    let start = reply.len();
    input.read_until(b'\n', reply).expect("the server replies");
    let line = &reply[start..];
    assert!(line.ends_with(b"\r\n"), "the server closed the connection");
    let number = || {
        let text = std::str::from_utf8(&line[1..line.len() - 2]).expect("a number is ASCII");
        text.parse::<i64>().expect("a header holds a number")
    };
    match line[0] {
        b'$' | b'=' => {
            let length = number();
            if length >= 0 {
                let end = reply.len() + length as usize + 2;
                let start = reply.len();
                reply.resize(end, 0);
                input.read_exact(&mut reply[start..]).expect("the server replies");
            }
        }
        b'*' | b'~' | b'>' => (0..number()).for_each(|_| read_reply(input, reply)),
        b'%' => (0..2 * number()).for_each(|_| read_reply(input, reply)),
        _ => {}
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // Nothing can be done about a failure, and it would only hide that of the test.
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn encoded(words: &Words) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    request
}
