//! One scripted socket: what has come from the peer, what the peer has yet to take, and which edges are due.
//!
//! ```text
//! peer   send ──→ arrived ──read──→ server         an edge when bytes arrive, and at the end
//!        send_after_read ──→ later ──when `arrived` is drained──→ arrived
//! server write ──→ outgoing ──take──→ peer         an edge when a full socket has room again
//! ```

use std::collections::VecDeque;
use std::io;

use crate::net::poll_target::PollTarget;

/// How what comes from a peer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The peer sends no more.
    Finished,
    /// The connection is broken: what has arrived can still be read, nothing can be written.
    Broken(io::ErrorKind),
}

/// What comes once all that is there was read.
enum Later {
    Bytes(Vec<u8>),
    Finished,
}

/// How far a connection that the server makes has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connecting {
    Done,
    UnderWay,
    Refused(io::ErrorKind),
}

/// What is possible, or has become possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    pub readable: bool,
    pub writable: bool,
    pub closed: bool,
}

impl Mask {
    pub fn is_empty(self) -> bool {
        self == Mask::default()
    }

    pub fn and(self, other: Mask) -> Mask {
        Mask {
            readable: self.readable && other.readable,
            writable: self.writable && other.writable,
            closed: self.closed && other.closed,
        }
    }
}

/// Where a socket is registered: the number of the poller, and as what.
pub type Registration = (u32, PollTarget);

/// One socket, seen from the server.
pub struct Socket {
    pub connecting: Connecting,
    arrived: Vec<u8>,
    end: Option<Ending>,
    later: VecDeque<Later>,
    outgoing: Vec<u8>,
    /// What is written is taken and forgotten.
    forgets: bool,
    /// Bytes that the socket holds until the peer takes them.
    capacity: usize,
    /// Bytes that one write takes at most.
    write_max: usize,
    /// A write came up short: room is an edge.
    was_full: bool,
    /// The server writes no more.
    finished: bool,
    /// The server has closed its end.
    pub is_closed: bool,
    pub registration: Option<Registration>,
    /// Edges that were not reported yet.
    pub edges: Mask,
}

impl Socket {
    pub fn new(connecting: Connecting) -> Socket {
        Socket {
            connecting,
            arrived: Vec::new(),
            end: None,
            later: VecDeque::new(),
            outgoing: Vec::new(),
            forgets: false,
            capacity: usize::MAX,
            write_max: usize::MAX,
            was_full: false,
            finished: false,
            is_closed: false,
            registration: None,
            edges: Mask::default(),
        }
    }

    /// What is possible now.
    pub fn mask(&self) -> Mask {
        if self.connecting == Connecting::UnderWay {
            return Mask::default();
        }
        let broken = matches!(self.end, Some(Ending::Broken(_))) || self.connecting != Connecting::Done;
        Mask {
            readable: !self.arrived.is_empty() || self.end.is_some() || broken,
            writable: self.room() > 0 || broken,
            closed: self.end.is_some() || broken,
        }
    }

    /// Bytes that wait to be read, those that come later included.
    pub fn unread(&self) -> usize {
        let later = self.later.iter().map(|later| match later {
            Later::Bytes(bytes) => bytes.len(),
            Later::Finished => 0,
        });
        self.arrived.len() + later.sum::<usize>()
    }

    fn room(&self) -> usize {
        self.capacity.saturating_sub(self.outgoing.len())
    }

    /// The peer sends something.
    pub fn arrive(&mut self, bytes: &[u8]) {
        if self.end.is_none() && !bytes.is_empty() {
            self.arrived.extend_from_slice(bytes);
            self.edges.readable = true;
        }
    }

    /// The same, at the moment in which the server has read all that is there.
    pub fn arrive_later(&mut self, bytes: &[u8]) {
        self.later.push_back(Later::Bytes(bytes.to_vec()));
        self.bring_later();
    }

    /// The peer's bytes end here. Where none come later, the end is reported at once, together with bytes that were not
    /// read yet.
    pub fn finish(&mut self) {
        match self.later.is_empty() {
            true => self.end_with(Ending::Finished),
            false => self.later.push_back(Later::Finished),
        }
    }

    /// The connection is broken at once, behind what has arrived.
    pub fn break_off(&mut self, kind: io::ErrorKind) {
        self.later.clear();
        self.end_with(Ending::Broken(kind));
    }

    fn end_with(&mut self, ending: Ending) {
        if !matches!(self.end, Some(Ending::Broken(_))) {
            self.end = Some(ending);
            self.edges = Mask { readable: true, closed: true, ..self.edges };
            self.edges.writable |= ending != Ending::Finished;
        }
    }

    /// Brings the next of what comes later, if all else was read.
    fn bring_later(&mut self) {
        if !self.arrived.is_empty() || self.end.is_some() {
            return;
        }
        match self.later.pop_front() {
            Some(Later::Bytes(bytes)) => self.arrive(&bytes),
            Some(Later::Finished) => self.end_with(Ending::Finished),
            None => {}
        }
    }

    /// The server reads.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.connecting != Connecting::Done {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if self.arrived.is_empty() {
            return match self.end {
                Some(Ending::Finished) => Ok(0),
                Some(Ending::Broken(kind)) => Err(kind.into()),
                None => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        let count = buffer.len().min(self.arrived.len());
        buffer[..count].copy_from_slice(&self.arrived[..count]);
        self.arrived.drain(..count);
        self.bring_later();
        Ok(count)
    }

    /// The server writes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.finished || matches!(self.end, Some(Ending::Broken(_))) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.connecting != Connecting::Done {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let room = self.room();
        self.was_full |= room < bytes.len();
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = bytes.len().min(room).min(self.write_max);
        if !self.forgets {
            self.outgoing.extend_from_slice(&bytes[..count]);
        }
        Ok(count)
    }

    /// From now on the peer takes all that is written, and forgets it.
    pub fn forget_all(&mut self) {
        self.forgets = true;
        self.take(usize::MAX);
    }

    /// The server writes no more.
    pub fn finish_writing(&mut self) {
        self.finished = true;
    }

    /// The peer takes what was written, or its first bytes.
    pub fn take(&mut self, most: usize) -> Vec<u8> {
        let count = most.min(self.outgoing.len());
        let rest = self.outgoing.split_off(count);
        let taken = std::mem::replace(&mut self.outgoing, rest);
        self.note_room();
        taken
    }

    /// Bytes that were written and not taken.
    pub fn untaken(&self) -> usize {
        self.outgoing.len()
    }

    /// Whether the server has said that nothing more comes.
    pub fn is_over(&self) -> bool {
        self.finished || self.is_closed
    }

    /// How many bytes the socket holds until the peer takes them.
    pub fn set_capacity(&mut self, bytes: usize) {
        self.capacity = bytes;
        // The room whose edge was not reported yet may be gone.
        if self.edges.writable && self.room() == 0 {
            self.edges.writable = false;
            self.was_full = true;
        }
        self.note_room();
    }

    /// How many bytes one write takes at most: as where the peer takes some at every moment.
    pub fn set_write_max(&mut self, bytes: usize) {
        self.write_max = bytes.max(1);
    }

    fn note_room(&mut self) {
        if self.was_full && self.room() > 0 {
            self.was_full = false;
            self.edges.writable = true;
        }
    }
}
