//! The disk of a process: synced files survive a crash.

use crate::cluster::member::output::Durability;
use crate::cluster::node_id::NodeId;

/// The files: the last synced one, and one that may or may not have reached the disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub synced: Option<String>,
    pub lazy: Option<String>,
    /// Of the synced file: the epoch of the last vote, and this member's own.
    pub last_vote: u64,
    pub own_epoch: u64,
    pub older: Vec<String>,
    /// Of the synced file: the highest epoch seen, and the id of the member.
    pub current: u64,
    pub id: Option<NodeId>,
}

/// The role, primary and slots of a file's own member.
pub fn claim_in(text: &str) -> Vec<&str> {
    let own = text.lines().find(|line| line.contains("myself")).unwrap_or_default();
    own.split(' ').enumerate().filter(|(place, _)| [2, 3].contains(place) || *place > 7).map(|(_, word)| word).collect()
}

impl Disk {
    pub fn save(&mut self, text: &str, durability: Durability) {
        match durability {
            Durability::Eventually => self.lazy = Some(text.to_string()),
            Durability::Synced => {
                self.lazy = None;
                if let Some(before) = self.synced.replace(text.to_string())
                    && self.older.len() < 20
                {
                    self.older.push(before);
                }
                self.note_synced();
            }
        }
    }

    pub fn note_synced(&mut self) {
        let Some(text) = &self.synced else { return };
        let mut words = text.rsplit(' ');
        self.last_vote = words.next().and_then(|word| word.trim().parse().ok()).expect("an epoch");
        self.current = words.nth(1).and_then(|word| word.parse().ok()).expect("an epoch");
        let own = text.lines().find(|line| line.contains("myself")).expect("a line");
        self.own_epoch = own.split(' ').nth(6).and_then(|word| word.parse().ok()).expect("an epoch");
        self.id = NodeId::parse(&own.as_bytes()[..40]);
    }
}
