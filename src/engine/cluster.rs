//! This server's place in a cluster: the member, and what its owner keeps beside it. Never touches a socket or a file.

use crate::cluster::Member;

/// What a server in cluster mode knows of the cluster.
#[derive(Debug)]
pub struct Cluster {
    pub member: Member,
    /// Messages of publishers at this server, which the bus is to bring to other nodes, in order.
    pub outgoing: Vec<Published>,
}

/// A message that somebody has published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Whether it is for the nodes of this shard alone.
    pub is_sharded: bool,
    pub channel: Vec<u8>,
    pub message: Vec<u8>,
}

impl Cluster {
    /// The state of a server whose member is this one.
    pub fn new(member: Member) -> Cluster {
        Cluster { member, outgoing: Vec::new() }
    }

    /// Whether every request about a slot runs here: the slot is this member's, the cluster is up, and no slot moves.
    #[inline]
    pub fn serves(&self, slot: u16) -> bool {
        let table = self.member.table();
        let moves_none = table.migrating.is_empty() && table.importing.is_empty();
        self.member.is_ok() && moves_none && table.owner(slot) == Some(table.my_key())
    }
}
