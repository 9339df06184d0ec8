//! Extensions of PING, PONG and MEET: data about a node beyond the fixed fields.
//!
//! An extension is a length (u32, with its own head of 8 bytes, a multiple of 8), a type (u16), two unused bytes, data.
//!
//! Type 4 means two things. Redis 8 sends a secret of 40 bytes that its nodes share, Valkey an IPv4 address as text.
//! They are distinguished by their content. This server never sends either: a node of the other kind would misread it.

use std::net::Ipv4Addr;

use super::padded_text;
use crate::cluster::node_id::{ID_BYTES, NodeId, ShardId};

/// Length of an extension's head.
pub const EXTENSION_HEAD_BYTES: usize = 8;
/// Hostnames and names of this length or longer are not read.
const TEXT_MAX_BYTES: usize = 256;

const HOSTNAME: u16 = 0;
const HUMAN_NAME: u16 = 1;
const FORGOTTEN: u16 = 2;
const SHARD_ID: u16 = 3;
const SECRET_OR_CLIENT_ADDRESS: u16 = 4;

/// One extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    Hostname(String),
    /// The human-readable name of the node, for logs.
    HumanName(String),
    /// A forgotten node, which may not be added again for this time.
    Forgotten {
        id: NodeId,
        ttl_s: u64,
    },
    ShardId(ShardId),
    /// The sender is a Redis 8. The secret itself is not used.
    RedisSecret,
    /// The sender is a Valkey, with this address for clients.
    ValkeyClientAddress(Ipv4Addr),
    /// An unknown type, or invalid content.
    Unknown(u16),
}

impl Extension {
    /// Reads the data of an extension.
    pub(super) fn read(number: u16, data: &[u8]) -> Extension {
        let read = match number {
            HOSTNAME => read_text(data, is_hostname_byte).map(Extension::Hostname),
            HUMAN_NAME => read_text(data, is_name_byte).map(Extension::HumanName),
            FORGOTTEN => read_forgotten(data),
            SHARD_ID => data.get(..ID_BYTES).and_then(ShardId::parse).map(Extension::ShardId),
            SECRET_OR_CLIENT_ADDRESS => read_fourth(data),
            _ => None,
        };
        read.unwrap_or(Extension::Unknown(number))
    }

    /// Appends the extension with its head. Returns whether this server sends extensions of this type.
    pub(super) fn write(&self, output: &mut Vec<u8>) -> bool {
        let mut data = Vec::new();
        let number = match self {
            Extension::Hostname(text) | Extension::HumanName(text) => {
                data.extend_from_slice(text.as_bytes());
                data.push(0);
                if matches!(self, Extension::Hostname(_)) { HOSTNAME } else { HUMAN_NAME }
            }
            Extension::Forgotten { id, ttl_s } => {
                data.extend_from_slice(id.as_bytes());
                data.extend_from_slice(&ttl_s.to_be_bytes());
                FORGOTTEN
            }
            Extension::ShardId(id) => {
                data.extend_from_slice(id.as_bytes());
                SHARD_ID
            }
            Extension::RedisSecret | Extension::ValkeyClientAddress(_) | Extension::Unknown(_) => return false,
        };
        data.resize(data.len().next_multiple_of(8), 0);
        let length = u32::try_from(EXTENSION_HEAD_BYTES + data.len()).unwrap_or(u32::MAX);
        output.extend_from_slice(&length.to_be_bytes());
        output.extend_from_slice(&number.to_be_bytes());
        output.extend_from_slice(&[0; 2]);
        output.extend_from_slice(&data);
        true
    }
}

fn read_text(data: &[u8], is_allowed: fn(u8) -> bool) -> Option<String> {
    padded_text(data, is_allowed).filter(|text| text.len() < TEXT_MAX_BYTES)
}

fn read_forgotten(data: &[u8]) -> Option<Extension> {
    let id = NodeId::parse(data.get(..ID_BYTES)?)?;
    let ttl_s = data.get(ID_BYTES..ID_BYTES + 8)?.try_into().ok()?;
    Some(Extension::Forgotten { id, ttl_s: u64::from_be_bytes(ttl_s) })
}

/// The secret fills its 40 bytes; an IPv4 address has at most 15 bytes, followed by zeros.
fn read_fourth(data: &[u8]) -> Option<Extension> {
    if data.len() == ID_BYTES && !data.contains(&0) {
        return Some(Extension::RedisSecret);
    }
    let text = padded_text(data, |byte| byte.is_ascii_digit() || byte == b'.')?;
    text.parse().ok().map(Extension::ValkeyClientAddress)
}

/// Whether a hostname may contain this byte, as for `cluster-announce-hostname`.
pub fn is_hostname_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.'
}

/// Whether a name may contain this byte: nodes.conf has to be readable with any name in it.
pub fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b",=\"'\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(text: &[u8], length: usize) -> Vec<u8> {
        let mut data = text.to_vec();
        data.resize(length, 0);
        data
    }

    #[test]
    fn the_fourth_extension_is_told_apart_by_what_it_holds_and_never_sent() {
        let secret = Extension::read(4, &[b'f'; 40]);
        assert_eq!(secret, Extension::RedisSecret);
        let address = Extension::read(4, &padded(b"192.168.100.200", 16));
        assert_eq!(address, Extension::ValkeyClientAddress(Ipv4Addr::new(192, 168, 100, 200)));
        // A secret may have any bytes except zero.
        assert_eq!(Extension::read(4, &[0xff; 40]), Extension::RedisSecret);
        assert_eq!(
            Extension::read(4, &padded(b"1.2.3.4", 40)),
            Extension::ValkeyClientAddress(Ipv4Addr::new(1, 2, 3, 4))
        );
        assert_eq!(Extension::read(4, b""), Extension::Unknown(4));
        let mut output = Vec::new();
        assert!(!secret.write(&mut output) && !address.write(&mut output) && output.is_empty());
    }

    #[test]
    fn content_that_a_file_could_not_hold_is_no_name() {
        assert_eq!(Extension::read(0, b"a b\0\0\0\0\0"), Extension::Unknown(0));
        assert_eq!(Extension::read(1, b"a,b=c\0\0\0"), Extension::Unknown(1));
        assert_eq!(Extension::read(1, &[b'a'; 256]), Extension::Unknown(1));
        assert_eq!(Extension::read(0, b"a.b-c\0\0\0"), Extension::Hostname("a.b-c".into()));
        assert_eq!(Extension::read(2, &[b'a'; 47]), Extension::Unknown(2));
        assert_eq!(Extension::read(3, &[0; 40]), Extension::Unknown(3));
        assert_eq!(Extension::read(9, &[0; 40]), Extension::Unknown(9));
    }
}
