//! Bitmaps: strings as rows of bits. SETBIT, GETBIT and their kin; integers within strings are in `bitfield`.

use std::borrow::Cow;

use bytes::BytesMut;
use smallvec::SmallVec;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, KeySpec, OVERWRITE, READ, READ_AND_UPDATE};
use crate::engine::context::Context;
use crate::engine::lookahead::for_each_key;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{EventClass, Expiry, Keyspace, NewValue, Text};
use crate::resp::Args;
use crate::resp::number;
use crate::types::bitmap::{self, Operation, Unit};

use super::strings::{integer_argument, length_at, text_of};

/// Commands on the bits of strings.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("setbit", 4, Group::Bitmap, "2.2.0", setbit)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(READ_AND_UPDATE, 1)])
        .summary("Sets or clears one bit of the string at a key, which grows if need be.")
        .arguments("key offset:integer value:integer"),
    CommandSpec::new("getbit", 3, Group::Bitmap, "2.2.0", getbit)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(READ, 1)])
        .summary("Gives one bit of the string at a key.")
        .arguments("key offset:integer"),
    CommandSpec::new("bitcount", -2, Group::Bitmap, "2.6.0", bitcount)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(N) where N is the length of the part.")
        .summary("Counts the set bits of the string at a key, or of a part of it.")
        .history(&[("7.0.0", "A range may count bits instead of bytes: `BYTE` or `BIT`.")])
        .arguments("key range=[start:integer end:integer unit=[BYTE|BIT]@7.0.0]"),
    CommandSpec::new("bitpos", -3, Group::Bitmap, "2.8.7", bitpos)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(N) where N is the length of the part.")
        .summary("Finds the first bit of the string at a key that is set, or clear.")
        .history(&[("7.0.0", "A range may count bits instead of bytes: `BYTE` or `BIT`.")])
        .arguments("key bit:integer range=[start:integer end-unit-block=[end:integer unit=[BYTE|BIT]@7.0.0]]"),
    CommandSpec::new("bitop", -4, Group::Bitmap, "2.6.0", bitop)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(OVERWRITE, 2), KeySpec::range(READ, 3, -1, 1)])
        .complexity("O(N) where N is the length of the longest string, for each string.")
        .summary("Combines strings bit by bit and keeps the result at another key.")
        .history(&[("8.2.0", "Took the operations `DIFF`, `DIFF1`, `ANDOR` and `ONE`.")])
        .arguments("operation=(AND|OR|XOR|NOT|DIFF@8.2.0|DIFF1@8.2.0|ANDOR@8.2.0|ONE@8.2.0) destkey#0 key#1..."),
];

const BAD_OFFSET: CommandError = CommandError::fixed("ERR bit offset is not an integer or out of range");
const BAD_BIT: CommandError = CommandError::fixed("ERR bit is not an integer or out of range");

/// A bit offset. Behind a `#` it counts fields of `bits_per_field` bits, where there are such. Errors: it is none, or
/// beyond what a string may hold.
pub(super) fn bit_offset(context: &Context<'_>, text: &[u8], bits_per_field: Option<u32>) -> Result<u64, CommandError> {
    let (digits, factor) = match (text.strip_prefix(b"#"), bits_per_field) {
        (Some(digits), Some(bits)) => (digits, i64::from(bits)),
        _ => (text, 1),
    };
    let offset = number::parse_i64(digits).ok_or(BAD_OFFSET)?;
    let offset = offset.checked_mul(factor).ok_or(BAD_OFFSET)?;
    let offset = u64::try_from(offset).map_err(|_| BAD_OFFSET)?;
    if offset / 8 >= context.state.config.proto_max_bulk_len {
        return Err(BAD_OFFSET);
    }
    Ok(offset)
}

fn setbit(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let offset = bit_offset(context, args.at(2), None)?;
    let on = match number::parse_i64(args.at(3)) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(BAD_BIT),
    };
    let key = args.at(1);
    let (keyspace, database, reply) = context.parts();
    let length = (offset / 8) as usize + 1;
    let grows = length_at(keyspace, database, key)?.is_none_or(|present| present < length);
    let mut before = false;
    keyspace.prepare_string(database, key, length, |bytes| {
        before = bitmap::set_bit(bytes, offset, on);
    });
    if grows || before != on {
        keyspace.modified(database, key);
        keyspace.changes.notify(EventClass::String, "setbit", database, key);
    }
    reply.integer(i64::from(before));
    Ok(())
}

fn getbit(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let offset = bit_offset(context, args.at(2), None)?;
    let (keyspace, database, reply) = context.parts();
    let on = keyspace.read_with(database, args.at(1), |record| match record {
        None => Ok::<_, CommandError>(false),
        Some(record) => Ok(text_of(record)?.with_bytes(|bytes| bitmap::bit(bytes, offset))),
    })?;
    reply.integer(i64::from(on));
    Ok(())
}

/// What the ends of a range count.
fn unit_argument(text: &[u8]) -> Result<Unit, CommandError> {
    if text.eq_ignore_ascii_case(b"BIT") {
        Ok(Unit::Bit)
    } else if text.eq_ignore_ascii_case(b"BYTE") {
        Ok(Unit::Byte)
    } else {
        Err(CommandError::SYNTAX)
    }
}

fn bitcount(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let count = keyspace.read_with(database, args.at(1), |record| match record {
        // Up to Redis 7.2 the range is not even looked at if there is no key.
        None => Ok(0),
        Some(record) => count_in(text_of(record)?, args),
    })?;
    reply.integer(count as i64);
    Ok(())
}

