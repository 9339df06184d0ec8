//! How much one reply of XREAD or XREADGROUP may have of all streams together: MAXCOUNT and MAXSIZE.

use crate::resp::Reply;
use crate::resp::reply::Mark;

/// What is left of what a reply may have.
pub(super) struct Allowance {
    entries: usize,
    /// Of the whole reply; the first entry is written whatever its size.
    bytes: usize,
    /// Where the reply begins.
    start: Mark,
    has_entries: bool,
}

impl Allowance {
    /// So many entries, and so many bytes from the present end of the reply on.
    pub fn new(entries: usize, bytes: usize, reply: &Reply) -> Allowance {
        Allowance { entries, bytes, start: reply.mark(), has_entries: false }
    }

    /// Whether no more entries fit.
    pub fn is_used_up(&self, reply: &Reply) -> bool {
        self.entries == 0 || self.has_entries && self.is_exceeded(reply, 1)
    }

    /// Most entries of the next stream, of which COUNT allows this many; 0: all.
    pub fn most(&self, count: usize) -> usize {
        match count {
            0 => self.entries,
            count => count.min(self.entries),
        }
    }

    /// Writes an entry if it fits; tells whether it does.
    #[inline]
    pub fn write(&mut self, reply: &mut Reply, write: impl FnOnce(&mut Reply)) -> bool {
        if self.entries == 0 {
            return false;
        }
        let before = reply.mark();
        write(reply);
        if self.has_entries && self.is_exceeded(reply, 0) {
            reply.truncate(before);
            return false;
        }
        self.has_entries = true;
        self.entries -= 1;
        true
    }

    /// Whether the reply would be too long with so many more bytes.
    fn is_exceeded(&self, reply: &Reply, more: usize) -> bool {
        self.bytes < usize::MAX && reply.len_since(self.start) + more > self.bytes
    }
}
