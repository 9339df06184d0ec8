//! Keys, clients and requests as text, shortened. Looks at them without the traces that a command would leave.

use std::io::{self, Write};
use std::ops::ControlFlow;

use crate::engine::client_line;
use crate::engine::session::Session;
use crate::engine::state::ServerState;
use crate::keyspace::{Record, Value};
use crate::net::connection::Connection;
use crate::resp::Args;
use crate::text::double;
use crate::text::quoting::quote;
use crate::types::hash::HashRef;
use crate::types::list::{End, ListRef};
use crate::types::object::Object;
use crate::types::set::SetRef;
use crate::types::sorted_set::SortedSetRef;

/// Bytes shown of a text.
const TEXT_MAX_BYTES: usize = 100;
/// Elements shown of a collection, arguments of a request.
const ELEMENTS_MAX: usize = 10;

/// A text in quotes, shortened.
pub fn text(bytes: &[u8]) -> String {
    match bytes.len() {
        0..=TEXT_MAX_BYTES => quote(bytes),
        length => format!("{}… ({length} bytes)", quote(&bytes[..TEXT_MAX_BYTES])),
    }
}

/// A request, shortened.
pub fn request(args: Args<'_>) -> String {
    let word = |bytes: &[u8]| match !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic) {
        true if bytes.len() <= TEXT_MAX_BYTES => String::from_utf8_lossy(bytes).into_owned(),
        _ => text(bytes),
    };
    let mut words: Vec<String> = args.iter().take(ELEMENTS_MAX).map(word).collect();
    if args.len() > ELEMENTS_MAX {
        words.push(format!("… ({} arguments)", args.len()));
    }
    words.join(" ")
}

/// Type, encoding, time to live and value of a key.
pub fn key(state: &ServerState, database: usize, key: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let keyspace = &state.keyspace;
    if database >= keyspace.count() {
        return writeln!(out, "There is no database {database}.");
    }
    let Some(record) = keyspace.database(database).get(keyspace.hash(key), key) else {
        return writeln!(out, "There is no such key in database {database}.");
    };
    let left = match record.expiry_ms() {
        None => "no time to live".to_string(),
        Some(expiry_ms) if expiry_ms <= state.now_ms() => "its time is over".to_string(),
        Some(expiry_ms) => format!("{} ms to live", expiry_ms - state.now_ms()),
    };
    writeln!(out, "{}, {}, {left}", record.value().type_name(), record.value().encoding_name())?;
    let (count, elements) = elements(record);
    match count {
        None => writeln!(out, "{}", elements.concat()),
        Some(count) => {
            elements.iter().try_for_each(|element| writeln!(out, "  {element}"))?;
            writeln!(out, "{count} in all")
        }
    }
}

/// The first elements of a value, and how many there are in all; a string has none but itself.
fn elements(record: &Record) -> (Option<usize>, Vec<String>) {
    let mut shown = Vec::new();
    let mut add = |element: &dyn Fn() -> String| {
        if shown.len() < ELEMENTS_MAX {
            shown.push(element());
        }
    };
    let stored = record.value().stored();
    let count = if let Some(string) = record.value().text() {
        add(&|| string.with_bytes(text));
        None
    } else if let Some(list) = ListRef::of(stored) {
        list.walk(0, End::Front, |item| {
            add(&|| item.with_bytes(text));
            ControlFlow::Continue(())
        });
        Some(list.len())
    } else if let Some(set) = SetRef::of(stored) {
        set.for_each(|member| add(&|| member.with_bytes(text)));
        Some(set.len())
    } else if let Some(hash) = HashRef::of(stored) {
        hash.for_each(|field| {
            add(&|| format!("{} {}", field.name.with_bytes(text), field.found.value.with_bytes(text)));
        });
        Some(hash.len())
    } else if let Some(sorted_set) = SortedSetRef::of(stored) {
        for (member, score) in sorted_set.iter() {
            let score = double::shortest_text(score);
            add(&|| format!("{} {}", String::from_utf8_lossy(&score), member.with_bytes(text)));
        }
        Some(sorted_set.len())
    } else if let Value::Object(Object::Stream(stream)) = record.value() {
        for entry in stream.entries.iter().take(ELEMENTS_MAX) {
            let pairs =
                entry.pairs.map(|(name, value)| format!("{} {}", name.with_bytes(text), value.with_bytes(text)));
            let pairs: Vec<String> = pairs.collect();
            add(&|| format!("{}-{} {}", entry.id.ms, entry.id.seq, pairs.join(" ")));
        }
        Some(stream.len())
    } else {
        None
    };
    (count, shown)
}

/// What a client is, and what its buffers hold. Between turns there is its connection too.
pub fn client(
    state: &ServerState,
    session: &Session,
    connection: Option<&Connection>,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "{}", String::from_utf8_lossy(&client_line::line_of_other(state, session)))?;
    if let Some(blocked) = session.blocked {
        writeln!(out, "It waits: {blocked:?}.")?;
    }
    if let Some(waiting) = &session.waiting {
        let until =
            waiting.deadline_ms.map(|deadline_ms| format!(", {} ms more at most", deadline_ms - state.now_ms()));
        writeln!(out, "Its request waits{}: {}", until.unwrap_or_default(), request(waiting.request.as_args()))?;
    }
    if let Some(transaction) = &session.transaction {
        writeln!(out, "Queued since MULTI: {} requests", transaction.len())?;
        for (_, args) in transaction.iter().take(ELEMENTS_MAX) {
            writeln!(out, "  {}", request(args))?;
        }
    }
    let Some(connection) = connection else {
        return writeln!(out, "It is being served; its buffers are shown between turns.");
    };
    writeln!(out, "Replies that were not sent: {}", text(&session.reply.to_vec()))?;
    writeln!(out, "Input that was not run: {}", text(&connection.input))?;
    match connection.parser.is_mid_request() {
        true => writeln!(out, "Amid a request, of which {} bytes were taken.", connection.parser.pending_bytes()),
        false => Ok(()),
    }
}