fn count_in(text: Text<'_>, args: Args<'_>) -> Result<u64, CommandError> {
    let (start, end) = match args.len() {
        2 => (0, -1),
        4 | 5 => (integer_argument(args, 2)?, integer_argument(args, 3)?),
        _ => return Err(CommandError::SYNTAX),
    };
    // Such a range is empty although both ends may be cut to the first bit.
    if start < 0 && end < 0 && start > end {
        return Ok(0);
    }
    let unit = args.get(4).map_or(Ok(Unit::Byte), unit_argument)?;
    Ok(text.with_bytes(|bytes| bitmap::count(bytes, bitmap::range(start, end, unit, bytes.len()))))
}

fn bitpos(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let on = match integer_argument(args, 2)? {
        0 => false,
        1 => true,
        _ => {
            return Err(CommandError::fixed("ERR The bit argument must be 1 or 0."));
        }
    };
    let (keyspace, database, reply) = context.parts();
    let position = keyspace.read_with(database, args.at(1), |record| match record {
        // No key is an endless row of clear bits, whatever the range.
        None => Ok((!on).then_some(0)),
        Some(record) => position_in(text_of(record)?, on, args),
    })?;
    reply.integer(position.map_or(-1, |position| position as i64));
    Ok(())
}

fn position_in(text: Text<'_>, on: bool, args: Args<'_>) -> Result<Option<u64>, CommandError> {
    if args.len() > 6 {
        return Err(CommandError::SYNTAX);
    }
    let argument = |index| args.get(index).map(|_| integer_argument(args, index));
    let start = argument(3).transpose()?.unwrap_or(0);
    let unit = args.get(5).map_or(Ok(Unit::Byte), unit_argument)?;
    let end = argument(4).transpose()?;
    Ok(text.with_bytes(|bytes| {
        let range = bitmap::range(start, end.unwrap_or(-1), unit, bytes.len());
        let is_empty = range.is_empty();
        let found = bitmap::position(bytes, on, range);
        if found.is_none() && !is_empty && !on && end.is_none() {
            // Without an end the string goes on in clear bits.
            return Some(bytes.len() as u64 * 8);
        }
        found
    }))
}

/// The operation of that name, if it takes so many sources.
fn operation_argument(name: &[u8], sources: usize) -> Result<Operation, CommandError> {
    const OPERATIONS: [(&str, Operation); 8] = [
        ("AND", Operation::And),
        ("OR", Operation::Or),
        ("XOR", Operation::Xor),
        ("NOT", Operation::Not),
        ("DIFF", Operation::Difference),
        ("DIFF1", Operation::ReverseDifference),
        ("ANDOR", Operation::AndOr),
        ("ONE", Operation::One),
    ];
    let found = OPERATIONS.iter().find(|(word, _)| name.eq_ignore_ascii_case(word.as_bytes()));
    let (word, operation) = found.ok_or(CommandError::SYNTAX)?;
    match operation {
        Operation::Not if sources != 1 => {
            Err(CommandError::fixed("ERR BITOP NOT must be called with a single source key."))
        }
        Operation::Difference | Operation::ReverseDifference | Operation::AndOr if sources < 2 => {
            Err(CommandError::new(format!("ERR BITOP {word} must be called with at least two source keys.")))
        }
        _ => Ok(*operation),
    }
}

fn bitop(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    const FIRST_SOURCE: usize = 3;
    let operation = operation_argument(args.at(1), args.len() - FIRST_SOURCE)?;
    let destination = args.at(2);
    let (keyspace, database, reply) = context.parts();
    let length = longest_source(keyspace, database, args, FIRST_SOURCE)?;
    if length == 0 {
        keyspace.delete(database, destination);
        reply.integer(0);
        return Ok(());
    }
    let mut combined = BytesMut::zeroed(length);
    let sources: SmallVec<[Cow<'_, [u8]>; 8]> =
        args.slice_from(FIRST_SOURCE).iter().map(|key| source(keyspace, database, key)).collect();
    bitmap::combine(operation, &sources, &mut combined);
    drop(sources);
    let value = NewValue::raw(&mut combined);
    keyspace.set(database, destination, value, Expiry::Clear);
    keyspace.changes.notify(EventClass::String, "set", database, destination);
    reply.integer(length as i64);
    Ok(())
}

/// Reads all sources; gives the length of the longest. Errors: one is not a string.
fn longest_source(
    keyspace: &mut Keyspace,
    database: usize,
    args: Args<'_>,
    first: usize,
) -> Result<usize, CommandError> {
    let mut longest = Ok(0);
    for_each_key(keyspace, database, args, (first..args.len()).step_by(1), |keyspace, index| {
        // After an error the others count neither as hit nor as miss.
        let Ok(before) = longest else { return };
        longest = keyspace.read_with(database, args.at(index), |record| {
            record.map_or(Ok(before), |record| Ok(before.max(text_of(record)?.length())))
        });
    });
    longest
}

/// The bytes of a source that was read before; empty if there is none.
fn source<'a>(keyspace: &'a Keyspace, database: usize, key: &[u8]) -> Cow<'a, [u8]> {
    let record = keyspace.database(database).get(keyspace.hash(key), key);
    // An expired one is still there while `ExpiryMode` hides it.
    let record = record.filter(|record| !record.is_due(keyspace.read_horizon_ms()));
    match record.and_then(|record| record.value().text()) {
        None => Cow::Borrowed(b""),
        Some(Text::Inline(bytes)) => Cow::Borrowed(bytes),
        Some(Text::Large(bytes)) => Cow::Borrowed(bytes),
        Some(Text::Integer(number)) => Cow::Owned(number.to_string().into_bytes()),
    }
}
