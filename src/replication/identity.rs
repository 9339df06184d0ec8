//! Which history a server's data come from, and from where on another server may go on with it.
//!
//! A history is named by an id of 40 hexadecimal digits; a place in it is an offset, the number of bytes of the
//! replication stream up to there. The first byte of the stream has the number `offset + 1`. A promoted replica begins
//! a history of its own, but remembers the one that it followed as its *second* id, which is good up to the offset of
//! the promotion: a replica that has followed the same primary up to there can go on with the promoted one.
//!
//! No pair of id and offset may ever name two histories. So each way to leave a history takes a new id: a promotion,
//! the loss of the backlog, the first replica of a primary that had no backlog.

use std::fmt;

/// Length of an id, in bytes.
pub const ID_BYTES: usize = 40;
/// Random bytes that a new id is made of.
pub const ID_ENTROPY_BYTES: usize = ID_BYTES / 2;

/// The name of a history.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReplicationId([u8; ID_BYTES]);

impl ReplicationId {
    /// The id that names no history.
    pub const NONE: ReplicationId = ReplicationId([b'0'; ID_BYTES]);

    /// The id that these random bytes make.
    pub fn from_entropy(entropy: [u8; ID_ENTROPY_BYTES]) -> ReplicationId {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; ID_BYTES];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(entropy) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        ReplicationId(digits)
    }

    /// Reads an id as a peer or a file gives it. Peers compare ids without regard to case, so upper case is lowered.
    /// None unless it has 40 letters and digits.
    pub fn parse(text: &[u8]) -> Option<ReplicationId> {
        let digits: [u8; ID_BYTES] = text.try_into().ok()?;
        digits
            .iter()
            .all(u8::is_ascii_alphanumeric)
            .then(|| ReplicationId(digits.map(|digit| digit.to_ascii_lowercase())))
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        // Only ASCII letters and digits are ever stored.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for ReplicationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for ReplicationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A place in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub id: ReplicationId,
    /// Number of the last byte that is known.
    pub offset: u64,
}

/// The bytes of the stream that are still at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Number of the first byte.
    pub first: u64,
    /// Number of the last byte; `first - 1` while there is none.
    pub last: u64,
}

/// Why a replica cannot go on from where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It asked for no particular place.
    NothingWanted,
    /// It followed another history.
    UnknownId,
    /// It followed the second id's history beyond the place up to which that is shared.
    PastSecondId { wanted: u64, shared_up_to: u64 },
    /// The bytes that it lacks are not at hand.
    OutsideWindow,
}

/// The histories that a server's data belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The present history.
    pub id: ReplicationId,
    /// The history before, `NONE` if there is none to go on with.
    pub second_id: ReplicationId,
    /// A replica of the second history may ask for this byte at most; -1 if there is no second history.
    pub second_offset: i64,
}

impl Default for Identity {
    fn default() -> Identity {
        Identity::new(ReplicationId::NONE)
    }
}

impl Identity {
    /// A server whose data belong to a new history.
    pub fn new(id: ReplicationId) -> Identity {
        Identity { id, second_id: ReplicationId::NONE, second_offset: -1 }
    }

    /// A new history begins that has nothing in common with the one before.
    pub fn begin(&mut self, id: ReplicationId) {
        *self = Identity::new(id);
    }

    /// The present history ends at this offset, and another one goes on from there: after a promotion, or when the
    /// primary has told a new id.
    pub fn branch(&mut self, id: ReplicationId, offset: u64) {
        self.second_id = self.id;
        self.second_offset = i64::try_from(offset).unwrap_or(i64::MAX).saturating_add(1);
        self.id = id;
    }

    /// Forgets the second history.
    pub fn clear_second(&mut self) {
        self.second_id = ReplicationId::NONE;
        self.second_offset = -1;
    }

