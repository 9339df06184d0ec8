//! CLUSTERSCAN: a walk through the keys of all nodes of a cluster, slot by slot.
//!
//! ```text
//! fingerprint-{tag}-position      a cursor; 0: the walk begins, or is over
//! ```
//!
//! The tag is one of the slot that comes next. Clients take the cursor for a key, so each call goes to the node that
//! has the slot, by redirections as well. The position belongs to an order of keys that depends on the server's hash
//! seed. Where the fingerprint is another seed's, since the slot has moved or another node has taken over, the walk
//! through this slot begins anew: no key is left out, and some come twice. A fingerprint of 0 fits any seed.

use smallvec::SmallVec;

use crate::cluster::SLOTS;
use crate::collections::key_slot::{key_slot, tag_of_slot};
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Category, Flag, Group, KeySpec, NO_KEY};
use crate::commands::scan::{ScanOptions, is_wanted, slot_of_matches};
use crate::engine::context::Context;
use crate::engine::state::ServerState;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{Keyspace, Record};
use crate::resp::Args;
use crate::resp::number::parse_i64;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::new("clusterscan", -2, Group::Cluster, "9.1.0", cluster_scan)
    .flags(&[Flag::ReadOnly])
    .categories(&[Category::Keyspace])
    .keys(&[KeySpec::one(NO_KEY, 1)])
    .tips(&["nondeterministic_output", "request_policy:special", "response_policy:special"])
    .complexity("O(1) for a call, O(N) for a whole walk, with N the number of keys in the cluster.")
    .summary("Walks through the names of the keys of all nodes, a few at each call.")
    .arguments("cursor [MATCH match-pattern:pattern] [COUNT count:integer] [TYPE type] [SLOT slot:integer]")];

const INVALID: CommandError = CommandError::fixed("ERR Invalid cursor");
/// What a fingerprint is made of, besides the seed.
const FINGERPRINTED: &[u8] = b"CLUSTERSCAN";
/// Steps of a walk for each key asked for: a slot with few keys shares a segment of the table with others, and a step
/// looks at one of the segment's 64 buckets.
const STEPS_PER_KEY: usize = 64;
/// The types that keys may have.
const TYPES: [&[u8]; 6] = [b"string", b"list", b"set", b"zset", b"hash", b"stream"];

/// Where a walk goes on.
struct Cursor {
    /// The position is one of this server's.
    is_own: bool,
    slot: u16,
    position: u64,
}

/// How far one call has come.
enum Progress {
    /// To this place, in a slot of this node.
    Here { slot: u16, position: u64 },
    /// To the beginning of a slot that another node may have.
    Elsewhere(u16),
    /// To the end.
    Over,
}

fn cluster_scan(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if context.state.cluster.is_none() {
        return Err(CommandError::fixed("ERR This instance has cluster support disabled"));
    }
    let (options, chosen) = parse(args)?;
    let of_matches = options.pattern.and_then(|pattern| slot_of_matches(&context.state.keyspace, pattern));
    let only = chosen.or(of_matches);
    if chosen.is_some() && of_matches.is_some_and(|slot| Some(slot) != chosen) {
        show(context, &Progress::Over, &[]);
        return Ok(());
    }
    if args.at(1) == b"0" {
        show(context, &Progress::Elsewhere(only.unwrap_or(0)), &[]);
        return Ok(());
    }
    let cursor = Cursor::parse(&context.state.keyspace, args.at(1))?;
    if chosen.is_some_and(|slot| slot != cursor.slot) {
        return Err(CommandError::fixed("ERR Cursor slot mismatch with SLOT argument"));
    }
    match of_matches {
        Some(slot) if slot > cursor.slot => show(context, &Progress::Elsewhere(slot), &[]),
        Some(slot) if slot < cursor.slot => show(context, &Progress::Over, &[]),
        _ => {
            let (progress, mut found) =
                walk(context.state, context.session.database, &cursor, only.is_some(), &options);
            let (keyspace, database, _) = context.parts();
            found.retain(|record| is_wanted(keyspace, database, record, options.type_name));
            show(context, &progress, &found);
        }
    }
    Ok(())
}

