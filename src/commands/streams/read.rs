//! Reading what comes after an entry, waiting for it if there is nothing: XREAD and XREADGROUP.

use smallvec::SmallVec;

use crate::command::error::{CommandError, CommandResult};
use crate::command::keys::{KeyList, KeyReference};
use crate::command::options::{OptionWalk, OptionWord};
use crate::command::spec::{Find, Flag, Group, KeySpec, READ};
use crate::command::timeout;
use crate::engine::blocking::BlockKind;
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::Keyspace;
use crate::resp::Args;
use crate::resp::{Protocol, Reply, number};
use crate::types::stream::{Entries, Id, Stream};

use super::allowance::Allowance;
use super::position::{From, begin_stream, has_entries_behind};
use super::read_group::{Reader, Wish, serve_group};
use super::{parse_count, parse_id, parse_integer, quoted, read as read_stream, write_entry};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("xread", -4, Group::Stream, "5.0.0", read)
        .flags(&[Flag::ReadOnly, Flag::Blocking])
        .keys(&[KeySpec::after(READ, "STREAMS", 1, Find::Range { last: -1, step: 1, limit: 2 })])
        .find_keys(find_keys)
        .summary("Gives the entries of streams behind given ones; waits for such if it is told to.")
        .history(&[("8.10.0", "Takes `MAXCOUNT` and `MAXSIZE`.")])
        .arguments(
            "[COUNT count:integer] [MAXCOUNT maxcount:integer]@8.10.0 [MAXSIZE maxsize:integer]@8.10.0 \
             [BLOCK milliseconds:integer] STREAMS {key... id...}",
        ),
    CommandSpec::new("xreadgroup", -7, Group::Stream, "5.0.0", read_group)
        .flags(&[Flag::Write, Flag::Blocking])
        .keys(&[KeySpec::after(READ, "STREAMS", 4, Find::Range { last: -1, step: 1, limit: 2 })])
        .find_keys(find_keys)
        .complexity(
            "O(M) for each stream, with M entries in the reply, so O(1) with a small COUNT. Who waits is served by \
             the XADD: O(N) for N waiting clients.",
        )
        .summary(
            "Gives the entries of streams that their group has yet to read, or those that the consumer has pending; \
             waits for such if it is told to.",
        )
        .history(&[("8.4.0", "Takes `CLAIM`."), ("8.10.0", "Takes `MAXCOUNT` and `MAXSIZE`.")])
        .arguments(
            "GROUP group-block={group consumer} [COUNT count:integer] [MAXCOUNT maxcount:integer]@8.10.0 \
             [MAXSIZE maxsize:integer]@8.10.0 [BLOCK milliseconds:integer] [CLAIM min-idle-time:integer]@8.4.0 \
             [NOACK] STREAMS {key... id...}",
        ),
];

/// An option of XREADGROUP. XREAD knows those of a group too, to say that it does not take them.
#[derive(Clone, Copy)]
enum ReadOption {
    Block,
    Claim,
    Count,
    MaxCount,
    MaxSize,
    Streams,
    Group,
    NoAck,
}

static WORDS: &[OptionWord<ReadOption>] = &[
    OptionWord::new("BLOCK", 1, ReadOption::Block),
    OptionWord::new("CLAIM", 1, ReadOption::Claim),
    OptionWord::new("COUNT", 1, ReadOption::Count),
    OptionWord::new("MAXCOUNT", 1, ReadOption::MaxCount),
    OptionWord::new("MAXSIZE", 1, ReadOption::MaxSize),
    OptionWord::last("STREAMS", 1, ReadOption::Streams),
    OptionWord::new("GROUP", 2, ReadOption::Group),
    OptionWord::new("NOACK", 0, ReadOption::NoAck),
];

fn walk(args: Args<'_>) -> OptionWalk<'_, ReadOption> {
    OptionWalk::new(args, 1, WORDS)
}

/// The keys: the first half of what comes after STREAMS, the other half being IDs.
fn find_keys(args: Args<'_>) -> KeyList {
    let mut options = walk(args).flatten();
    let streams = options.find(|(option, _)| matches!(option, ReadOption::Streams));
    let Some((_, place)) = streams else {
        return KeyList::new();
    };
    let first = place + 1;
    let count = (args.len() - first) / 2;
    (first..first + count).map(KeyReference::read).collect()
}

/// What XREAD or XREADGROUP is asked for.
struct Request<'a> {
    args: Args<'a>,
    /// Most entries of each stream; 0: all.
    count: usize,
    /// Most entries of all streams together.
    max_count: usize,
    /// Most bytes of the reply.
    max_bytes: usize,
    /// Whether to wait; until when, in ms since the epoch, if not for ever.
    block: Option<Option<i64>>,
    reader: Option<Reader<'a>>,
    /// Index of the first key; the IDs come after the keys.
    first_key: usize,
    streams: usize,
}

