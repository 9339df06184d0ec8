//! A primary's replicas: what each has announced, how far it is, and when the next snapshot for them begins.
//!
//! ```text
//!           snapshot pinned        last byte out              first ACK
//! Waiting ─────────────────► Sending ──────────► AwaitingAck ───────────► Online     (form with a mark)
//!                               └───────────────────────────────────────► Online     (form with a length)
//! ```
//!
//! The position of a replica in the log of changes is taken in the turn in which its snapshot is pinned. The stream
//! that it lacks is kept by the log alone; nothing is buffered for one replica.

use crate::keyspace::change_log::ReaderId;
use crate::net::token::Token;
use crate::storage::rdb::RdbVersion;

/// What a replica has said of itself with REPLCONF, or by how it asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// Where it can be reached; 0 unless it has said so.
    pub port: u16,
    /// Its address, if that is not the one that it has connected from.
    pub address: Option<String>,
    /// It takes data whose length is not known when they begin.
    pub takes_mark: bool,
    /// It follows a primary whose history gets a new id.
    pub follows_new_id: bool,
    /// It wants the data alone, and no stream after them.
    pub data_only: bool,
    /// Of the data it wants the functions alone.
    pub functions_only: bool,
    /// It has asked with SYNC: it never acknowledges anything.
    pub is_silent: bool,
    /// The newest snapshots that it reads, if it has said so.
    pub reads: Option<RdbVersion>,
    /// It is, or stands for, a version of Valkey from 9 on, which takes the order to take over from the stream.
    pub takes_orders: bool,
    /// Its id as a node of a cluster.
    pub node_id: Option<String>,
}

impl Replica {
    /// Seconds since it was last heard of, by the calendar's seconds.
    pub fn lag_s(&self, now_ms: i64) -> i64 {
        now_ms.div_euclid(1000) - self.acked_ms.div_euclid(1000)
    }

    /// Whether leaving now means that it could not load what it was sent.
    pub fn leaves_unloaded(&self) -> bool {
        self.may_fail && matches!(self.state, ReplicaState::AwaitingAck | ReplicaState::Online)
    }
}

impl Announced {
    /// Whether one snapshot is good for both replicas. Where the data need a newer format than all replicas read, it is
    /// only if both read the same formats.
    pub fn shares_with(&self, other: &Announced, needs_newer: bool) -> bool {
        let kind = |announced: &Announced| (announced.functions_only, announced.takes_mark);
        kind(self) == kind(other) && (!needs_newer || self.reads == other.reads)
    }

    /// The newest format that a replica is sent, unless its data need a newer one. All read 10, and some say that they
    /// read more.
    pub fn plain_format(&self) -> RdbVersion {
        self.reads.unwrap_or(RdbVersion::V10).min(RdbVersion::V11)
    }
}

/// How far a replica is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplicaState {
    /// It waits for a snapshot to begin.
    #[default]
    Waiting,
    /// A snapshot is being made, or sent.
    Sending {
        /// It comes from a file, and is being sent.
        is_bulk: bool,
    },
    /// The snapshot has been sent; the stream begins once the replica has loaded it, and says so.
    AwaitingAck,
    /// It is sent the stream.
    Online,
}

impl ReplicaState {
    /// Whether it counts as online: it has been sent all data.
    pub fn is_online(self) -> bool {
        matches!(self, ReplicaState::Online | ReplicaState::AwaitingAck)
    }

    /// Its name in INFO. In the form with a mark it waits for the snapshot as long as that is being made.
    pub fn name(self) -> &'static str {
        match self {
            ReplicaState::Waiting | ReplicaState::Sending { is_bulk: false } => "wait_bgsave",
            ReplicaState::Sending { is_bulk: true } => "send_bulk",
            ReplicaState::AwaitingAck | ReplicaState::Online => "online",
        }
    }
}

/// One replica.
#[derive(Debug)]
pub struct Replica {
    pub client: Token,
    pub announced: Announced,
    pub state: ReplicaState,
    /// Where it is in the log of changes, from the turn on in which its snapshot was pinned.
    pub reader: Option<ReaderId>,
    /// Its socket takes no more for now.
    pub is_blocked: bool,
    /// When its socket last took anything, in ms since the epoch.
    pub progressed_ms: i64,
    /// It has applied the stream up to this byte.
    pub acked_offset: u64,
    /// Of that it has this much on its disk.
    pub fsynced_offset: u64,
    /// When it last acknowledged anything, in ms since the epoch.
    pub acked_ms: i64,
    /// When it began to wait, in ms since the epoch.
    pub waiting_since_ms: i64,
    /// Its snapshot is of a version that it has not said it reads.
    pub may_fail: bool,
}

