//! A genuine server as a process of its own, in a folder of its own: it neither loads nor leaves files elsewhere.
#![allow(dead_code)] // Each test program uses a part of it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::server::{PATIENCE, Raw, free_port};

/// Ports found free that another program took before the server did.
const START_ATTEMPTS: usize = 5;

static FOLDERS: AtomicUsize = AtomicUsize::new(0);

/// A running genuine server. Dropping it ends the process.
pub struct Genuine {
    child: Child,
    pub port: u16,
    /// Of its log, and of its data unless it was given another one.
    pub folder: PathBuf,
}

impl Genuine {
    /// Starts one and waits until it answers. None: there is no such program. Panics with the server's log if it does
    /// not come up.
    #[track_caller]
    pub fn start(program: &str, options: &[&str]) -> Option<Genuine> {
        let mut log = String::new();
        for _ in 0..START_ATTEMPTS {
            let mut genuine = Genuine::launch(program, None, options)?;
            match genuine.wait_until_ready() {
                Ok(()) => return Some(genuine),
                Err(reason) => log = reason,
            }
            if !log.contains("bind") && !log.contains("Address already in use") {
                break;
            }
        }
        panic!("{program} does not come up:\n{log}");
    }

    /// Starts one without waiting for anything, with its data in this folder if one is given. None: there is no such
    /// program.
    pub fn launch(program: &str, data: Option<&Path>, options: &[&str]) -> Option<Genuine> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("genuine-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the server");
        let port = free_port();
        let log = File::create(folder.join("log")).expect("its folder is writable");
        let errors = log.try_clone().expect("a file can be cloned");
        let spawned = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--dir"])
            .arg(data.unwrap_or(&folder))
            .args(options)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn();
        match spawned {
            Ok(child) => Some(Genuine { child, port, folder }),
            Err(_) => {
                // Nobody has used it.
                let _ = fs::remove_dir_all(&folder);
                None
            }
        }
    }

    /// Waits until it answers, its data loaded.
    ///
    /// Errors: its log, if it has ended or takes too long.
    pub fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return Err(self.log());
            }
            if self.answers() {
                return Ok(());
            }
            // Waiting for another process is the one thing here that takes its time.
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(self.log())
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        let mut reply = [0; 5];
        let asked = stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.write_all(b"PING\r\n"))
            .and_then(|()| stream.read_exact(&mut reply));
        asked.is_ok() && &reply == b"+PONG"
    }

    /// What it has written to its log so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A bare connection.
    pub fn connect(&self) -> Raw<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Raw { stream }
    }
}

/// The genuine Valkey among the servers whose paths `GENUINE_SERVERS` lists, parted by colons.
pub fn valkey() -> Option<String> {
    let listed = std::env::var("GENUINE_SERVERS").unwrap_or_default();
    let found = listed.split(':').find(|path| path.contains("valkey")).map(str::to_string);
    if found.is_none() {
        println!("SKIPPED: no genuine Valkey is in GENUINE_SERVERS");
    }
    found
}

/// A field of INFO; empty if there is none.
pub fn field(client: &mut Raw<TcpStream>, name: &str) -> String {
    let info = client.text("INFO");
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_default().to_string()
}

/// Waits until something holds.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Drop for Genuine {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
