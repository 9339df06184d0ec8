//! Splits the bytes received on a link into frames.
//!
//! An announced length allocates no memory before the bytes arrive. Only published messages may be long; a longer frame
//! of another kind is invalid.

use super::{GOSSIP_BYTES, HEADER_BYTES, Kind, LIGHT, LIGHT_HEADER_BYTES, SIGNATURE};

/// Maximum length of a frame that is not a published message: the maximum number of gossip entries, and the same length
/// in extensions.
pub const PLAIN_FRAME_MAX_BYTES: u64 = (HEADER_BYTES + 2 * GOSSIP_BYTES * (u16::MAX as usize)) as u64;
/// Length of the header up to and including the type.
const HEAD_BYTES: usize = 14;
/// Buffer capacity that a link keeps between two frames.
const KEPT_BYTES: usize = 64 * 1024;

/// The bytes do not follow the bus protocol: the link has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenStream {
    Signature,
    Length(u64),
}

/// Collects the bytes of a link until a frame is complete.
#[derive(Debug)]
pub struct FrameReader {
    buffer: Vec<u8>,
    message_max_bytes: u64,
}

impl FrameReader {
    /// A reader that accepts published messages up to this length.
    pub fn new(message_max_bytes: u64) -> FrameReader {
        FrameReader { buffer: Vec::new(), message_max_bytes }
    }

    /// Number of bytes of the incomplete frame.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Processes received bytes: passes each complete frame to `on_frame`, until `on_frame` returns that the link is
    /// closed.
    ///
    /// Errors: the bytes do not follow the bus protocol.
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

    /// The length of the frame at the start of these bytes; none while its head is incomplete.
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
