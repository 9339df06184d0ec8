//! From where on streams are read, for XREAD and XREADGROUP.

use crate::resp::{Protocol, Reply};
use crate::types::stream::{Entries, Id};

/// From where on a stream is to be read.
#[derive(Clone, Copy)]
pub(super) enum From {
    /// Behind this ID. For a group: of what the consumer has pending.
    After(Id),
    /// Behind this ID, which `$` or `+` stand for at this moment.
    Resolved(Id),
    /// What the group has yet to read.
    New,
}

/// Begins the part of the reply that is of one stream.
pub(super) fn begin_stream(reply: &mut Reply, key: &[u8]) {
    if reply.protocol() == Protocol::Resp2 {
        reply.array(2);
    }
    reply.bulk(key);
}

/// Whether a stream has entries behind an ID.
pub(super) fn has_entries_behind(entries: &Entries, id: Id) -> bool {
    entries.last_id > id && entries.last_live_id().is_some_and(|last| last > id)
}
