//! Reading what comes after an entry, waiting for it if there is nothing: XREAD and XREADGROUP.

use smallvec::SmallVec;

use crate::blocking::{BlockKind, timeout};
use crate::command::spec::{
    Argument, ArgumentKind, Begin, Category, CommandSpec, Find, Flag, Group, KeyFlag, KeySpec,
};
use crate::command::{Args, CommandError, CommandResult, Context};
use crate::keyspace::Keyspace;
use crate::resp::{Protocol, Reply};
use crate::types::stream::{Entries, Group as ConsumerGroup, Id, Stream};

use super::passing::Passing;
use super::{
    edit, notify, parse_count, parse_id, quoted, read as read_stream, write_entries, write_entry,
    write_id,
};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "xread",
        arity: -4,
        flags: &[Flag::ReadOnly, Flag::Blocking],
        categories: &[Category::Stream],
        keys: &[KeySpec {
            flags: &[KeyFlag::Ro, KeyFlag::Access],
            begin: Begin::Keyword {
                word: "STREAMS",
                from: 1,
            },
            find: Find::Range {
                last: -1,
                step: 1,
                limit: 2,
            },
            notes: None,
        }],
        group: Group::Stream,
        since: "5.0.0",
        summary: "Gives the entries of streams behind given ones; waits for such if it is told to.",
        arguments: &[
            Argument::new("count", ArgumentKind::Integer)
                .after("COUNT")
                .optional(),
            Argument::new("milliseconds", ArgumentKind::Integer)
                .after("BLOCK")
                .optional(),
            Argument::block(
                "streams",
                &[
                    Argument::key("key", 0).multiple(),
                    Argument::new("id", ArgumentKind::String).multiple(),
                ],
            )
            .after("STREAMS"),
        ],
        handler: read,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "xreadgroup",
        arity: -7,
        flags: &[Flag::Write, Flag::Blocking],
        categories: &[Category::Stream],
        keys: &[KeySpec {
            flags: &[KeyFlag::Ro, KeyFlag::Access],
            begin: Begin::Keyword {
                word: "STREAMS",
                from: 4,
            },
            find: Find::Range {
                last: -1,
                step: 1,
                limit: 2,
            },
            notes: None,
        }],
        group: Group::Stream,
        since: "5.0.0",
        complexity: "O(M) for each stream, with M entries in the reply, so O(1) with a small COUNT. Who waits is served by the XADD: O(N) for N waiting clients.",
        summary: "Gives the entries of streams that their group has yet to read, or those that the consumer has pending; waits for such if it is told to.",
        arguments: &[
            Argument::block(
                "group-block",
                &[
                    Argument::new("group", ArgumentKind::String),
                    Argument::new("consumer", ArgumentKind::String),
                ],
            )
            .after("GROUP"),
            Argument::new("count", ArgumentKind::Integer)
                .after("COUNT")
                .optional(),
            Argument::new("milliseconds", ArgumentKind::Integer)
                .after("BLOCK")
                .optional(),
            Argument::token("noack", "NOACK").optional(),
            Argument::block(
                "streams",
                &[
                    Argument::key("key", 0).multiple(),
                    Argument::new("id", ArgumentKind::String).multiple(),
                ],
            )
            .after("STREAMS"),
        ],
        handler: read_group,
        ..CommandSpec::DEFAULT
    },
];

/// A group, and one of its consumers.
#[derive(Clone, Copy)]
struct Reader<'a> {
    group: &'a [u8],
    consumer: &'a [u8],
    /// Whether what it reads counts as acknowledged.
    no_ack: bool,
}

/// From where on a stream is to be read.
#[derive(Clone, Copy)]
enum From {
    /// Behind this ID. For a group: of what the consumer has pending.
    After(Id),
    /// Behind this ID, which `$` or `+` stand for at this moment.
    Resolved(Id),
    /// What the group has yet to read.
    New,
}

/// What XREAD or XREADGROUP is asked for.
struct Request<'a> {
    args: Args<'a>,
    /// Most entries of each stream; 0: all.
    count: usize,
    /// Whether to wait; until when, in ms since the epoch, if not for ever.
    block: Option<Option<i64>>,
    reader: Option<Reader<'a>>,
    /// Index of the first key; the IDs come after the keys.
    first_key: usize,
    streams: usize,
}

