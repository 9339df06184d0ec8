//! What a poll reports of one target.

use super::poll_target::PollTarget;

/// What has become possible with something that is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    pub target: PollTarget,
    /// There may be something to read.
    pub readable: bool,
    /// There may be room to write.
    pub writable: bool,
    /// The peer has closed its end or the socket broke: what can be read is the last.
    pub closed: bool,
}
