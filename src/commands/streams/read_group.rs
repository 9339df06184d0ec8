//! What XREADGROUP gives a consumer of one stream: entries it may claim, entries no consumer has read, or what it has
//! pending.

use smallvec::SmallVec;

use crate::command::error::CommandError;
use crate::keyspace::Keyspace;
use crate::resp::Reply;
use crate::types::stream::{Entries, Entry, Group, Id, Stream};

use super::allowance::Allowance;
use super::passing::GroupPropagation;
use super::position::{From, begin_stream, has_entries_behind};
use super::{edit, notify, write_entry, write_entry_parts, write_id};

/// A client that claims and finds nothing pending looks again after this time at least: entries become pending in
/// ways that wake no client.
const LOOK_AGAIN_MS: i64 = 100;

/// A group, and one of its consumers.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub group: &'a [u8],
    pub consumer: &'a [u8],
    /// Whether what it reads counts as acknowledged.
    pub no_ack: bool,
    /// How long others' entries must have been idle for it to take them over, in ms, if it wants any.
    pub claim_idle_ms: Option<i64>,
}

/// What a consumer wants of one stream.
pub(super) struct Wish<'a> {
    pub reader: Reader<'a>,
    pub from: From,
    /// Most entries.
    pub most: usize,
    pub now_ms: i64,
}

/// What became of a wish.
#[derive(Default)]
pub(super) struct Service {
    pub is_served: bool,
    /// If it was not served: when it may be though nothing is added, in ms since the epoch.
    pub look_ms: Option<i64>,
}

/// Writes what a consumer gets of a stream, if it gets anything and one entry fits.
pub(super) fn serve_group(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    wish: &Wish<'_>,
    allowance: &mut Allowance,
    reply: &mut Reply,
) -> Result<Service, CommandError> {
    let mut passing = GroupPropagation::new(keyspace, key, wish.reader.group);
    let served = edit(keyspace, database, key, |stream| {
        let Stream { entries, groups, .. } = stream;
        groups.edit(wish.reader.group, |group| {
            let is_new = group.see_consumer(wish.reader.consumer, wish.now_ms);
            (is_new, wish.serve(entries, group, &mut passing, allowance, reply))
        })
    })?;
    let (is_new_consumer, service) = served.flatten().unwrap_or_default();
    if is_new_consumer {
        passing.consumer_created(keyspace, database, wish.reader.consumer);
    }
    passing.pass_on(keyspace, database);
    if is_new_consumer {
        keyspace.count_beside(database, key, 1);
        notify(keyspace, "xgroup-createconsumer", database, key);
    }
    keyspace.count_beside(database, key, service.is_served.into());
    Ok(service)
}

/// A pending entry that may be claimed.
struct Claimable {
    id: Id,
    idle_ms: i64,
    deliveries: u64,
    deliveries_then: u64,
}