/// The options, and the slot that the walk is restricted to.
fn parse(args: Args<'_>) -> Result<(ScanOptions<'_>, Option<u16>), CommandError> {
    let (mut options, mut chosen) = (ScanOptions::default(), None);
    let mut words = args.iter().skip(2);
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case(b"novalues") {
            return Err(CommandError::fixed("ERR NOVALUES option can only be used in HSCAN"));
        }
        let value = words.next().ok_or(CommandError::SYNTAX)?;
        if word.eq_ignore_ascii_case(b"slot") {
            if chosen.is_some() {
                return Err(CommandError::fixed("ERR SLOT option can only be specified once"));
            }
            let slot = parse_i64(value).and_then(|slot| u16::try_from(slot).ok()).filter(|slot| *slot < SLOTS);
            chosen = Some(slot.ok_or(CommandError::fixed("ERR Invalid or out of range slot"))?);
        } else if !options.take(word, value, true)? {
            return Err(CommandError::SYNTAX);
        }
        if let Some(name) = options.type_name
            && !TYPES.iter().any(|known| known.eq_ignore_ascii_case(name))
        {
            let name = String::from_utf8_lossy(name);
            return Err(CommandError::new(format!("ERR unknown type name '{name}'")));
        }
    }
    Ok((options, chosen))
}

impl Cursor {
    /// Reads one. Its slot is that by which the request has come here.
    fn parse(keyspace: &Keyspace, text: &[u8]) -> Result<Cursor, CommandError> {
        let (given, rest) = split_at_byte(text, b'-').ok_or(INVALID)?;
        let rest = rest.strip_prefix(b"{").ok_or(INVALID)?;
        let (tag, rest) = split_at_byte(rest, b'}').filter(|(tag, _)| !tag.is_empty()).ok_or(INVALID)?;
        let position = rest.strip_prefix(b"-").and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let is_own = given == b"0" || given == fingerprint(keyspace).as_bytes();
        Ok(Cursor { is_own, slot: key_slot(tag), position: position.ok_or(INVALID)? })
    }
}

fn split_at_byte(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let place = memchr::memchr(byte, text)?;
    Some((&text[..place], &text[place + 1..]))
}

/// What tells orders of keys apart; the seed does not follow from it.
fn fingerprint(keyspace: &Keyspace) -> String {
    format!("{:08x}", keyspace.seed().hash(FINGERPRINTED) as u32)
}

/// Walks on from a cursor through one slot, or through all slots that this node's shard has in a row, until about as
/// many keys are found as are asked for. Gives the keys that match. O(keys asked for, and slots without keys).
fn walk(
    state: &ServerState,
    database: usize,
    cursor: &Cursor,
    is_one_slot: bool,
    options: &ScanOptions<'_>,
) -> (Progress, SmallVec<[Record; 32]>) {
    let keyspace = &state.keyspace;
    let owner_of = |slot: u16| state.cluster.as_ref().and_then(|cluster| cluster.member.table().owner(slot));
    let (mut slot, mut position) = (cursor.slot, if cursor.is_own { cursor.position } else { 0 });
    let mut found: SmallVec<[Record; 32]> = SmallVec::new();
    let (mut looked_at, mut steps_left) = (0, options.count.saturating_mul(STEPS_PER_KEY));
    loop {
        if keyspace.database(database).count_in_slot(slot) > 0 {
            steps_left -= 1;
            position = keyspace.scan_slot(database, slot, position, |record| {
                looked_at += 1;
                if options.matches(record.key()) && !keyspace.is_hidden(record.key()) {
                    found.push(record.clone());
                }
            });
        } else {
            position = 0;
        }
        if position == 0 {
            if is_one_slot || slot + 1 == SLOTS {
                return (Progress::Over, found);
            }
            slot += 1;
            if owner_of(slot).is_none() || owner_of(slot) != owner_of(cursor.slot) {
                return (Progress::Elsewhere(slot), found);
            }
        }
        if looked_at >= options.count || steps_left == 0 {
            return (Progress::Here { slot, position }, found);
        }
    }
}

fn show(context: &mut Context<'_>, progress: &Progress, found: &[Record]) {
    let cursor = match progress {
        Progress::Here { slot, position } => {
            format!("{}-{{{}}}-{position}", fingerprint(&context.state.keyspace), tag_of_slot(*slot))
        }
        Progress::Elsewhere(slot) => format!("0-{{{}}}-0", tag_of_slot(*slot)),
        Progress::Over => "0".to_string(),
    };
    let reply = &mut context.reply;
    reply.array(2);
    reply.bulk(cursor.as_bytes());
    reply.array(found.len());
    found.iter().for_each(|record| reply.bulk(record.key()));
}
