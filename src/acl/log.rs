//! ACL LOG: what was refused of late, to whom, and why.

use std::collections::VecDeque;

/// Refusals that are alike count as one if no more than this time lies between them, in ms.
const GROUPING_MS: u64 = 60_000;
/// Of longer texts only the beginning is kept, in bytes: a refused client must not fill the memory with a name.
const TEXT_MAX_BYTES: usize = 1024;
/// How many of the newest entries are searched for one that is alike.
const SEARCHED_MAX: usize = 10;

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Database,
    Command,
    Key,
    Channel,
    /// A name and a password that do not go together.
    Login,
    /// The user that a client's certificate names; it does not exist or is disabled.
    Certificate,
}

impl Reason {
    /// The word in ACL LOG.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Database => "database",
            Reason::Command => "command",
            Reason::Key => "key",
            Reason::Channel => "channel",
            Reason::Login => "auth",
            Reason::Certificate => "tls-cert",
        }
    }
}

/// In which surroundings a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    TopLevel,
    Transaction,
    Script,
}

impl Scene {
    /// The word in ACL LOG.
    pub fn name(self) -> &'static str {
        match self {
            Scene::TopLevel => "toplevel",
            Scene::Transaction => "multi",
            Scene::Script => "lua",
        }
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    pub scene: Scene,
    /// The command, key or channel; of a login the command by which it was tried, if it was by one.
    pub object: Vec<u8>,
    pub user: Vec<u8>,
    /// The client, as CLIENT LIST shows it. Empty until it is known: see [`AclLog::sign`].
    pub client: Vec<u8>,
}

/// Refusals that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclLogEntry {
    pub id: u64,
    pub count: u64,
    /// The latest of them.
    pub refusal: Refusal,
    /// When the first came, in ms since the epoch.
    pub created_ms: i64,
    /// When the last came.
    pub updated_ms: i64,
}

/// The entries, newest first.
#[derive(Default)]
pub struct AclLog {
    entries: VecDeque<AclLogEntry>,
    next_id: u64,
    /// Whether there are entries without a client.
    has_unsigned: bool,
}

impl AclLog {
    /// Adds a refusal to the entry of those that are alike, or as a new one; the oldest entries beyond the capacity go.
    pub fn add(&mut self, mut refusal: Refusal, now_ms: i64, capacity: usize) {
        let Refusal { object, user, client, .. } = &mut refusal;
        for text in [object, user, client] {
            text.truncate(TEXT_MAX_BYTES);
            text.shrink_to_fit();
        }
        let is_alike = |entry: &AclLogEntry| {
            let known = &entry.refusal;
            known.reason == refusal.reason
                && known.scene == refusal.scene
                && known.object == refusal.object
                && known.user == refusal.user
                && entry.updated_ms.abs_diff(now_ms) <= GROUPING_MS
        };
        let found = self.entries.iter().take(SEARCHED_MAX).position(is_alike);
        let entry = match found.and_then(|index| self.entries.remove(index)) {
            Some(known) => AclLogEntry { count: known.count + 1, updated_ms: now_ms, refusal, ..known },
            None => {
                self.next_id += 1;
                AclLogEntry { id: self.next_id - 1, count: 1, refusal, created_ms: now_ms, updated_ms: now_ms }
            }
        };
        self.has_unsigned |= entry.refusal.client.is_empty();
        self.entries.push_front(entry);
        self.entries.truncate(capacity);
    }

    /// Whether there are refusals of which the client is not known yet: of a script's commands, whose caller cannot
    /// be looked at while it runs.
    #[inline]
    pub fn has_unsigned(&self) -> bool {
        self.has_unsigned
    }

    /// Says of which client they are.
    pub fn sign(&mut self, client: &[u8]) {
        self.has_unsigned = false;
        let refusals = self.entries.iter_mut().map(|entry| &mut entry.refusal);
        refusals
            .filter(|refusal| refusal.client.is_empty())
            .for_each(|refusal| refusal.client = client[..client.len().min(TEXT_MAX_BYTES)].to_vec());
    }

    /// The newest entries, at most so many.
    pub fn newest(&self, count: usize) -> impl ExactSizeIterator<Item = &AclLogEntry> {
        self.entries.iter().take(count)
    }

    /// Forgets all entries; the numbering goes on.
    pub fn reset(&mut self) {
        self.entries.clear();
        self.has_unsigned = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(object: &str) -> Refusal {
        Refusal {
            reason: Reason::Key,
            scene: Scene::TopLevel,
            object: object.into(),
            user: b"u".to_vec(),
            client: b"id=1".to_vec(),
        }
    }

    fn shown(log: &AclLog) -> Vec<(u64, u64, String)> {
        let row = |entry: &AclLogEntry| {
            let object = String::from_utf8_lossy(&entry.refusal.object).into_owned();
            (entry.id, entry.count, object)
        };
        log.newest(usize::MAX).map(row).collect()
    }

    #[test]
    fn refusals_that_are_alike_count_as_one_and_come_first() {
        let mut log = AclLog::default();
        log.add(refusal("a"), 0, 128);
        log.add(refusal("b"), 1, 128);
        log.add(refusal("a"), 60_000, 128);
        assert_eq!(shown(&log), [(0, 2, "a".into()), (1, 1, "b".into())]);
        log.add(refusal("a"), 120_001, 128);
        assert_eq!(shown(&log)[0], (2, 1, "a".into()));
        let other = Refusal { scene: Scene::Script, ..refusal("a") };
        log.add(other, 120_001, 128);
        assert_eq!(shown(&log)[0], (3, 1, "a".into()));
        log.reset();
        log.add(refusal("a"), 120_001, 128);
        assert_eq!(shown(&log), [(4, 1, "a".into())]);
    }

    #[test]
    fn what_is_not_signed_is_signed_later() {
        let mut log = AclLog::default();
        log.add(refusal("a"), 0, 128);
        assert!(!log.has_unsigned());
        let unsigned = Refusal { client: Vec::new(), ..refusal("b") };
        log.add(unsigned, 0, 128);
        assert!(log.has_unsigned());
        log.sign(b"id=2");
        assert!(!log.has_unsigned());
        let clients: Vec<_> = log.newest(2).map(|entry| &entry.refusal.client).collect();
        assert_eq!(clients, [b"id=2", b"id=1"]);
    }

    #[test]
    fn long_texts_are_cut() {
        let mut log = AclLog::default();
        log.add(refusal(&"k".repeat(100_000)), 0, 128);
        let kept: Vec<_> = log.newest(1).map(|entry| &entry.refusal.object).collect();
        assert_eq!(kept[0].len(), TEXT_MAX_BYTES);
        assert!(kept[0].capacity() < 2 * TEXT_MAX_BYTES);
    }

    #[test]
    fn only_the_newest_are_searched_and_the_oldest_go() {
        let mut log = AclLog::default();
        for number in 0..11 {
            log.add(refusal(&number.to_string()), 0, 11);
        }
        log.add(refusal("0"), 0, 11);
        assert_eq!(shown(&log).len(), 11);
        assert_eq!(shown(&log)[0], (11, 1, "0".into()));
        assert_eq!(shown(&log)[10], (1, 1, "1".into()));
    }
}