impl Wish<'_> {
    fn serve(
        &self,
        entries: &Entries,
        group: &mut Group,
        passing: &mut GroupPropagation<'_>,
        allowance: &mut Allowance,
        reply: &mut Reply,
    ) -> Service {
        let before = reply.mark();
        begin_stream(reply, passing.key());
        let is_served = match self.from {
            From::After(id) | From::Resolved(id) => self.serve_history(entries, group, id, allowance, reply),
            From::New => {
                let claimable = match self.reader.claim_idle_ms {
                    Some(idle_ms) => self.claimable(entries, group, idle_ms),
                    None => SmallVec::new(),
                };
                let has_any = has_entries_behind(entries, group.last_id) || !claimable.is_empty();
                has_any && self.serve_new(entries, group, &claimable, passing, allowance, reply)
            }
        };
        if !is_served {
            reply.truncate(before);
        }
        let look_ms = match self.reader.claim_idle_ms {
            Some(idle_ms) if !is_served => Some(self.next_look_ms(entries, group, idle_ms)),
            _ => None,
        };
        Service { is_served, look_ms }
    }

    /// The entries that the consumer may claim, in the order in which they are to be had. Those that the stream has no
    /// more are passed over.
    fn claimable(&self, entries: &Entries, group: &mut Group, min_idle_ms: i64) -> SmallVec<[Claimable; 16]> {
        let pending = group.in_turn().map(|pending| Claimable {
            id: pending.id,
            // The idle time of one without an owner counts from the epoch.
            idle_ms: self.now_ms.saturating_sub(pending.delivered_ms()).max(0),
            deliveries: pending.deliveries,
            deliveries_then: pending.deliveries_after_next(),
        });
        pending
            .take_while(|pending| pending.idle_ms >= min_idle_ms)
            .filter(|pending| entries.contains(pending.id))
            .take(self.most)
            .collect()
    }

    /// When the first of the pending entries may be claimed.
    fn next_look_ms(&self, entries: &Entries, group: &mut Group, min_idle_ms: i64) -> i64 {
        let first = group
            .in_turn()
            .find(|pending| entries.contains(pending.id))
            .map(|pending| pending.delivered_ms().saturating_add(min_idle_ms));
        first.unwrap_or(self.now_ms.saturating_add(min_idle_ms.max(LOOK_AGAIN_MS)))
    }

    /// Writes entries that the consumer claims, and behind them such that the group has yet to read; all are pending
    /// from now on. A consumer that claims is shown how long each was idle and how often it was given
    /// out. Says whether one fitted.
    fn serve_new(
        &self,
        entries: &Entries,
        group: &mut Group,
        claimable: &[Claimable],
        passing: &mut GroupPropagation<'_>,
        allowance: &mut Allowance,
        reply: &mut Reply,
    ) -> bool {
        let place = reply.begin_deferred();
        let mut claims = 0;
        for claimed in claimable {
            let (idle_ms, deliveries) = (claimed.idle_ms, claimed.deliveries);
            let Some(entry) = entries.get(claimed.id) else { continue };
            if !allowance.write(reply, |reply| self.write(reply, entry, idle_ms, deliveries)) {
                break;
            }
            claims += 1;
            group.assign(claimed.id, self.reader.consumer, self.now_ms, claimed.deliveries_then);
            passing.claimed(group, group.pending_entry(claimed.id).cloned());
        }
        if claims > 0 {
            group.note_active(self.reader.consumer, self.now_ms);
        }
        let mut ids: SmallVec<[Id; 64]> = SmallVec::new();
        let start = group.last_id.next().unwrap_or(Id::MAX);
        // What is new comes when nothing is left to be claimed.
        let rest = if claims < claimable.len() { 0 } else { self.most - claims };
        for entry in entries.range(start, Id::MAX).take(rest) {
            let id = entry.id;
            if !allowance.write(reply, |reply| self.write(reply, entry, 0, 0)) {
                break;
            }
            entries.advance(group, id);
            ids.push(id);
            if !self.reader.no_ack {
                passing.delivered(id, self.reader.consumer, self.now_ms);
            }
        }
        reply.end_deferred_array(place, claims + ids.len());
        if !ids.is_empty() {
            passing.moved(group);
        }
        if !self.reader.no_ack {
            group.deliver(&ids, self.reader.consumer, self.now_ms);
        }
        claims + ids.len() > 0
    }

    fn write(&self, reply: &mut Reply, entry: Entry<'_>, idle_ms: i64, deliveries: u64) {
        if self.reader.claim_idle_ms.is_none() {
            write_entry(reply, entry);
            return;
        }
        reply.array(4);
        write_entry_parts(reply, entry);
        reply.integer(idle_ms);
        reply.integer(deliveries as i64);
    }

    /// Writes what the consumer has pending behind an ID; that counts as another delivery. Entries that are no longer
    /// there have no fields. Says whether that is all, or one at least fitted.
    fn serve_history(
        &self,
        entries: &Entries,
        group: &mut Group,
        after: Id,
        allowance: &mut Allowance,
        reply: &mut Reply,
    ) -> bool {
        let Some(consumer) = group.consumer(self.reader.consumer) else {
            return true;
        };
        let index = consumer.pending().upper_bound(|id| id.cmp(&after));
        let behind = consumer.pending().range(index..).take(self.most);
        let ids: SmallVec<[Id; 64]> = behind.copied().collect();
        let place = reply.begin_deferred();
        let mut written = 0;
        for id in &ids {
            let entry = entries.get(*id);
            let is_there = entry.is_some();
            let write = |reply: &mut Reply| match entry {
                Some(entry) => write_entry(reply, entry),
                None => {
                    reply.array(2);
                    write_id(reply, *id);
                    reply.null_array();
                }
            };
            if !allowance.write(reply, write) {
                break;
            }
            written += 1;
            if is_there {
                group.deliver_again(*id, self.now_ms);
            }
        }
        reply.end_deferred_array(place, written);
        written > 0 || ids.is_empty()
    }
}
