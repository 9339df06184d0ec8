//! One client's connection to the other server. The tool has no loop: it waits for each reply.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::config::system_reason;
use crate::keyspace::change_log::unit::encode;

use super::frames;

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it takes to be sure that nothing more comes.
const SILENCE: Duration = Duration::from_millis(50);

/// The user to log in as.
#[derive(Clone)]
pub struct Login {
    pub user: Option<Vec<u8>>,
    pub password: Vec<u8>,
}

/// A connection.
pub struct Peer {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Peer {
    /// Connects and logs in.
    ///
    /// Errors: why not.
    pub fn connect(host: &str, port: u16, login: Option<&Login>) -> Result<Peer, String> {
        let failed = |error| format!("Cannot connect to {host}:{port}: {}", system_reason(&error));
        let stream = TcpStream::connect((host, port)).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let mut peer = Peer { stream, received: Vec::new() };
        if let Some(login) = login {
            let words = [Some(b"AUTH".as_slice()), login.user.as_deref(), Some(&login.password)];
            let reply = peer.ask(&words.into_iter().flatten().collect::<Vec<_>>())?;
            if reply.starts_with(b"-") {
                return Err(format!("Cannot log in: {}", reply.trim_ascii().escape_ascii()));
            }
        }
        Ok(peer)
    }

    /// Sends a request.
    ///
    /// Errors: the server does not take it.
    pub fn send(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let mut bytes = Vec::new();
        encode(&mut bytes, words.len(), words.iter().copied());
        self.stream.write_all(&bytes).map_err(|error| lost(&system_reason(&error)))
    }

    /// Sends a request and waits for its reply.
    ///
    /// Errors: none comes.
    pub fn ask(&mut self, words: &[&[u8]]) -> Result<Vec<u8>, String> {
        self.send(words)?;
        self.frame_within(PATIENCE)?.ok_or_else(|| lost("no reply within 10 s"))
    }

    /// Waits for the next frame that was asked for.
    ///
    /// Errors: none comes.
    pub fn frame(&mut self) -> Result<Option<Vec<u8>>, String> {
        self.frame_within(PATIENCE)
    }

    /// A frame that was not expected, if one comes at once.
    ///
    /// Errors: the connection is lost.
    pub fn surplus(&mut self) -> Result<Option<Vec<u8>>, String> {
        self.frame_within(SILENCE)
    }

    /// The next frame, if one comes in time.
    ///
    /// Errors: the connection is lost.
    pub fn frame_within(&mut self, patience: Duration) -> Result<Option<Vec<u8>>, String> {
        let unusable = |error| lost(&system_reason(&error));
        self.stream.set_read_timeout(Some(patience)).map_err(unusable)?;
        loop {
            if let Some(length) = frames::end_of_frame(&self.received).map_err(|reason| lost(&reason))? {
                return Ok(Some(self.received.drain(..length).collect()));
            }
            let mut buffer = [0; 64 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(lost("it has closed the connection")),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
                Err(error) => return Err(unusable(error)),
            }
        }
    }
}

fn lost(reason: &str) -> String {
    format!("The other server cannot be asked any more: {reason}")
}