    /// Whether a replica that has followed `id` and wants the byte `wanted` next can be sent the stream from there.
    /// Gives the number of that byte.
    ///
    /// Errors: why it needs all data anew.
    pub fn resume(&self, id: &[u8], wanted: i64, window: Option<Window>) -> Result<u64, Refusal> {
        if id == b"?" {
            return Err(Refusal::NothingWanted);
        }
        let id = ReplicationId::parse(id).ok_or(Refusal::UnknownId)?;
        let byte = u64::try_from(wanted).map_err(|_| Refusal::OutsideWindow);
        if id != self.id {
            if id != self.second_id || self.second_id == ReplicationId::NONE {
                return Err(Refusal::UnknownId);
            }
            if wanted > self.second_offset {
                let shared_up_to = u64::try_from(self.second_offset).unwrap_or(0);
                return Err(Refusal::PastSecondId { wanted: byte?, shared_up_to });
            }
        }
        let byte = byte?;
        match window {
            Some(window) if window.first <= byte && byte <= window.last + 1 => Ok(byte),
            _ => Err(Refusal::OutsideWindow),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: u8) -> ReplicationId {
        ReplicationId([digit; ID_BYTES])
    }

    const WINDOW: Option<Window> = Some(Window { first: 100, last: 200 });

    #[test]
    fn ids_are_hexadecimal_and_read_in_either_case() {
        let made = ReplicationId::from_entropy([0xaf; ID_ENTROPY_BYTES]);
        assert_eq!(made.as_str(), "af".repeat(20));
        assert_eq!(ReplicationId::parse("AF".repeat(20).as_bytes()), Some(made));
        assert_eq!(ReplicationId::parse(&[b'a'; 39]), None);
        assert_eq!(ReplicationId::parse(&[b' '; 40]), None);
        assert_eq!(format!("{made} {made:?}"), format!("{0} {0}", "af".repeat(20)));
    }

    #[test]
    fn a_replica_goes_on_within_the_window_alone() {
        let identity = Identity::new(id(b'a'));
        let resume = |wanted| identity.resume(id(b'a').as_str().as_bytes(), wanted, WINDOW);
        assert_eq!(resume(99), Err(Refusal::OutsideWindow));
        assert_eq!(resume(100), Ok(100));
        // It has all that there is: the next byte is the first that it is sent.
        assert_eq!(resume(201), Ok(201));
        assert_eq!(resume(202), Err(Refusal::OutsideWindow));
        assert_eq!(resume(-1), Err(Refusal::OutsideWindow));
        assert_eq!(identity.resume(id(b'a').as_str().as_bytes(), 150, None), Err(Refusal::OutsideWindow));
        assert_eq!(identity.resume(b"?", -1, WINDOW), Err(Refusal::NothingWanted));
        assert_eq!(identity.resume(b"short", 150, WINDOW), Err(Refusal::UnknownId));
    }

    #[test]
    fn after_a_promotion_the_history_before_is_shared_up_to_its_end() {
        let mut identity = Identity::new(id(b'a'));
        identity.branch(id(b'b'), 150);
        let resume = |digit, wanted| identity.resume(id(digit).as_str().as_bytes(), wanted, WINDOW);
        assert_eq!(resume(b'a', 151), Ok(151));
        assert_eq!(resume(b'a', 152), Err(Refusal::PastSecondId { wanted: 152, shared_up_to: 151 }));
        assert_eq!(resume(b'b', 201), Ok(201));
        assert_eq!(resume(b'c', 120), Err(Refusal::UnknownId));
    }

    /// The id of no history must not be taken for the second one of a server that has none.
    #[test]
    fn no_history_is_no_second_history() {
        let identity = Identity::new(id(b'a'));
        assert_eq!(identity.resume(&[b'0'; ID_BYTES], 120, WINDOW), Err(Refusal::UnknownId));
        let mut branched = identity;
        branched.branch(id(b'b'), 10);
        branched.clear_second();
        assert_eq!(branched, Identity::new(id(b'b')));
    }
}