impl<'a> Request<'a> {
    /// Reads the options. Errors: all that can be wrong with them.
    fn parse(args: Args<'a>, is_group: bool, is_script: bool, now_ms: i64) -> Result<Request<'a>, CommandError> {
        let mut request = Request::new(args);
        let (mut no_ack, mut claim_idle_ms) = (false, None);
        for found in walk(args) {
            let (option, at) = found?;
            match option {
                ReadOption::Block if is_script => return Err(no_waiting_in_scripts(args.at(0))),
                ReadOption::Block => {
                    request.block = Some(timeout::parse_milliseconds(args.at(at + 1), now_ms)?);
                }
                ReadOption::Claim => {
                    check_group_option("CLAIM", is_group)?;
                    claim_idle_ms = Some(parse_min_idle(args.at(at + 1))?);
                }
                ReadOption::Count => request.count = parse_count(args.at(at + 1))?,
                ReadOption::MaxCount => request.max_count = parse_limit(args.at(at + 1), "MAXCOUNT")?,
                ReadOption::MaxSize => request.max_bytes = parse_limit(args.at(at + 1), "MAXSIZE")?,
                ReadOption::Streams => request.set_streams(at + 1, is_group)?,
                ReadOption::Group => {
                    check_group_option("GROUP", is_group)?;
                    request.reader = Some(Reader {
                        group: args.at(at + 1),
                        consumer: args.at(at + 2),
                        no_ack: false,
                        claim_idle_ms: None,
                    });
                }
                ReadOption::NoAck => {
                    check_group_option("NOACK", is_group)?;
                    no_ack = true;
                }
            }
        }
        if request.first_key == 0 {
            return Err(CommandError::SYNTAX);
        }
        match &mut request.reader {
            Some(reader) => {
                reader.no_ack = no_ack;
                reader.claim_idle_ms = claim_idle_ms;
            }
            None if is_group => {
                return Err(CommandError::fixed("ERR Missing GROUP option for XREADGROUP"));
            }
            None => {}
        }
        if request.count > request.max_count {
            return Err(CommandError::fixed("ERR MAXCOUNT must be greater than or equal to COUNT"));
        }
        Ok(request)
    }

    /// One without options.
    fn new(args: Args<'a>) -> Request<'a> {
        Request {
            args,
            count: 0,
            max_count: usize::MAX,
            max_bytes: usize::MAX,
            block: None,
            reader: None,
            first_key: 0,
            streams: 0,
        }
    }

    fn set_streams(&mut self, first_key: usize, is_group: bool) -> CommandResult {
        let arguments = self.args.len() - first_key;
        if arguments % 2 == 1 {
            let (name, symbol) = if is_group { ("xreadgroup", ">") } else { ("xread", "$") };
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

    /// From where on each stream is to be read. Errors: a key holds something else, there is no such group, or an ID is
    /// none.
    fn positions(&self, keyspace: &mut Keyspace, database: usize) -> Result<SmallVec<[From; 4]>, CommandError> {
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

/// Reads how much a reply may have in all.
fn parse_limit(text: &[u8], option: &str) -> Result<usize, CommandError> {
    match parse_integer(text)? {
        limit @ 1.. => Ok(usize::try_from(limit).unwrap_or(usize::MAX)),
        _ => Err(CommandError::new(format!("ERR {option} must be a positive integer"))),
    }
}

fn parse_min_idle(text: &[u8]) -> Result<i64, CommandError> {
    match number::parse_i64(text) {
        Some(idle_ms @ 0..) => Ok(idle_ms),
        Some(_) => Err(CommandError::fixed("ERR min-idle-time must be a positive integer")),
        None => Err(CommandError::fixed("ERR min-idle-time is not an integer or out of range")),
    }
}

fn no_waiting_in_scripts(command: &[u8]) -> CommandError {
    let command = String::from_utf8_lossy(command);
    CommandError::new(format!("ERR {command} command is not allowed with BLOCK option from scripts"))
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

fn position_in_group(stream: Option<&Stream>, key: &[u8], group: &[u8], id: &[u8]) -> Result<From, CommandError> {
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
    let is_script = context.session.is_script();
    let (keyspace, database, reply) = context.parts();
    let request = Request::parse(args, is_group, is_script, keyspace.now_ms)?;
    if is_group {
        // What each stream's part of it did is passed on by itself.
        keyspace.changes.propagation.suppress();
    }
    let positions = request.positions(keyspace, database)?;
    let mut allowance = Allowance::new(request.max_count, request.max_bytes, reply);
    let place = reply.begin_deferred();
    let mut served = 0;
    let mut look_ms: Option<i64> = None;
    for (number, from) in positions.iter().enumerate() {
        if allowance.is_used_up(reply) {
            break;
        }
        let key = request.stream(number).0;
        let count = allowance.most(request.count);
        let is_served = match request.reader {
            None => serve_stream(keyspace, database, key, (*from, count), &mut allowance, reply)?,
            Some(reader) => {
                let wish = Wish { reader, from: *from, most: count, now_ms: keyspace.now_ms };
                let service = serve_group(keyspace, database, key, &wish, &mut allowance, reply)?;
                look_ms = look_ms.into_iter().chain(service.look_ms).min();
                service.is_served
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
            if let Some(look_ms) = look_ms {
                context.look_again_at(look_ms);
            }
        }
        _ => context.reply.null_array(),
    }
    Ok(())
}

/// Writes the entries of a stream behind an ID, so many at most, if there are any and one fits.
fn serve_stream(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    (from, most): (From, usize),
    allowance: &mut Allowance,
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
    let before = reply.mark();
    begin_stream(reply, key);
    let place = reply.begin_deferred();
    let mut written = 0;
    for entry in entries.range(start, Id::MAX).take(most) {
        if !allowance.write(reply, |reply| write_entry(reply, entry)) {
            break;
        }
        written += 1;
    }
    if written == 0 {
        reply.truncate(before);
        return Ok(false);
    }
    reply.end_deferred_array(place, written);
    Ok(true)
}
