//! Reading of frames. Every length is checked against the available bytes before anything is read.

use std::fmt;

use super::extension::EXTENSION_HEAD_BYTES;
use super::{
    ADDRESS_BYTES, Body, Extension, Flags, GOSSIP_BYTES, Gossip, GossipEntry, HEADER_BYTES, Header, Kind, LIGHT,
    LIGHT_HEADER_BYTES, MARK_EXTENSIONS, MARK_FORCED, MARK_PAUSED, Packet, SIGNATURE, VERSION, is_address_byte,
    padded_text,
};
use crate::cluster::node_id::{ID_BYTES, NodeId};
use crate::cluster::slot::{SLOT_SET_BYTES, SlotSet};

/// The reason why a frame is ignored. The link stays open: the next frame may be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// The frame is truncated, or its length does not match its content.
    Length,
    /// Another version of the protocol.
    Version,
    /// An unknown kind, or a kind without a light form.
    Kind(u16),
    /// An extension's length is not a multiple of eight.
    Padding,
    /// An id is invalid.
    Id,
    /// An address has invalid characters.
    Address,
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invalid::Length => formatter.write_str("wrong length"),
            Invalid::Version => formatter.write_str("unknown version of the protocol"),
            Invalid::Kind(number) => write!(formatter, "unknown type {number}"),
            Invalid::Padding => formatter.write_str("an extension without proper padding"),
            Invalid::Id => formatter.write_str("not a node id"),
            Invalid::Address => formatter.write_str("not an address"),
        }
    }
}

/// Reads a whole frame.
///
/// Errors: the reason why the frame is ignored.
pub fn decode(frame: &[u8]) -> Result<Packet, Invalid> {
    let mut reader = Reader { rest: frame };
    if reader.take(4)? != SIGNATURE || u64::from(reader.u32()?) != frame.len() as u64 {
        return Err(Invalid::Length);
    }
    if reader.u16()? != VERSION {
        return Err(Invalid::Version);
    }
    let (_, number) = (reader.u16()?, reader.u16()?);
    if number & LIGHT != 0 {
        return decode_light(frame, number & !LIGHT);
    }
    let kind = Kind::from_number(number).ok_or(Invalid::Kind(number))?;
    let (header, count, extensions) = read_header(frame)?;
    let mut body = Reader { rest: frame.get(HEADER_BYTES..).ok_or(Invalid::Length)? };
    let extensions = if header.has_extensions { extensions } else { 0 };
    let body = read_body(&mut body, kind, count, extensions)?;
    Ok(Packet::Full(Box::new(header), body))
}

/// Reads a frame with Valkey's light header: only published messages have it.
fn decode_light(frame: &[u8], number: u16) -> Result<Packet, Invalid> {
    let kind = Kind::from_number(number).filter(|kind| matches!(kind, Kind::Publish | Kind::PublishShard));
    let kind = kind.ok_or(Invalid::Kind(number))?;
    let mut body = Reader { rest: frame.get(LIGHT_HEADER_BYTES..).ok_or(Invalid::Length)? };
    read_body(&mut body, kind, 0, 0).map(Packet::Light)
}

/// Returns the header, the number of gossip entries and the number of extensions.
fn read_header(frame: &[u8]) -> Result<(Header, u16, u16), Invalid> {
    let mut reader = Reader { rest: frame.get(10..HEADER_BYTES).ok_or(Invalid::Length)? };
    let (base_port, _, count) = (reader.u16()?, reader.u16()?, reader.u16()?);
    let (current_epoch, config_epoch, offset) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let sender = reader.id()?;
    let slots = reader.slots()?;
    let primary = reader.take(ID_BYTES)?;
    let primary = match primary.iter().all(|byte| *byte == 0) {
        true => None,
        false => Some(NodeId::parse(primary).ok_or(Invalid::Id)?),
    };
    let address = Some(reader.address()?).filter(|address| !address.is_empty());
    let extensions = reader.u16()?;
    reader.take(30)?;
    let (other_port, bus_port, flags) = (reader.u16()?, reader.u16()?, Flags(reader.u16()?));
    let (state, marks) = (reader.take(1)?[0], reader.take(3)?[0]);
    let header = Header {
        sender,
        current_epoch,
        config_epoch,
        offset,
        slots,
        primary,
        address,
        base_port,
        other_port,
        bus_port,
        flags,
        is_down: state != 0,
        is_paused: marks & MARK_PAUSED != 0,
        is_forced: marks & MARK_FORCED != 0,
        has_extensions: marks & MARK_EXTENSIONS != 0,
    };
    Ok((header, count, extensions))
}

