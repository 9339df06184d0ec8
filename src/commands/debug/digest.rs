//! DEBUG DIGEST: one number for all data, the same as Redis works out for the same data.
//!
//! Keys are unordered, so their digests are joined by exclusive or ("xored in"); what has an order, such
//! as a key and its value, is mixed: xored in, and the sum digested again.

use std::ops::ControlFlow;

use sha1::{Digest as _, Sha1};

use crate::command::error::CommandResult;
use crate::engine::context::Context;
use crate::keyspace::{Record, Value};
use crate::resp::Args;
use crate::text::double;
use crate::types::hash::HashRef;
use crate::types::list::{End, ListRef};
use crate::types::object::Object;
use crate::types::set::SetRef;
use crate::types::sorted_set::SortedSetRef;
use crate::types::stream::Stream;

/// What is mixed in for each type of value.
const STRING_TYPE: u32 = 0;
const LIST_TYPE: u32 = 1;
const SET_TYPE: u32 = 2;
const SORTED_SET_TYPE: u32 = 3;
const HASH_TYPE: u32 = 4;
const STREAM_TYPE: u32 = 6;

/// A SHA-1 digest, or several put together.
#[derive(Clone, Copy, Default)]
struct Digest([u8; 20]);

impl Digest {
    /// Adds data in no particular order.
    fn xor(&mut self, data: &[u8]) {
        let other = Sha1::digest(data);
        self.0.iter_mut().zip(other).for_each(|(byte, with)| *byte ^= with);
    }

    /// Adds data that comes after what was added before.
    fn mix(&mut self, data: &[u8]) {
        self.xor(data);
        self.0 = Sha1::digest(self.0).into();
    }

    fn mix_value(&mut self, record: &Record) {
        if let Some(text) = record.value().text() {
            self.mix(&STRING_TYPE.to_be_bytes());
            text.with_bytes(|bytes| self.mix(bytes));
        } else if let Some(set) = SetRef::of(record.value().stored()) {
            self.mix(&SET_TYPE.to_be_bytes());
            set.for_each(|member| member.with_bytes(|bytes| self.xor(bytes)));
        } else if let Some(hash) = HashRef::of(record.value().stored()) {
            self.mix(&HASH_TYPE.to_be_bytes());
            self.mix_hash(hash);
        } else if let Some(list) = ListRef::of(record.value().stored()) {
            self.mix(&LIST_TYPE.to_be_bytes());
            list.walk(0, End::Front, |item| {
                item.with_bytes(|bytes| self.mix(bytes));
                ControlFlow::Continue(())
            });
        } else if let Some(sorted_set) = SortedSetRef::of(record.value().stored()) {
            self.mix(&SORTED_SET_TYPE.to_be_bytes());
            self.xor_sorted_set(sorted_set);
        } else if let Value::Object(Object::Stream(stream)) = record.value() {
            self.mix(&STREAM_TYPE.to_be_bytes());
            self.mix_stream(stream);
        }
        if record.expiry_ms().is_some() {
            self.xor(b"!!expire!!");
        }
    }

    fn xor_sorted_set(&mut self, sorted_set: SortedSetRef<'_>) {
        for (member, score) in sorted_set.iter() {
            let mut element = Digest::default();
            member.with_bytes(|member| element.mix(member));
            element.mix(&double::shortest_text(score));
            self.xor(&element.0);
        }
    }

    fn mix_hash(&mut self, hash: HashRef<'_>) {
        hash.for_each(|field| {
            let mut digest = Digest::default();
            field.name.with_bytes(|name| digest.mix(name));
            field.found.value.with_bytes(|value| digest.mix(value));
            if field.found.expiry_ms.is_some() {
                digest.xor(b"!!hexpire!!");
            }
            self.xor(&digest.0);
        });
    }

    fn mix_stream(&mut self, stream: &Stream) {
        for entry in stream.entries.iter() {
            self.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
            for (name, value) in entry.pairs {
                name.with_bytes(|bytes| self.mix(bytes));
                value.with_bytes(|bytes| self.mix(bytes));
            }
        }
    }

    fn hexadecimal(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

pub(super) fn of_everything(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let mut total = Digest::default();
    for (number, database) in context.state.keyspace.databases().enumerate() {
        if database.is_empty() {
            continue;
        }
        total.mix(&(number as u32).to_be_bytes());
        for record in database.records().iter() {
            let mut digest = Digest::default();
            digest.mix(record.key());
            digest.mix_value(record);
            total.xor(&digest.0);
        }
    }
    context.reply.simple(total.hexadecimal());
    Ok(())
}

pub(super) fn of_values(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    reply.array(args.len() - 2);
    for key in args.iter().skip(2) {
        let mut digest = Digest::default();
        // Of what has expired as well, as long as it is there.
        let record = keyspace.database(database).get(keyspace.hash(key), key);
        if let Some(record) = record {
            digest.mix_value(record);
        }
        reply.simple(digest.hexadecimal());
    }
    Ok(())
}
