//! Cuts what comes over a link into frames.
//!
//! A frame that is announced as long costs no memory before its bytes are there. Only messages of publishers may be
//! long; anything else that claims to be is not a node's frame.

use super::{GOSSIP_BYTES, HEADER_BYTES, Kind, LIGHT, LIGHT_HEADER_BYTES, SIGNATURE};

/// Longest frame that is no message of a publisher: as many gossip entries as it can count, and as much in extensions.
pub const PLAIN_FRAME_MAX_BYTES: u64 = (HEADER_BYTES + 2 * GOSSIP_BYTES * (u16::MAX as usize)) as u64;
/// Up to and including the type.
const HEAD_BYTES: usize = 14;
/// Room that a link keeps between two frames.
const KEPT_BYTES: usize = 64 * 1024;

/// What comes is not the bus protocol: the link is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenStream {
    Signature,
    Length(u64),
}

/// The bytes of a link that are no whole frame yet.
#[derive(Debug)]
pub struct FrameReader {
    buffer: Vec<u8>,
    message_max_bytes: u64,
}

impl FrameReader {
    /// A reader that accepts messages of publishers up to this length.
    pub fn new(message_max_bytes: u64) -> FrameReader {
        FrameReader { buffer: Vec::new(), message_max_bytes }
    }

    /// Bytes that wait for the rest of their frame.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Takes bytes, and hands each frame that is whole to `on_frame`, until that says that the link is gone.
    ///
    /// Errors: the bytes are not those of the bus.
    pub fn receive(&mut self, bytes: &[u8], mut on_frame: impl FnMut(&[u8]) -> bool) -> Result<(), BrokenStream> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.buffer.is_empty()
                && let Some(length) = self.frame_length(rest)?
                && rest.len() >= length
            {
                let (frame, after) = rest.split_at(length);
                rest = after;
                if !on_frame(frame) {
                    return Ok(());
                }
                continue;
            }
            let wanted = self.frame_length(&self.buffer)?.unwrap_or(HEAD_BYTES);
            let (taken, after) = rest.split_at(rest.len().min(wanted - self.buffer.len()));
            self.buffer.extend_from_slice(taken);
            rest = after;
            if self.frame_length(&self.buffer)? == Some(self.buffer.len()) {
                let goes_on = on_frame(&self.buffer);
                self.buffer.clear();
                self.buffer.shrink_to(KEPT_BYTES);
                if !goes_on {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The length of the frame that begins here; none while its head is not whole.
    fn frame_length(&self, bytes: &[u8]) -> Result<Option<usize>, BrokenStream> {
        let compared = bytes.len().min(SIGNATURE.len());
        if bytes[..compared] != SIGNATURE[..compared] {
            return Err(BrokenStream::Signature);
        }
        let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let type_field = u16::from_be_bytes([head[12], head[13]]);
        let is_light = type_field & LIGHT != 0;
        let least = if is_light { LIGHT_HEADER_BYTES } else { HEADER_BYTES };
        let is_message =
            matches!(Kind::from_number(type_field & !LIGHT), Some(Kind::Publish | Kind::PublishShard | Kind::Module));
        let most = if is_message { self.message_max_bytes.max(PLAIN_FRAME_MAX_BYTES) } else { PLAIN_FRAME_MAX_BYTES };
        let length = u64::from(length);
        if length < least as u64 || length > most {
            return Err(BrokenStream::Length(length));
        }
        Ok(usize::try_from(length).ok())
    }
}
