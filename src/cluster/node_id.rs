//! Ids of nodes and of shards: 40 hexadecimal digits.

use std::fmt;

use fastrand::Rng;

/// Length of an id, in bytes.
pub const ID_BYTES: usize = 40;

/// The id of a node. It does not change with the node's address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; ID_BYTES]);

/// The id of a shard: a primary and its replicas share it.
pub type ShardId = NodeId;

impl NodeId {
    /// A new id.
    pub fn random(rng: &mut Rng) -> NodeId {
        NodeId(std::array::from_fn(|_| b"0123456789abcdef"[rng.usize(..16)]))
    }

    /// Reads an id from a frame, a file or a command. None unless it has 40 lower-case letters and digits.
    pub fn parse(text: &[u8]) -> Option<NodeId> {
        let digits: [u8; ID_BYTES] = text.try_into().ok()?;
        let is_valid = digits.iter().all(|digit| digit.is_ascii_digit() || digit.is_ascii_lowercase());
        is_valid.then_some(NodeId(digits))
    }

    /// Its digits, as a frame carries them.
    pub fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        // Only ASCII letters and digits are ever stored.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.as_str()[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forty_lower_case_letters_and_digits_are_an_id() {
        let id = NodeId::random(&mut Rng::with_seed(7));
        assert_eq!(NodeId::parse(id.as_bytes()), Some(id));
        assert_eq!(NodeId::parse(&[b'a'; 39]), None);
        assert_eq!(NodeId::parse(&[b'A'; 40]), None);
        assert_eq!(NodeId::parse(&[0; 40]), None);
        assert_eq!(NodeId::parse(&[b' '; 40]), None);
        assert_ne!(NodeId::random(&mut Rng::with_seed(8)), id);
    }
}
