//! A client of a lesson: it does the same in the server's world and in the echo loop's.

use crate::net::scripted::peer::Peer;
use crate::net::token::Token;
use crate::reactor::tools::replay::frames::take_frames;

/// Bytes of a reply that are shown.
const SHOWN_BYTES: usize = 60;

/// One client, which does the same in both worlds.
pub(super) struct Client {
    pub name: &'static str,
    pub peer: Peer,
    pub echo: Peer,
    /// Its token when it was seen last, in the server.
    pub token: Option<Token>,
    /// Its slot in the echo loop.
    pub echo_slot: usize,
    /// Whether it takes its replies by itself.
    pub takes: bool,
    inbox: Vec<u8>,
    pub replies: u64,
    pub taken_bytes: u64,
    pub last_reply: String,
    pub echo_bytes: u64,
    pub has_left: bool,
}

impl Client {
    /// One that has just come, to the echo loop's slot of that number.
    pub(super) fn new(name: &'static str, peer: Peer, echo: Peer, echo_slot: usize) -> Client {
        Client {
            name,
            peer,
            echo,
            token: None,
            echo_slot,
            takes: true,
            inbox: Vec::new(),
            replies: 0,
            taken_bytes: 0,
            last_reply: String::new(),
            echo_bytes: 0,
            has_left: false,
        }
    }

    /// Takes replies, in both worlds.
    pub(super) fn take(&mut self, most: usize) {
        let taken = self.peer.receive(most);
        self.taken_bytes += taken.len() as u64;
        self.inbox.extend(taken);
        // What is no reply is shown as it stands.
        for frame in take_frames(&mut self.inbox).unwrap_or_default() {
            self.replies += 1;
            let shown = &frame[..frame.len().min(SHOWN_BYTES)];
            self.last_reply = String::from_utf8_lossy(shown).into_owned();
        }
        self.echo_bytes += self.echo.receive(most).len() as u64;
    }
}