/// When a snapshot for waiting replicas begins.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotDelay {
    /// The first that waits is kept waiting so long, so that others can share its snapshot.
    pub delay_ms: i64,
    /// Unless so many wait; 0 for any number.
    pub replicas_max: usize,
}

/// All replicas of this server, in the order in which they came.
#[derive(Debug, Default)]
pub struct Replicas {
    all: Vec<Replica>,
}

impl Replicas {
    /// A client has become a replica that needs all data.
    pub fn add_waiting(&mut self, client: Token, announced: Announced, now_ms: i64) {
        self.add(client, announced, ReplicaState::Waiting, now_ms);
    }

    /// A client has become a replica that goes on with the stream.
    pub fn add_online(&mut self, client: Token, announced: Announced, reader: Option<ReaderId>, now_ms: i64) {
        self.add(client, announced, ReplicaState::Online, now_ms);
        if let Some(replica) = self.all.last_mut() {
            replica.reader = reader;
        }
    }

    fn add(&mut self, client: Token, announced: Announced, state: ReplicaState, now_ms: i64) {
        self.all.push(Replica {
            client,
            announced,
            state,
            reader: None,
            is_blocked: false,
            progressed_ms: now_ms,
            acked_offset: 0,
            fsynced_offset: 0,
            acked_ms: now_ms,
            waiting_since_ms: now_ms,
            may_fail: false,
        });
    }

    /// A client is gone. O(replicas).
    pub fn remove(&mut self, client: Token) -> Option<Replica> {
        let index = self.all.iter().position(|replica| replica.client == client)?;
        Some(self.all.remove(index))
    }

    /// The replica that this client is. O(replicas).
    pub fn get_mut(&mut self, client: Token) -> Option<&mut Replica> {
        self.all.iter_mut().find(|replica| replica.client == client)
    }

    /// The replica that this client is. O(replicas).
    pub fn get(&self, client: Token) -> Option<&Replica> {
        self.all.iter().find(|replica| replica.client == client)
    }

    /// The clients that are replicas, in the order in which they came.
    pub fn clients(&self) -> Vec<Token> {
        self.all.iter().map(|replica| replica.client).collect()
    }

