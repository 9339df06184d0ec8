//! Replies that left late: they waited for the disk, or for their client's socket.

use std::collections::VecDeque;

use crate::command::registry::CommandId;

/// Replies kept.
const KEPT_MAX: usize = 1024;
/// How many of the newest are searched for the one that the disk has let go.
const SEARCHED_MAX: usize = 256;

/// One client's replies that left late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateReply {
    pub client: u64,
    /// The last command of those that they answer.
    pub command: Option<CommandId>,
    /// Since when they were ready, and until when they waited, in ns since the start of the clock.
    pub since_ns: u64,
    pub until_ns: u64,
    /// How long they waited for the disk, and after that for the socket.
    pub disk_ns: u64,
    pub socket_ns: u64,
}

/// The newest of them, oldest first.
#[derive(Debug, Default)]
pub struct LateReplies {
    kept: VecDeque<LateReply>,
    /// When the disk let replies go last, in ns since the start of the clock: what has left the disk later waited for
    /// none.
    disk_until_ns: u64,
}

impl LateReplies {
    /// What leaves sooner is not late, in ns.
    pub const LATE_NS: u64 = 100_000;

    /// Replies were held until now for the disk.
    pub fn note_on_disk(&mut self, reply: LateReply) {
        if reply.disk_ns >= Self::LATE_NS {
            self.disk_until_ns = reply.until_ns;
            self.push(reply);
        }
    }

    /// A socket has taken replies late; the disk may have held them before.
    pub fn note_sent(&mut self, reply: LateReply) {
        if reply.since_ns > self.disk_until_ns {
            return self.push(reply);
        }
        let mut newest = self.kept.iter_mut().rev().take(SEARCHED_MAX);
        match newest.find(|held| held.client == reply.client && held.until_ns == reply.since_ns) {
            Some(held) => {
                held.socket_ns = reply.socket_ns;
                held.until_ns = reply.until_ns;
            }
            None => self.push(reply),
        }
    }

    fn push(&mut self, reply: LateReply) {
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(reply);
    }

    /// The late replies to what a client asked for in the time from `began_ns` to `ended_ns`. O(kept).
    pub fn find(&self, client: u64, began_ns: u64, ended_ns: u64) -> Option<&LateReply> {
        self.kept.iter().rev().find(|late| late.client == client && (began_ns..=ended_ns).contains(&late.since_ns))
    }

    /// All that are kept, newest first.
    pub fn newest(&self) -> impl Iterator<Item = &LateReply> {
        self.kept.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(client: u64, since_ns: u64, until_ns: u64, waits_ns: [u64; 2]) -> LateReply {
        let [disk_ns, socket_ns] = waits_ns;
        LateReply { client, command: None, since_ns, until_ns, disk_ns, socket_ns }
    }

    #[test]
    fn the_disk_and_the_socket_are_two_waits_of_one_reply() {
        let mut late = LateReplies::default();
        late.note_on_disk(reply(1, 10, 20, [400_000, 0]));
        late.note_on_disk(reply(2, 10, 20, [400_000, 0]));
        late.note_on_disk(reply(3, 10, 20, [99_999, 0]));
        late.note_sent(reply(1, 20, 30, [0, 700_000]));
        late.note_sent(reply(2, 40, 50, [0, 100_000]));
        let kept: Vec<LateReply> = late.newest().copied().collect();
        let expected =
            [reply(2, 40, 50, [0, 100_000]), reply(2, 10, 20, [400_000, 0]), reply(1, 10, 30, [400_000, 700_000])];
        assert_eq!(kept, expected);
        assert_eq!(late.find(1, 5, 10), Some(&expected[2]));
        assert_eq!((late.find(1, 11, 30), late.find(3, 0, 100)), (None, None));
    }

    #[test]
    fn the_oldest_go() {
        let mut late = LateReplies::default();
        (0..3000).for_each(|number| late.note_on_disk(reply(number, number, number, [1_000_000, 0])));
        let clients: Vec<u64> = late.newest().map(|reply| reply.client).collect();
        assert!(clients.iter().copied().eq((1976..3000).rev()));
    }
}
