//! Writing of frames.

use super::{
    ADDRESS_BYTES, Body, Gossip, GossipEntry, HEADER_BYTES, Header, MARK_EXTENSIONS, MARK_FORCED, MARK_PAUSED,
    SIGNATURE, VERSION,
};
use crate::cluster::node_id::ID_BYTES;

/// A frame with a full header.
pub fn encode(header: &Header, body: &Body) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_BYTES + 1024);
    write_header(&mut frame, header, body);
    let extensions = write_body(&mut frame, body);
    frame[2214..2216].copy_from_slice(&extensions.to_be_bytes());
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    frame[4..8].copy_from_slice(&length.to_be_bytes());
    frame
}

/// Writes the header, except the fields known only after the body: length and number of extensions.
fn write_header(frame: &mut Vec<u8>, header: &Header, body: &Body) {
    frame.extend_from_slice(SIGNATURE);
    frame.extend_from_slice(&[0; 4]);
    for number in [VERSION, header.base_port, body.kind() as u16, gossip_count(body)] {
        frame.extend_from_slice(&number.to_be_bytes());
    }
    for number in [header.current_epoch, header.config_epoch, header.offset] {
        frame.extend_from_slice(&number.to_be_bytes());
    }
    frame.extend_from_slice(header.sender.as_bytes());
    frame.extend_from_slice(header.slots.as_bytes());
    frame.extend_from_slice(header.primary.as_ref().map_or(&[0; ID_BYTES], |id| id.as_bytes()));
    write_address(frame, header.address.as_deref().unwrap_or_default());
    frame.extend_from_slice(&[0; 2 + 30]);
    for number in [header.other_port, header.bus_port, header.flags.0] {
        frame.extend_from_slice(&number.to_be_bytes());
    }
    let mark = |applies, mark| if applies { mark } else { 0 };
    let marks = mark(header.is_paused, MARK_PAUSED)
        | mark(header.is_forced, MARK_FORCED)
        | mark(header.has_extensions, MARK_EXTENSIONS);
    frame.extend_from_slice(&[u8::from(header.is_down), marks, 0, 0]);
}

fn gossip_count(body: &Body) -> u16 {
    match body {
        Body::Ping(gossip) | Body::Pong(gossip) | Body::Meet(gossip) => {
            u16::try_from(gossip.entries.len()).unwrap_or(u16::MAX)
        }
        _ => 0,
    }
}

/// Writes an address, truncated if it is too long for its field.
fn write_address(frame: &mut Vec<u8>, address: &str) {
    let end = frame.len() + ADDRESS_BYTES;
    frame.extend(address.bytes().take(ADDRESS_BYTES - 1));
    frame.resize(end, 0);
}

/// Writes the body. Returns the number of extensions.
fn write_body(frame: &mut Vec<u8>, body: &Body) -> u16 {
    match body {
        Body::Ping(gossip) | Body::Pong(gossip) | Body::Meet(gossip) => return write_gossip(frame, gossip),
        Body::Fail(id) => frame.extend_from_slice(id.as_bytes()),
        Body::Publish { channel, message } | Body::PublishShard { channel, message } => {
            for text in [channel, message] {
                frame.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            }
            frame.extend_from_slice(channel);
            frame.extend_from_slice(message);
        }
        Body::Update { id, config_epoch, slots } => {
            frame.extend_from_slice(&config_epoch.to_be_bytes());
            frame.extend_from_slice(id.as_bytes());
            frame.extend_from_slice(slots.as_bytes());
        }
        // An empty message without a module.
        Body::Module => frame.extend_from_slice(&[0; 13]),
        Body::VoteRequest | Body::Vote | Body::ManualFailoverStart => {}
    }
    0
}

fn write_gossip(frame: &mut Vec<u8>, gossip: &Gossip) -> u16 {
    for entry in gossip.entries.iter().take(usize::from(u16::MAX)) {
        write_entry(frame, entry);
    }
    let written = gossip.extensions.iter().filter(|extension| extension.write(frame)).count();
    u16::try_from(written).unwrap_or(u16::MAX)
}

fn write_entry(frame: &mut Vec<u8>, entry: &GossipEntry) {
    frame.extend_from_slice(entry.id.as_bytes());
    frame.extend_from_slice(&entry.ping_sent_s.to_be_bytes());
    frame.extend_from_slice(&entry.pong_received_s.to_be_bytes());
    write_address(frame, &entry.address);
    for number in [entry.base_port, entry.bus_port, entry.flags.0, entry.other_port, 0] {
        frame.extend_from_slice(&number.to_be_bytes());
    }
}
