//! What goes over the wire when keys move to another server: requests, made key by key as the socket takes them, and
//! what the replies to them mean. No I/O.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::keyspace::change_log::unit::encode;
use crate::keyspace::{EventClass, Keyspace};
use crate::storage::rdb::RdbVersion;
use crate::storage::values::Serialization;

/// Requests are made while fewer bytes than this wait to be sent: but for a single large value, this is what a transfer
/// of any number of keys takes.
const OUTPUT_BYTES: usize = 64 * 1024;
/// Longest reply that is taken for one, in bytes: they are `+OK` and errors.
const LINE_MAX_BYTES: usize = 64 * 1024;
/// The reply of a server that does not know the version of a value's format.
const UNREADABLE: &[u8] = b"-ERR DUMP payload version or checksum are wrong";
/// How much of an error is told on, in bytes.
const ERROR_MAX_BYTES: usize = 1023;

/// What MIGRATE asks for.
pub struct Order {
    pub host: String,
    pub port: u16,
    /// The database of the keys.
    pub database: usize,
    /// Where they are to go.
    pub target_database: i64,
    /// How long the other side may take for the next step, in ms.
    pub timeout_ms: u64,
    /// The keys stay here as well.
    pub copies: bool,
    /// The keys take the place of those there.
    pub replaces: bool,
    /// The other side takes the keys though it does not own their slot yet.
    pub asks: bool,
    pub login: Option<Login>,
    pub keys: Vec<Rc<[u8]>>,
}

/// The user to authenticate as on the target.
pub struct Login {
    pub user: Option<Vec<u8>>,
    pub password: Vec<u8>,
}

/// One attempt to move the keys.
#[derive(Default)]
pub struct MigrateProtocol {
    /// The first key without a request.
    next_key: usize,
    /// Keys that the other side could not read, and that are sent again as it may read them.
    again: VecDeque<usize>,
    /// How values are written.
    version: RdbVersion,
    /// The keys whose requests have no reply yet, and how their values were written.
    unanswered: VecDeque<(usize, RdbVersion)>,
    awaits_login: bool,
    awaits_selection: bool,
    /// Why no request of this connection can have been carried out.
    refusal: Option<String>,
    /// The first error of the other side.
    pub error: Option<String>,
    /// Number of keys of which it is known what has become of them.
    pub answered: usize,
    /// A reply that has come in part.
    line: Vec<u8>,
    /// The keys whose removal is yet to be passed on.
    removed: Vec<usize>,
}

impl MigrateProtocol {
    /// An attempt over a connection that has this database selected. What it says first goes to `output`.
    pub fn begin(order: &Order, selected: i64, output: &mut Vec<u8>) -> MigrateProtocol {
        let mut transfer = MigrateProtocol::default();
        if order.asks {
            // The target passes on what it gets, and its replicas may be older than it is.
            transfer.version = RdbVersion::V10;
        }
        if let Some(login) = &order.login {
            let user = login.user.as_deref();
            let words = [Some(&b"AUTH"[..]), user, Some(&login.password)];
            let words: Vec<&[u8]> = words.into_iter().flatten().collect();
            write_request(output, &words);
            transfer.awaits_login = true;
        }
        if selected != order.target_database {
            let database = order.target_database.to_string();
            write_request(output, &[b"SELECT", database.as_bytes()]);
            transfer.awaits_selection = true;
        }
        transfer
    }

    /// Makes requests until enough bytes wait to be sent, or there are no more keys; `pending_bytes` wait already.
    /// O(bytes).
    pub fn make_requests(
        &mut self,
        order: &Order,
        pending_bytes: usize,
        output: &mut Vec<u8>,
        keyspace: &mut Keyspace,
        serialization: &mut Serialization,
        compresses: bool,
    ) {
        let name: &[u8] = if order.asks { b"RESTORE-ASKING" } else { b"RESTORE" };
        let enough = (output.len() + OUTPUT_BYTES).saturating_sub(pending_bytes);
        while output.len() < enough
            && let Some(number) = self.take_next(order)
        {
            let now_ms = keyspace.now_ms;
            let Some(record) = keyspace.peek(order.database, &order.keys[number]) else {
                // Its time was over meanwhile.
                continue;
            };
            let payload = serialization.payload_in(record, compresses, self.version);
            let ttl_ms = record.expiry_ms().map_or(0, |expiry_ms| (expiry_ms - now_ms).max(1));
            let mut digits = itoa::Buffer::new();
            let words: [&[u8]; 5] = [name, &order.keys[number], digits.format(ttl_ms).as_bytes(), &payload, b"REPLACE"];
            let count = 4 + usize::from(order.replaces);
            write_request(output, &words[..count]);
            self.unanswered.push_back((number, self.version));
        }
    }

