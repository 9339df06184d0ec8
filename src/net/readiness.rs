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

impl Readiness {
    /// As it is written to a tape: the target's token, and one bit for each thing that has become possible.
    pub(super) fn as_numbers(&self) -> (u64, u8) {
        let bits = u8::from(self.readable) | u8::from(self.writable) << 1 | u8::from(self.closed) << 2;
        (self.target.number(), bits)
    }

    /// What `as_numbers` was made of.
    pub(super) fn of_numbers((token, bits): (u64, u8)) -> Readiness {
        Readiness {
            target: PollTarget::of_number(token),
            readable: bits & 1 != 0,
            writable: bits & 2 != 0,
            closed: bits & 4 != 0,
        }
    }
}
