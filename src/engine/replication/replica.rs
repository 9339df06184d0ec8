//! The replica's side: the primary that this server follows.

/// What a replica knows of its primary.
#[derive(Default)]
pub struct ReplicaSide {
    /// Where the primary is.
    pub host: String,
    pub port: u16,
}