impl<'a> Request<'a> {
    /// Reads the options. Errors: all that can be wrong with them.
    fn parse(args: Args<'a>, is_group: bool, now_ms: i64) -> Result<Request<'a>, CommandError> {
        let mut request = Request {
            args,
            count: 0,
            block: None,
            reader: None,
            first_key: 0,
            streams: 0,
        };
        let mut no_ack = false;
        let mut at = 1;
        while let Some(option) = args.get(at) {
            let is = |word: &str| option.eq_ignore_ascii_case(word.as_bytes());
            let operands = args.len() - at - 1;
            if is("BLOCK") && operands >= 1 {
                request.block = Some(timeout::parse_milliseconds(args.at(at + 1), now_ms)?);
                at += 1;
            } else if is("COUNT") && operands >= 1 {
                request.count = parse_count(args.at(at + 1))?;
                at += 1;
            } else if is("STREAMS") && operands >= 1 {
                request.set_streams(at + 1, is_group)?;
                break;
            } else if is("GROUP") && operands >= 2 {
                check_group_option("GROUP", is_group)?;
                request.reader = Some(Reader {
                    group: args.at(at + 1),
                    consumer: args.at(at + 2),
                    no_ack: false,
                });
                at += 2;
            } else if is("NOACK") {
                check_group_option("NOACK", is_group)?;
                no_ack = true;
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        if request.first_key == 0 {
            return Err(CommandError::SYNTAX);
        }
        match &mut request.reader {
            Some(reader) => reader.no_ack = no_ack,
            None if is_group => {
                return Err(CommandError::fixed(
                    "ERR Missing GROUP option for XREADGROUP",
                ));
            }
            None => {}
        }
        Ok(request)
    }

    fn set_streams(&mut self, first_key: usize, is_group: bool) -> CommandResult {
        let arguments = self.args.len() - first_key;
        if arguments % 2 == 1 {
            let (name, symbol) = if is_group {
                ("xreadgroup", ">")
            } else {
                ("xread", "$")
            };
            return Err(CommandError::new(format!(
                "ERR Unbalanced '{name}' list of streams: for each stream key an ID or '{symbol}' must be specified."
            )));
        }
        self.first_key = first_key;
        self.streams = arguments / 2;
        Ok(())
    }

    /// Key and ID of the stream with this number.
    fn stream(&self, number: usize) -> (&'a [u8], &'a [u8]) {
        let at = self.first_key + number;
        (self.args.at(at), self.args.at(at + self.streams))
    }

    fn keys(&self) -> impl Iterator<Item = &'a [u8]> {
        self.args.iter().skip(self.first_key).take(self.streams)
    }

    /// From where on each stream is to be read. Errors: a key holds something else, there is no such group, or an ID is none.
    fn positions(
        &self,
        keyspace: &mut Keyspace,
        database: usize,
    ) -> Result<SmallVec<[From; 4]>, CommandError> {
        let numbers = 0..self.streams;
        numbers
            .map(|number| {
                let (key, id) = self.stream(number);
                let stream = read_stream(keyspace, database, key)?;
                match self.reader {
                    Some(reader) => position_in_group(stream, key, reader.group, id),
                    None => position(stream, id),
                }
            })
            .collect()
    }

    /// The same request, with IDs in the place of symbols: those mean the moment when the client began to wait.
    fn wait(&self, context: &mut Context<'_>, positions: &[From], deadline_ms: Option<i64>) {
        let texts: SmallVec<[_; 4]> = positions
            .iter()
            .map(|from| match from {
                From::Resolved(id) => Some(id.text()),
                From::After(_) | From::New => None,
            })
            .collect();
        let mut arguments: SmallVec<[&[u8]; 16]> = self.args.iter().collect();
        let first_id = self.first_key + self.streams;
        for (argument, text) in arguments[first_id..].iter_mut().zip(&texts) {
            if let Some(text) = text {
                *argument = text;
            }
        }
        let kind = match self.reader {
            Some(_) => BlockKind::StreamGroup,
            None => BlockKind::Stream,
        };
        let request = Args::from_slices(&arguments);
        context.block_on_keys(request, self.keys(), kind, deadline_ms);
    }
}

fn check_group_option(option: &str, is_group: bool) -> CommandResult {
    if is_group {
        return Ok(());
    }
    Err(CommandError::new(format!(
        "ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
    )))
}

fn position(stream: Option<&Stream>, id: &[u8]) -> Result<From, CommandError> {
    let entries = stream.map(|stream| &stream.entries);
    Ok(match id {
        b"$" => From::Resolved(entries.map_or(Id::MIN, |entries| entries.last_id)),
        // Behind the last but one, so that the last one is read.
        b"+" => {
            let last = entries.and_then(Entries::last_live_id);
            From::Resolved(last.and_then(Id::previous).unwrap_or_default())
        }
        b">" => {
            return Err(CommandError::fixed(
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
            ));
        }
        id => From::After(parse_id(id)?),
    })
}

fn position_in_group(
    stream: Option<&Stream>,
    key: &[u8],
    group: &[u8],
    id: &[u8],
) -> Result<From, CommandError> {
    if stream.is_none_or(|stream| stream.groups.get(group).is_none()) {
        let (key, group) = (quoted(key), quoted(group));
        return Err(CommandError::new(format!(
            "NOGROUP No such key '{key}' or consumer group '{group}' in XREADGROUP with GROUP option"
        )));
    }
    match id {
        b">" => Ok(From::New),
        b"$" | b"+" => {
            let symbol = char::from(id[0]);
            Err(CommandError::new(format!(
                "ERR The {symbol} ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                 consumer by specifying a proper ID, or use the > ID to get new messages. The {symbol} ID would just \
                 return an empty result set."
            )))
        }
        id => match parse_id(id)? {
            // Redis takes it for `>`.
            Id::MAX => Ok(From::New),
            id => Ok(From::After(id)),
        },
    }
}

fn read(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    serve(context, args, false)
}

fn read_group(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    serve(context, args, true)
}

fn serve(context: &mut Context<'_>, args: Args<'_>, is_group: bool) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let request = Request::parse(args, is_group, keyspace.now_ms)?;
    if is_group {
        // What each stream's part of it did is passed on by itself.
        keyspace.changes.propagation.suppress();
    }
    let positions = request.positions(keyspace, database)?;
    let place = reply.begin_deferred();
    let mut served = 0;
    for (number, from) in positions.iter().enumerate() {
        let key = request.stream(number).0;
        let is_served = match request.reader {
            None => serve_stream(keyspace, database, key, *from, request.count, reply)?,
            Some(reader) => {
                let wish = Wish {
                    reader,
                    from: *from,
                    count: request.count,
                    now_ms: keyspace.now_ms,
                };
                serve_group(keyspace, database, key, &wish, reply)?
            }
        };
        served += usize::from(is_served);
    }
    if served > 0 {
        match reply.protocol() {
            Protocol::Resp2 => reply.end_deferred_array(place, served),
            Protocol::Resp3 => reply.end_deferred_map(place, served),
        }
        return Ok(());
    }
    match request.block {
        Some(deadline_ms) if context.may_block() => {
            request.wait(context, &positions, deadline_ms);
        }
        _ => context.reply.null_array(),
    }
    Ok(())
}

/// Begins the part of the reply that is of one stream.
fn begin_stream(reply: &mut Reply, key: &[u8]) {
    if reply.protocol() == Protocol::Resp2 {
        reply.array(2);
    }
    reply.bulk(key);
}

/// Writes the entries of a stream behind an ID, if there are any.
fn serve_stream(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    from: From,
    count: usize,
    reply: &mut Reply,
) -> Result<bool, CommandError> {
    let (From::After(id) | From::Resolved(id)) = from else {
        return Ok(false);
    };
    let Some(stream) = read_stream(keyspace, database, key)? else {
        return Ok(false);
    };
    let entries = &stream.entries;
    let Some(start) = id.next().filter(|_| has_entries_behind(entries, id)) else {
        return Ok(false);
    };
    begin_stream(reply, key);
    write_entries(reply, entries.range(start, Id::MAX), count);
    Ok(true)
}

fn has_entries_behind(entries: &Entries, id: Id) -> bool {
    entries.last_id > id && entries.last_live_id().is_some_and(|last| last > id)
}

/// What a consumer wants of one stream.
struct Wish<'a> {
    reader: Reader<'a>,
    from: From,
    count: usize,
    now_ms: i64,
}

