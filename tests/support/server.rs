//! The built program as a process of its own, and a bare connection to it.
#![allow(dead_code)] // Each test program uses a part of it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a test waits for what must come, before it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Ports found free that another program took before the server did.
const START_ATTEMPTS: usize = 5;

static FOLDERS: AtomicUsize = AtomicUsize::new(0);

/// A running server with a folder of its own. Dropping it kills the process.
pub struct Server {
    child: Child,
    log: Receiver<String>,
    /// What was read of the log, and what it wrote to its standard error.
    seen: Arc<Mutex<Vec<String>>>,
    pub port: u16,
    pub folder: PathBuf,
}

impl Server {
    /// Starts one on a free port of the loopback interface and waits until it is ready.
    pub fn start(options: &[&str]) -> Server {
        for _ in 0..START_ATTEMPTS {
            let mut server = Server::launch(free_port(), options);
            match server.wait_for_any(&["Ready to accept", "Failed listening on port"]) {
                line if line.contains("Ready") => return server,
                _ => continue,
            }
        }
        panic!("no port could be had");
    }

    /// Starts another one in the same folder, once this one has ended.
    pub fn restart(mut self, options: &[&str]) -> Server {
        let _ = self.child.wait();
        let folder = std::mem::take(&mut self.folder);
        for _ in 0..START_ATTEMPTS {
            let mut server = Server::launch_in(folder.clone(), free_port(), options);
            match server.wait_for_any(&["Ready to accept", "Failed listening on port"]) {
                line if line.contains("Ready") => return server,
                _ => server.folder = PathBuf::new(),
            }
        }
        panic!("no port could be had");
    }

    /// Starts another one in the same folder, once this one has ended, without waiting for anything.
    pub fn relaunch(mut self, options: &[&str]) -> Server {
        let _ = self.child.wait();
        Server::launch_in(std::mem::take(&mut self.folder), free_port(), options)
    }

    /// Starts another one in the same folder, beside this one, without waiting for anything. The folder goes with this
    /// one.
    pub fn launch_beside(&self, options: &[&str]) -> Server {
        let mut other = Server::launch_in(self.folder.clone(), free_port(), options);
        other.folder = PathBuf::new();
        other
    }

    /// Lets no file grow beyond so many bytes; without a number there is no limit.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let pid = self.child.id().to_string();
        let limit = bytes.map_or("unlimited".into(), |bytes| bytes.to_string());
        let limit = format!("--fsize={limit}:");
        let status = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
        assert!(status.expect("prlimit runs").success());
    }

    /// Starts one without waiting for anything.
    pub fn launch(port: u16, options: &[&str]) -> Server {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
        Server::launch_in(folder, port, options)
    }

    fn launch_in(folder: PathBuf, port: u16, options: &[&str]) -> Server {
        fs::create_dir_all(&folder).expect("a folder for the server");
        let program = std::env::var_os("ONELOOP_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_oneloop").into());
        let mut child = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(&folder)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let errors = BufReader::new(child.stderr.take().expect("its errors are piped"));
        let noted = Arc::clone(&seen);
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                note(&noted, line);
            }
        });
        let output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let (sender, log) = channel();
        // Ends with the process, whose output it reads to the end so that no write of it blocks.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Server { child, log, seen, port, folder }
    }

    /// Reads the log until a line holds one of the phrases; gives that line.
    #[track_caller]
    pub fn wait_for_any(&mut self, phrases: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self.log.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            note(&self.seen, line.clone());
            if phrases.iter().any(|phrase| line.contains(phrase)) {
                return line;
            }
        }
        panic!("the log does not say {phrases:?}:\n{}", self.seen());
    }

    /// What it has written as far as it was read.
    fn seen(&self) -> String {
        self.seen.lock().expect("no thread panics").join("\n")
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for its end; gives the status and the rest of the log.
    pub fn wait(&mut self) -> (ExitStatus, Vec<String>) {
        let status = self.child.wait().expect("it is a child");
        (status, self.log.iter().collect())
    }

    /// Lets it open so many files more than it has now.
    pub fn allow_more_files(&self, more: usize) {
        let pid = self.child.id();
        let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
        let limit = format!("--nofile={}:", open.count() + more);
        let status = Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status();
        assert!(status.expect("prlimit runs").success());
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Memory in use, in bytes.
    pub fn resident_bytes(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a figure");
        let kilobytes: usize = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number");
        kilobytes * 1024
    }

    /// A bare connection.
    pub fn connect(&self) -> Raw<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Raw { stream }
    }

    /// A connection of the `redis` crate.
    pub fn client(&self) -> redis::Connection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}/", self.port)).expect("an address");
        client.get_connection().expect("the server accepts")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !self.folder.as_os_str().is_empty() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn note(lines: &Mutex<Vec<String>>, line: String) {
    lines.lock().expect("no thread panics").push(line);
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    listener.local_addr().expect("it is bound").port()
}

/// A connection of which every byte is the test's own.
pub struct Raw<S> {
    pub stream: S,
}

impl<S: Read + Write> Raw<S> {
    /// Sends bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// Checks the next bytes that come.
    #[track_caller]
    pub fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let mut got = vec![0; expected.len()];
        let mut filled = 0;
        while filled < got.len() {
            match self.stream.read(&mut got[filled..]) {
                Ok(count) if count > 0 => filled += count,
                end => panic!("{end:?} after {:?}", String::from_utf8_lossy(&got[..filled])),
            }
        }
        assert!(
            got == expected,
            "{:?} instead of {:?}",
            String::from_utf8_lossy(&got[..got.len().min(500)]),
            String::from_utf8_lossy(&expected[..expected.len().min(500)])
        );
    }

    /// Sends a request and checks its reply.
    #[track_caller]
    pub fn ask(&mut self, request: &str, reply: &str) {
        self.send(format!("{request}\r\n"));
        self.expect(reply);
    }

    /// Sends a request and gives the text of its bulk reply.
    #[track_caller]
    pub fn text(&mut self, request: &str) -> String {
        self.send(format!("{request}\r\n"));
        let length = self.line()[1..].parse().expect("a bulk reply");
        let mut text = vec![0; length];
        self.stream.read_exact(&mut text).expect("the whole reply");
        self.expect("\r\n");
        String::from_utf8(text).expect("plain text")
    }

    /// The next line, without its end.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).expect("a whole line");
            line.push(byte[0]);
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).expect("plain text")
    }

    /// Checks that nothing more comes and the server has closed the connection.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(String::from_utf8_lossy(&rest), ""),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }

    /// Asks for CLIENT LIST until it is as wanted.
    #[track_caller]
    pub fn wait_for_clients(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let list = self.text("CLIENT LIST");
            if wanted(&list) {
                return list;
            }
            assert!(Instant::now() < deadline, "the clients still are:\n{list}");
            std::thread::yield_now();
        }
    }
}

impl Raw<TcpStream> {
    /// Whether nothing has come.
    pub fn is_silent(&self) -> bool {
        self.stream.set_nonblocking(true).expect("it is open");
        let found = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("it is open");
        found.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Says that nothing more will be sent.
    pub fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).expect("it was open");
    }
}