fn read_body(reader: &mut Reader<'_>, kind: Kind, count: u16, extensions: u16) -> Result<Body, Invalid> {
    let body = match kind {
        Kind::Ping => Body::Ping(read_gossip(reader, count, extensions)?),
        Kind::Pong => Body::Pong(read_gossip(reader, count, extensions)?),
        Kind::Meet => Body::Meet(read_gossip(reader, count, extensions)?),
        Kind::Fail => Body::Fail(reader.id()?),
        Kind::Publish | Kind::PublishShard => {
            let (channel_length, message_length) = (reader.u32()?, reader.u32()?);
            let channel = reader.take(channel_length as usize)?.to_vec();
            let message = reader.take(message_length as usize)?.to_vec();
            if kind == Kind::Publish {
                Body::Publish { channel, message }
            } else {
                Body::PublishShard { channel, message }
            }
        }
        Kind::VoteRequest => Body::VoteRequest,
        Kind::Vote => Body::Vote,
        Kind::Update => {
            let config_epoch = reader.u64()?;
            Body::Update { config_epoch, id: reader.id()?, slots: reader.slots()? }
        }
        Kind::ManualFailoverStart => Body::ManualFailoverStart,
        Kind::Module => {
            reader.take(8)?;
            let length = reader.u32()?;
            reader.take(1)?;
            reader.take(length as usize)?;
            Body::Module
        }
    };
    // A frame that is longer than its content is not valid in this version.
    if reader.rest.is_empty() { Ok(body) } else { Err(Invalid::Length) }
}

fn read_gossip(reader: &mut Reader<'_>, count: u16, extensions: u16) -> Result<Gossip, Invalid> {
    // The length is checked before anything is stored: memory is allocated only for entries that are present.
    let entries = reader.take(usize::from(count) * GOSSIP_BYTES)?;
    let entries = entries.chunks_exact(GOSSIP_BYTES).map(|entry| read_entry(Reader { rest: entry }));
    let entries = entries.collect::<Result<_, Invalid>>()?;
    let mut read = Vec::new();
    for _ in 0..extensions {
        let length = reader.u32()? as usize;
        let (number, _) = (reader.u16()?, reader.u16()?);
        if !length.is_multiple_of(8) {
            return Err(Invalid::Padding);
        }
        let data = reader.take(length.checked_sub(EXTENSION_HEAD_BYTES).ok_or(Invalid::Length)?)?;
        read.push(Extension::read(number, data));
    }
    Ok(Gossip { entries, extensions: read })
}

fn read_entry(mut reader: Reader<'_>) -> Result<GossipEntry, Invalid> {
    let (id, ping_sent_s, pong_received_s) = (reader.id()?, reader.u32()?, reader.u32()?);
    let address = reader.address()?;
    let (base_port, bus_port, flags, other_port) = (reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?);
    Ok(GossipEntry { id, ping_sent_s, pong_received_s, address, base_port, other_port, bus_port, flags: Flags(flags) })
}

/// Takes fields off the front of a frame.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Invalid> {
        let (field, rest) = self.rest.split_at_checked(length).ok_or(Invalid::Length)?;
        self.rest = rest;
        Ok(field)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<&'a [u8; LENGTH], Invalid> {
        self.take(LENGTH)?.try_into().map_err(|_| Invalid::Length)
    }

    fn u16(&mut self) -> Result<u16, Invalid> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    fn u32(&mut self) -> Result<u32, Invalid> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    fn u64(&mut self) -> Result<u64, Invalid> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    fn id(&mut self) -> Result<NodeId, Invalid> {
        NodeId::parse(self.take(ID_BYTES)?).ok_or(Invalid::Id)
    }

    fn slots(&mut self) -> Result<SlotSet, Invalid> {
        self.array::<SLOT_SET_BYTES>().map(SlotSet::from_bytes)
    }

    fn address(&mut self) -> Result<String, Invalid> {
        padded_text(self.take(ADDRESS_BYTES)?, is_address_byte).ok_or(Invalid::Address)
    }
}