/// Writes what a consumer gets of a stream, if it gets anything.
fn serve_group(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    wish: &Wish<'_>,
    reply: &mut Reply,
) -> Result<bool, CommandError> {
    let mut passing = Passing::new(keyspace, key, wish.reader.group);
    let served = edit(keyspace, database, key, |stream| {
        let Stream { entries, groups } = stream;
        groups.edit(wish.reader.group, |group| {
            let is_new = group.see_consumer(wish.reader.consumer, wish.now_ms);
            (is_new, wish.serve(entries, group, &mut passing, reply))
        })
    })?;
    let (is_new_consumer, is_served) = served.flatten().unwrap_or_default();
    if is_new_consumer && wish.reader.no_ack {
        passing.consumer_created(keyspace, database, wish.reader.consumer);
    }
    passing.pass_on(keyspace, database);
    if is_new_consumer {
        keyspace.changes.count(1);
        notify(keyspace, "xgroup-createconsumer", database, key);
    }
    keyspace.changes.count(u64::from(is_served));
    Ok(is_served)
}

impl Wish<'_> {
    fn serve(
        &self,
        entries: &Entries,
        group: &mut ConsumerGroup,
        passing: &mut Passing<'_>,
        reply: &mut Reply,
    ) -> bool {
        let key = passing.key();
        match self.from {
            From::After(id) | From::Resolved(id) => {
                begin_stream(reply, key);
                self.serve_history(entries, group, id, reply);
                true
            }
            From::New if has_entries_behind(entries, group.last_id) => {
                begin_stream(reply, key);
                self.serve_new(entries, group, passing, reply);
                true
            }
            From::New => false,
        }
    }

    /// Writes entries that the group has yet to read; they are pending from now on.
    fn serve_new(
        &self,
        entries: &Entries,
        group: &mut ConsumerGroup,
        passing: &mut Passing<'_>,
        reply: &mut Reply,
    ) {
        let place = reply.begin_deferred();
        let mut ids: SmallVec<[Id; 64]> = SmallVec::new();
        let start = group.last_id.next().unwrap_or(Id::MAX);
        for entry in entries.range(start, Id::MAX) {
            entries.advance(group, entry.id);
            ids.push(entry.id);
            if !self.reader.no_ack {
                passing.delivered(entry.id, self.reader.consumer, self.now_ms);
            }
            write_entry(reply, entry);
            if ids.len() == self.count {
                break;
            }
        }
        reply.end_deferred_array(place, ids.len());
        passing.moved(group);
        if !self.reader.no_ack {
            group.deliver(&ids, self.reader.consumer, self.now_ms);
        }
    }

    /// Writes what the consumer has pending behind an ID; that counts as another delivery. Entries that are no longer there
    /// have no fields.
    fn serve_history(
        &self,
        entries: &Entries,
        group: &mut ConsumerGroup,
        after: Id,
        reply: &mut Reply,
    ) {
        let Some(consumer) = group.consumer(self.reader.consumer) else {
            return;
        };
        let index = consumer.pending().upper_bound(|id| id.cmp(&after));
        let most = if self.count == 0 {
            usize::MAX
        } else {
            self.count
        };
        let behind = consumer.pending().range(index..).take(most);
        let ids: SmallVec<[Id; 64]> = behind.copied().collect();
        reply.array(ids.len());
        for id in ids {
            match entries.get(id) {
                Some(entry) => {
                    write_entry(reply, entry);
                    group.deliver_again(id, self.now_ms);
                }
                None => {
                    reply.array(2);
                    write_id(reply, id);
                    reply.null_array();
                }
            }
        }
    }
}
