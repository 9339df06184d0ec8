//! This server's place in a cluster: the member, and what its owner keeps beside it. Never touches a socket or a file.

use crate::cluster::Member;

/// What a server in cluster mode knows of the cluster.
#[derive(Debug)]
pub struct Cluster {
    pub member: Member,
}

impl Cluster {
    /// The state of a server whose member is this one.
    pub fn new(member: Member) -> Cluster {
        Cluster { member }
    }
}