    /// All of them, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Replica> {
        self.all.iter_mut()
    }

    /// The socket of a client has room again. Nothing happens if the client is no replica. O(replicas).
    pub fn note_room(&mut self, client: Token) {
        if let Some(replica) = self.get_mut(client) {
            replica.is_blocked = false;
        }
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &Replica> {
        self.all.iter()
    }

    /// Number of them.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A replica has applied the stream up to an offset, and may have it on its disk up to another. Says whether it
    /// comes online by this. Neither offset ever goes back.
    pub fn on_ack(&mut self, client: Token, offset: u64, fsynced: Option<u64>, now_ms: i64) -> bool {
        let Some(replica) = self.get_mut(client) else { return false };
        replica.acked_offset = replica.acked_offset.max(offset);
        replica.fsynced_offset = replica.fsynced_offset.max(fsynced.unwrap_or(0));
        replica.acked_ms = now_ms;
        replica.may_fail = false;
        let comes_online = replica.state == ReplicaState::AwaitingAck;
        if comes_online {
            replica.state = ReplicaState::Online;
        }
        comes_online
    }

    /// A snapshot has been sent to a replica in full. From a file its length was told, and the stream begins at once;
    /// else it begins with the first ACK.
    pub fn on_sent(&mut self, client: Token, now_ms: i64) {
        let Some(replica) = self.get_mut(client) else { return };
        if let ReplicaState::Sending { is_bulk } = replica.state {
            replica.acked_ms = now_ms;
            replica.state = if is_bulk { ReplicaState::Online } else { ReplicaState::AwaitingAck };
        }
    }

    /// A replica shows that it is there, though it acknowledges nothing: it is still loading.
    pub fn on_sign_of_life(&mut self, client: Token, now_ms: i64) {
        if let Some(replica) = self.get_mut(client).filter(|replica| replica.state == ReplicaState::AwaitingAck) {
            replica.acked_ms = now_ms;
        }
    }

    /// Those for whom a snapshot is to begin now, none unless it is time. Replicas that want different data get
    /// snapshots of their own, and so do those that read different formats where `needs_newer`, that is where the data
    /// need a newer format than all read: these are all that want the same. O(replicas²).
    pub fn due_for_snapshot(
        &self,
        needs_newer: bool,
        delay: impl Fn(&Announced) -> SnapshotDelay,
        now_ms: i64,
    ) -> Vec<Token> {
        let waiting = || self.all.iter().filter(|replica| replica.state == ReplicaState::Waiting);
        // They stand in the order in which they came.
        for first in waiting() {
            let alike = || waiting().filter(|replica| replica.announced.shares_with(&first.announced, needs_newer));
            let delay = delay(&first.announced);
            let are_enough = delay.replicas_max > 0 && alike().count() >= delay.replicas_max;
            if are_enough || now_ms - first.waiting_since_ms >= delay.delay_ms {
                return alike().map(|replica| replica.client).collect();
            }
        }
        Vec::new()
    }

    /// Those that wait for a snapshot to begin.
    pub fn waiting(&self) -> impl Iterator<Item = Token> {
        let waiting = self.all.iter().filter(|replica| replica.state == ReplicaState::Waiting);
        waiting.map(|replica| replica.client)
    }

    /// Whether any replica waits for a snapshot.
    pub fn any_waits(&self) -> bool {
        self.all.iter().any(|replica| replica.state == ReplicaState::Waiting)
    }

    /// Online replicas that have been heard of within so many seconds.
    pub fn good(&self, lag_max_s: i64, now_ms: i64) -> usize {
        self.online().filter(|replica| replica.lag_s(now_ms) <= lag_max_s).count()
    }

    /// Online replicas that have applied the stream up to this offset.
    pub fn acked(&self, offset: u64) -> usize {
        self.online().filter(|replica| replica.acked_offset >= offset).count()
    }

    /// Online replicas that have the stream up to this offset on their disks.
    pub fn fsynced(&self, offset: u64) -> usize {
        self.online().filter(|replica| replica.fsynced_offset >= offset).count()
    }

    /// Online replicas.
    pub fn online(&self) -> impl Iterator<Item = &Replica> {
        self.all.iter().filter(|replica| replica.state.is_online())
    }

    /// Replicas of which nothing has been heard for so long, and which are therefore lost.
    pub fn silent(&self, timeout_ms: i64, now_ms: i64) -> Vec<Token> {
        let answers = self.online().filter(|replica| !replica.announced.is_silent);
        let silent = answers.filter(|replica| now_ms - replica.acked_ms > timeout_ms);
        silent.map(|replica| replica.client).collect()
    }

    /// Replicas that have taken nothing of a snapshot for so long. `has_more` says whether something waits for one.
    pub fn stuck(&self, timeout_ms: i64, now_ms: i64, has_more: impl Fn(Token) -> bool) -> Vec<Token> {
        let sending = self.all.iter().filter(|replica| matches!(replica.state, ReplicaState::Sending { .. }));
        let stuck = sending.filter(|replica| now_ms - replica.progressed_ms > timeout_ms && has_more(replica.client));
        stuck.map(|replica| replica.client).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(slot: u32) -> Token {
        Token { slot, generation: 1 }
    }

    fn waiting(since: &[i64]) -> Replicas {
        let mut replicas = Replicas::default();
        for (slot, since_ms) in (0..).zip(since) {
            replicas.add_waiting(token(slot), Announced::default(), *since_ms);
        }
        replicas
    }

    fn begin(replicas: &mut Replicas, client: Token, is_bulk: bool) {
        replicas.get_mut(client).expect("it is there").state = ReplicaState::Sending { is_bulk };
    }

    #[test]
    fn with_a_mark_the_first_ack_brings_a_replica_online() {
        let mut replicas = waiting(&[0]);
        begin(&mut replicas, token(0), false);
        assert!(!replicas.on_ack(token(0), 0, None, 1), "it is not loaded yet");
        assert_eq!(replicas.online().count(), 0);
        replicas.on_sent(token(0), 2);
        assert_eq!(replicas.online().count(), 1);
        assert!(replicas.on_ack(token(0), 5, None, 3));
        assert!(!replicas.on_ack(token(0), 6, None, 4), "it has been online before");
        assert_eq!((replicas.acked(6), replicas.acked(7)), (1, 0));
    }

    #[test]
    fn with_a_length_the_last_byte_brings_a_replica_online() {
        let mut replicas = waiting(&[0]);
        begin(&mut replicas, token(0), true);
        replicas.on_sent(token(0), 2);
        assert_eq!(replicas.iter().map(|replica| replica.state).collect::<Vec<_>>(), [ReplicaState::Online]);
    }

    #[test]
    fn acknowledged_offsets_never_go_back() {
        let mut replicas = Replicas::default();
        replicas.add_online(token(1), Announced::default(), None, 0);
        replicas.on_ack(token(1), 10, Some(8), 1);
        replicas.on_ack(token(1), 9, Some(3), 2);
        replicas.on_ack(token(2), 90, Some(90), 2);
        assert_eq!((replicas.acked(10), replicas.acked(11), replicas.fsynced(8), replicas.fsynced(9)), (1, 0, 1, 0));
    }

    #[test]
    fn the_first_replica_waits_for_others_but_not_for_ever() {
        let delay = |_: &Announced| SnapshotDelay { delay_ms: 5000, replicas_max: 3 };
        let replicas = waiting(&[1000, 4000]);
        assert_eq!(replicas.due_for_snapshot(false, delay, 5999), []);
        assert_eq!(replicas.due_for_snapshot(false, delay, 6000), [token(0), token(1)]);
        assert_eq!(waiting(&[1000, 2000, 2000]).due_for_snapshot(false, delay, 2000).len(), 3);
        let none_are_enough = |_: &Announced| SnapshotDelay { delay_ms: 5000, replicas_max: 0 };
        assert_eq!(waiting(&[1000, 2000, 2000]).due_for_snapshot(false, none_are_enough, 2000), []);
        assert_eq!(Replicas::default().due_for_snapshot(false, delay, 9000), []);
    }

    #[test]
    fn replicas_share_a_snapshot_of_the_same_data_only() {
        let mut replicas = waiting(&[0]);
        let functions = Announced { functions_only: true, ..Announced::default() };
        replicas.add_waiting(token(7), functions, 1);
        let delay = |_: &Announced| SnapshotDelay { delay_ms: 0, replicas_max: 0 };
        assert_eq!(replicas.due_for_snapshot(false, delay, 5), [token(0)]);
        begin(&mut replicas, token(0), false);
        assert_eq!(replicas.due_for_snapshot(false, delay, 5), [token(7)]);
    }

    #[test]
    fn formats_part_replicas_only_where_the_data_need_a_newer_one() {
        let mut replicas = waiting(&[0]);
        let newer = Announced { reads: Some(RdbVersion::V12), ..Announced::default() };
        replicas.add_waiting(token(7), newer.clone(), 1);
        let delay = |_: &Announced| SnapshotDelay { delay_ms: 0, replicas_max: 0 };
        assert_eq!(replicas.due_for_snapshot(false, delay, 5), [token(0), token(7)]);
        assert_eq!(replicas.due_for_snapshot(true, delay, 5), [token(0)]);
        assert_eq!((newer.plain_format(), Announced::default().plain_format()), (RdbVersion::V11, RdbVersion::V10));
    }

    #[test]
    fn only_replicas_that_are_heard_of_are_good() {
        let mut replicas = waiting(&[0]);
        replicas.add_online(token(1), Announced::default(), None, 0);
        assert_eq!((replicas.good(10, 10_999), replicas.good(10, 11_000)), (1, 0));
        assert_eq!((replicas.silent(10, 10), replicas.silent(10, 11)), (vec![], vec![token(1)]));
        replicas.on_ack(token(1), 0, None, 11);
        assert_eq!(replicas.good(10, 10_999), 1);
        assert_eq!(replicas.remove(token(1)).map(|replica| replica.acked_ms), Some(11));
        assert_eq!((replicas.len(), replicas.is_empty(), replicas.good(10, 11)), (1, false, 0));
    }
}
