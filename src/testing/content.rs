//! A key as a test sees it, without leaving a trace in the server.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

use crate::keyspace::{Record, Value};
use crate::types::hash::HashRef;
use crate::types::list::{End, ListRef};
use crate::types::object::Object;
use crate::types::set::SetRef;
use crate::types::sorted_set::SortedSetRef;
use crate::types::stream::Stream;

/// Fields with their values.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub key: Vec<u8>,
    /// The time until it expires, if it does.
    pub ttl: Option<Duration>,
    /// Its value.
    pub content: Content,
}

/// A value of any type.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// A string; bitmaps and HyperLogLogs are strings too.
    String(Vec<u8>),
    /// The elements of a list, in order.
    List(Vec<Vec<u8>>),
    /// The members of a set.
    Set(BTreeSet<Vec<u8>>),
    /// The values of a hash by their fields.
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    /// The members of a sorted set with their scores, in order.
    SortedSet(Vec<(Vec<u8>, f64)>),
    /// The entries of a stream in order: each an ID, and fields with values.
    Stream(Vec<(String, Fields)>),
}

impl Content {
    /// The name of the type, as TYPE gives it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Content::String(_) => "string",
            Content::List(_) => "list",
            Content::Set(_) => "set",
            Content::Hash(_) => "hash",
            Content::SortedSet(_) => "zset",
            Content::Stream(_) => "stream",
        }
    }

    fn of(value: Value<'_>, now_ms: i64) -> Content {
        if let Some(set) = SetRef::of(value.stored()) {
            let mut members = BTreeSet::new();
            set.for_each(|member| {
                members.insert(member.with_bytes(<[u8]>::to_vec));
            });
            return Content::Set(members);
        }
        if let Some(hash) = HashRef::of(value.stored()) {
            return Content::Hash(fields(hash, now_ms));
        }
        if let Some(list) = ListRef::of(value.stored()) {
            let mut elements = Vec::new();
            list.walk(0, End::Front, |element| {
                elements.push(element.with_bytes(<[u8]>::to_vec));
                ControlFlow::Continue(())
            });
            return Content::List(elements);
        }
        if let Some(sorted_set) = SortedSetRef::of(value.stored()) {
            let members = sorted_set.iter().map(|(member, score)| (member.with_bytes(<[u8]>::to_vec), score));
            return Content::SortedSet(members.collect());
        }
        match value {
            Value::Object(Object::Stream(stream)) => Content::Stream(entries(stream)),
            value => Content::String(value.text().map_or_else(Vec::new, |text| text.with_bytes(<[u8]>::to_vec))),
        }
    }
}

/// The fields of a hash that have not expired.
fn fields(hash: HashRef<'_>, now_ms: i64) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut fields = BTreeMap::new();
    hash.for_each(|field| {
        if field.found.expiry_ms.is_none_or(|expiry_ms| expiry_ms > now_ms) {
            let name = field.name.with_bytes(<[u8]>::to_vec);
            fields.insert(name, field.found.value.with_bytes(<[u8]>::to_vec));
        }
    });
    fields
}

fn entries(stream: &Stream) -> Vec<(String, Fields)> {
    let entries = stream.entries.iter().map(|entry| {
        let id = format!("{}-{}", entry.id.ms, entry.id.seq);
        let pairs =
            entry.pairs.map(|(name, value)| (name.with_bytes(<[u8]>::to_vec), value.with_bytes(<[u8]>::to_vec)));
        (id, pairs.collect())
    });
    entries.collect()
}

impl Entry {
    /// The key that a record is of, at that time.
    pub(super) fn of(record: &Record, now_ms: i64) -> Entry {
        let left_ms = |expiry_ms: i64| Duration::from_millis(u64::try_from(expiry_ms - now_ms).unwrap_or(0));
        Entry {
            key: record.key().to_vec(),
            ttl: record.expiry_ms().map(left_ms),
            content: Content::of(record.value(), now_ms),
        }
    }
}
