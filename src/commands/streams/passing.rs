//! What reading and claiming in a group is passed on as: one XCLAIM for each entry, with all that it sets, and XGROUP
//! SETID.

use crate::keyspace::Keyspace;
use crate::types::stream::{Group, Id, Pending};

/// Entries that a consumer got, or that are pending no more.
pub(super) struct GroupPropagation<'a> {
    key: &'a [u8],
    group: &'a [u8],
    is_on: bool,
    claims: Vec<Claimed>,
    /// Where the group has come to and how many entries it has read, if that is to be passed on.
    position: Option<(Id, Option<i64>)>,
}

/// One entry as it is pending.
struct Claimed {
    id: Id,
    consumer: Vec<u8>,
    delivered_ms: i64,
    deliveries: u64,
    /// Where the group had come to by then.
    last_id: Id,
}

impl<'a> GroupPropagation<'a> {
    /// Nothing so far.
    pub fn new(keyspace: &Keyspace, key: &'a [u8], group: &'a [u8]) -> GroupPropagation<'a> {
        GroupPropagation { key, group, is_on: keyspace.changes.propagation.is_on(), claims: Vec::new(), position: None }
    }

    /// The stream's key.
    pub fn key(&self) -> &'a [u8] {
        self.key
    }

    /// A consumer was given an entry without an owner.
    pub fn delivered(&mut self, id: Id, consumer: &[u8], now_ms: i64) {
        if self.is_on {
            self.claims.push(Claimed {
                id,
                consumer: consumer.to_vec(),
                delivered_ms: now_ms,
                deliveries: 1,
                last_id: id,
            });
        }
    }

    /// An entry is pending like this, or was until now.
    pub fn claimed(&mut self, group: &Group, pending: Option<Pending>) {
        if let Some(pending) = pending.filter(|_| self.is_on) {
            self.claims.push(Claimed {
                id: pending.id,
                consumer: pending.consumer().to_vec(),
                delivered_ms: pending.delivered_ms(),
                deliveries: pending.deliveries,
                last_id: group.last_id,
            });
        }
    }

    /// The group has come this far.
    pub fn moved(&mut self, group: &Group) {
        self.position = Some((group.last_id, group.entries_read));
    }

    /// A consumer is new. Claims that are passed on create it elsewhere; without any, a command of its own has to.
    pub fn consumer_created(&self, keyspace: &mut Keyspace, database: usize, consumer: &[u8]) {
        if self.claims.iter().any(|claim| claim.consumer == consumer) {
            return;
        }
        let command: [&[u8]; 5] = [b"XGROUP", b"CREATECONSUMER", self.key, self.group, consumer];
        keyspace.changes.propagation.add(database, &command);
    }

    /// Passes everything on, in the place of the command.
    pub fn pass_on(self, keyspace: &mut Keyspace, database: usize) {
        if !self.is_on {
            return;
        }
        let propagation = &mut keyspace.changes.propagation;
        let (mut time, mut count) = (itoa::Buffer::new(), itoa::Buffer::new());
        for claim in &self.claims {
            propagation.add(
                database,
                &[
                    b"XCLAIM",
                    self.key,
                    self.group,
                    &claim.consumer,
                    b"0",
                    &claim.id.text(),
                    b"TIME",
                    time.format(claim.delivered_ms).as_bytes(),
                    b"RETRYCOUNT",
                    count.format(claim.deliveries).as_bytes(),
                    b"FORCE",
                    b"JUSTID",
                    b"LASTID",
                    &claim.last_id.text(),
                ],
            );
        }
        if let Some((last_id, entries_read)) = self.position {
            propagation.add(
                database,
                &[
                    b"XGROUP",
                    b"SETID",
                    self.key,
                    self.group,
                    &last_id.text(),
                    b"ENTRIESREAD",
                    count.format(entries_read.unwrap_or(-1)).as_bytes(),
                ],
            );
        }
    }
}