    /// The next key that needs a request.
    fn take_next(&mut self, order: &Order) -> Option<usize> {
        if let Some(number) = self.again.pop_front() {
            return Some(number);
        }
        let number = self.next_key;
        self.next_key += usize::from(number < order.keys.len());
        (number < order.keys.len()).then_some(number)
    }

    /// Whether every request was made.
    pub fn is_all_made(&self, order: &Order) -> bool {
        self.next_key == order.keys.len() && self.again.is_empty()
    }

    /// Whether that is so and all replies are there.
    pub fn is_complete(&self, order: &Order) -> bool {
        let awaits = self.awaits_login || self.awaits_selection || !self.unanswered.is_empty();
        self.is_all_made(order) && !awaits
    }

    /// Whether nothing has come that was not asked for.
    pub fn is_clean(&self) -> bool {
        self.line.is_empty()
    }

    /// Takes what has come in. Keys that have arrived are removed here, unless they are to stay, and their removal is
    /// passed on. Tells whether it can be what was asked for.
    pub fn receive(&mut self, bytes: &[u8], order: &Order, keyspace: &mut Keyspace) -> bool {
        let is_sound = self.take_replies(bytes, order, keyspace);
        if !self.removed.is_empty() {
            let removed = self.removed.drain(..);
            let keys = removed.map(|number| &*order.keys[number]);
            let deletion: &[u8] = b"DEL";
            let (database, count) = (order.database, keys.len() + 1);
            let words = std::iter::once(deletion).chain(keys);
            keyspace.changes.propagation.add_with(database, count, words);
        }
        is_sound
    }

    fn take_replies(&mut self, mut bytes: &[u8], order: &Order, keyspace: &mut Keyspace) -> bool {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let mut line = std::mem::take(&mut self.line);
            if !self.take_reply(line.trim_ascii_end(), order, keyspace) {
                return false;
            }
            line.clear();
            self.line = line;
        }
        self.line.extend_from_slice(bytes);
        self.line.len() <= LINE_MAX_BYTES
    }

    fn take_reply(&mut self, reply: &[u8], order: &Order, keyspace: &mut Keyspace) -> bool {
        let error = reply.strip_prefix(b"-").map(|text| {
            let shown = &text[..text.len().min(ERROR_MAX_BYTES)];
            String::from_utf8_lossy(shown).into_owned()
        });
        if std::mem::take(&mut self.awaits_login) || std::mem::take(&mut self.awaits_selection) {
            self.refusal = self.refusal.take().or(error);
            return true;
        }
        let Some((number, version)) = self.unanswered.pop_front() else {
            return false;
        };
        self.answered += 1;
        if reply == UNREADABLE && version > RdbVersion::V10 {
            // Redis 7.0 reads an older version than 7.2 writes.
            self.version = RdbVersion::V10;
            self.again.push_back(number);
            return true;
        }
        if let Some(error) = self.refusal.clone().or(error) {
            self.error.get_or_insert(error);
        } else if !order.copies && remove(keyspace, order.database, &order.keys[number]) {
            self.removed.push(number);
        }
        true
    }
}

fn remove(keyspace: &mut Keyspace, database: usize, key: &[u8]) -> bool {
    let is_gone = keyspace.remove(database, key);
    if is_gone {
        keyspace.changes.notify(EventClass::Generic, "del", database, key);
    }
    is_gone
}

fn write_request(output: &mut Vec<u8>, words: &[&[u8]]) {
    encode(output, words.len(), words.iter().copied());
}
