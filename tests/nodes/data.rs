//! All data of a server as one text, the same for the same data however they are encoded: more than DEBUG DIGEST tells,
//! since expiry times, consumer groups and functions count as well.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use oneloop::engine::state::ServerState;
use oneloop::keyspace::{Record, Value};
use oneloop::types::hash::HashRef;
use oneloop::types::list::{End, ListRef};
use oneloop::types::object::Object;
use oneloop::types::set::SetRef;
use oneloop::types::sorted_set::SortedSetRef;
use oneloop::types::stream::Stream;

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn stream_text(stream: &Stream, text: &mut String) {
    let history = stream.entries.history();
    let _ = write!(text, "stream {:?} {:?} {}", history.last_id, history.max_deleted_id, history.added);
    for entry in stream.entries.iter() {
        let _ = write!(text, " {:?}", entry.id);
        for (name, value) in entry.pairs {
            name.with_bytes(|name| text.push_str(&words(name)));
            text.push('=');
            value.with_bytes(|value| text.push_str(&words(value)));
        }
    }
    for group in stream.groups.iter() {
        let _ = write!(text, " group {} {:?} {:?}", words(group.name()), group.last_id, group.entries_read);
        for consumer in group.consumers() {
            let _ = write!(text, " of {}", words(consumer.name()));
        }
        for pending in group.pending().iter() {
            let consumer = words(pending.consumer());
            let _ = write!(text, " {:?}/{consumer}/{}/{}", pending.id, pending.deliveries, pending.delivered_ms());
        }
    }
}

fn value_text(record: &Record, text: &mut String) {
    let mut members = Vec::new();
    let stored = record.value().stored();
    if let Some(value) = record.value().text() {
        value.with_bytes(|value| text.push_str(&words(value)));
    } else if let Some(set) = SetRef::of(stored) {
        set.for_each(|member| member.with_bytes(|member| members.push(words(member))));
        text.push_str("set ");
    } else if let Some(hash) = HashRef::of(stored) {
        hash.for_each(|field| {
            let mut pair = String::new();
            field.name.with_bytes(|name| pair.push_str(&words(name)));
            pair.push('=');
            field.found.value.with_bytes(|value| pair.push_str(&words(value)));
            let _ = write!(pair, " {:?}", field.found.expiry_ms);
            members.push(pair);
        });
        text.push_str("hash ");
    } else if let Some(list) = ListRef::of(stored) {
        text.push_str("list");
        list.walk(0, End::Front, |item| {
            item.with_bytes(|item| {
                text.push(' ');
                text.push_str(&words(item));
            });
            ControlFlow::Continue(())
        });
    } else if let Some(sorted_set) = SortedSetRef::of(stored) {
        text.push_str("sorted set");
        for (member, score) in sorted_set.iter() {
            member.with_bytes(|member| {
                let _ = write!(text, " {}={score}", words(member));
            });
        }
    } else if let Value::Object(Object::Stream(stream)) = record.value() {
        stream_text(stream, text);
    }
    members.sort_unstable();
    text.push_str(&members.join(" "));
}

/// One line for each key, and for each library of functions, in order.
pub fn all(state: &ServerState) -> Vec<String> {
    let mut lines = Vec::new();
    for (number, database) in state.keyspace.databases().enumerate() {
        for record in database.records().iter() {
            let mut text = format!("{number} {} {:?} ", words(record.key()), record.expiry_ms());
            value_text(record, &mut text);
            lines.push(text);
        }
    }
    for (name, library) in state.scripting.functions.iter() {
        lines.push(format!("library {} {}", words(name), words(&library.code)));
    }
    lines.sort_unstable();
    lines
}

/// What differs between two lists of lines.
pub fn difference(one: &[String], other: &[String]) -> String {
    let shown = |line: &String| line.chars().take(400).collect::<String>();
    let only = |of: &[String], without: &[String], sign: char| -> Vec<String> {
        let lines = of.iter().filter(|line| !without.contains(line));
        lines.take(12).map(|line| format!("    {sign} {}", shown(line))).collect()
    };
    [only(one, other, '-'), only(other, one, '+')].concat().join("\n")
}
