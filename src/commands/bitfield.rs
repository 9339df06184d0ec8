//! Integers of any width within strings: BITFIELD and BITFIELD_RO.

use smallvec::{SmallVec, smallvec};

use crate::command::error::{CommandError, CommandResult};
use crate::command::keys::{KeyList, KeyReference};
use crate::command::options::{OptionWalk, OptionWord};
use crate::command::spec::{Flag, Group, KeyFlag, KeySpec, READ};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::EventClass;
use crate::resp::Args;
use crate::resp::{Reply, number};
use crate::types::bitfield::{FieldType, Fit, Overflow};

use super::bitmaps::bit_offset;
use super::strings::{integer_argument, length_at, text_of};

/// Commands on integers within strings.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("bitfield", -2, Group::Bitmap, "3.2.0", bitfield)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(&[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update, KeyFlag::VariableFlags], 1)
            .note("Operations other than GET change the key.")])
        .find_keys(find_key)
        .complexity("O(1) for each operation.")
        .summary("Reads and changes integers of any width within the string at a key.")
        .arguments(
            "key operation=[GET get-block={encoding offset:integer}|write={[OVERFLOW overflow-block=(WRAP|SAT|\
             FAIL)] write-operation=(SET set-block={encoding offset:integer value:integer}|\
             INCRBY incrby-block={encoding offset:integer increment:integer})}]...",
        ),
    CommandSpec::new("bitfield_ro", -2, Group::Bitmap, "6.0.0", bitfield_ro)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(1) for each operation.")
        .summary("Reads integers of any width within the string at a key.")
        .arguments("key [GET get-block={encoding offset:integer}]..."),
];

/// One operation on one field.
struct Operation {
    action: Action,
    kind: FieldType,
    /// In bits.
    offset: u64,
}

enum Action {
    Get,
    Set(i64, Overflow),
    Increment(i64, Overflow),
}

impl Operation {
    /// The offset of the field's last bit if the operation writes it.
    fn last_written(&self) -> Option<u64> {
        let last = self.offset + u64::from(self.kind.bits()) - 1;
        (!matches!(self.action, Action::Get)).then_some(last)
    }

    /// Writes the field and replies; tells whether its number is another now.
    fn write(&self, bytes: &mut [u8], reply: &mut Reply) -> Outcome {
        let before = self.kind.read(bytes, self.offset);
        let (fit, replies_before) = match self.action {
            Action::Get => {
                reply.integer(before);
                return Outcome::Nothing;
            }
            Action::Set(value, overflow) => (self.kind.fit(value, overflow), true),
            Action::Increment(by, overflow) => (self.kind.increment(before, by, overflow), false),
        };
        let (Fit::Fits(after) | Fit::Adapted(after)) = fit else {
            reply.null();
            return Outcome::Nothing;
        };
        self.kind.write(bytes, self.offset, after);
        reply.integer(if replies_before { before } else { after });
        if before == after { Outcome::WrittenAlike } else { Outcome::Changed }
    }
}

/// What an operation did to its field.
enum Outcome {
    /// It did not write.
    Nothing,
    /// It wrote the number that was there.
    WrittenAlike,
    Changed,
}

type Operations = SmallVec<[Operation; 4]>;

fn field_type(text: &[u8]) -> Result<FieldType, CommandError> {
    let parse = || {
        let (sign, width) = text.split_first()?;
        // Redis reads the width as text that ends at a zero byte.
        let width = width.split(|byte| *byte == 0).next()?;
        let signed = match sign {
            b'i' => true,
            b'u' => false,
            _ => return None,
        };
        FieldType::new(signed, number::parse_i64(width)?)
    };
    parse().ok_or(CommandError::fixed(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
    ))
}

fn overflow_argument(text: &[u8]) -> Result<Overflow, CommandError> {
    let choices = [("WRAP", Overflow::Wrap), ("SAT", Overflow::Saturate), ("FAIL", Overflow::Fail)];
    let found = choices.iter().find(|(word, _)| text.eq_ignore_ascii_case(word.as_bytes()));
    found.map(|(_, overflow)| *overflow).ok_or(CommandError::fixed("ERR Invalid OVERFLOW type specified"))
}

/// What begins each operation of a request, and what says how the following ones overflow.
#[derive(Clone, Copy)]
enum Verb {
    Get,
    Set,
    IncrementBy,
    Overflow,
}

static WORDS: &[OptionWord<Verb>] = &[
    OptionWord::new("GET", 2, Verb::Get),
    OptionWord::new("SET", 3, Verb::Set),
    OptionWord::new("INCRBY", 3, Verb::IncrementBy),
    OptionWord::new("OVERFLOW", 1, Verb::Overflow),
];

fn walk(args: Args<'_>) -> OptionWalk<'_, Verb> {
    OptionWalk::new(args, 2, WORDS)
}

/// The key of BITFIELD, which is only read if every operation is a GET. Where the syntax is wrong it counts as written.
fn find_key(args: Args<'_>) -> KeyList {
    let only_reads = |found| matches!(found, Ok((Verb::Get | Verb::Overflow, _)));
    smallvec![if walk(args).all(only_reads) { KeyReference::read(1) } else { KeyReference::read_and_update(1) }]
}

/// Reads all operations before any is run.
fn parse(context: &Context<'_>, args: Args<'_>) -> Result<Operations, CommandError> {
    let mut operations = Operations::new();
    let mut overflow = Overflow::Wrap;
    for found in walk(args) {
        let (verb, at) = found?;
        if let Verb::Overflow = verb {
            overflow = overflow_argument(args.at(at + 1))?;
            continue;
        }
        let kind = field_type(args.at(at + 1))?;
        let offset = bit_offset(context, args.at(at + 2), Some(kind.bits()))?;
        let action = match verb {
            Verb::Set => Action::Set(integer_argument(args, at + 3)?, overflow),
            Verb::IncrementBy => Action::Increment(integer_argument(args, at + 3)?, overflow),
            Verb::Get | Verb::Overflow => Action::Get,
        };
        operations.push(Operation { action, kind, offset });
    }
    Ok(operations)
}

fn bitfield(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let operations = parse(context, args)?;
    match operations.iter().filter_map(Operation::last_written).max() {
        None => read_all(context, args.at(1), &operations),
        Some(last) => write_all(context, args.at(1), &operations, last),
    }
}

fn bitfield_ro(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let operations = parse(context, args)?;
    let writes = |operation: &Operation| operation.last_written().is_some();
    if operations.iter().any(writes) {
        return Err(CommandError::fixed("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    read_all(context, args.at(1), &operations)
}

/// Runs operations of which none writes.
fn read_all(context: &mut Context<'_>, key: &[u8], operations: &[Operation]) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    keyspace.read_with(database, key, |record| {
        let text = record.map(text_of).transpose()?;
        let mut run = |bytes: &[u8]| {
            reply.array(operations.len());
            for operation in operations {
                reply.integer(operation.kind.read(bytes, operation.offset));
            }
        };
        match text {
            Some(text) => text.with_bytes(run),
            None => run(b""),
        }
        Ok(())
    })
}

/// Runs operations of which some write, up to the bit `last`.
fn write_all(context: &mut Context<'_>, key: &[u8], operations: &[Operation], last: u64) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let length = (last / 8) as usize + 1;
    let grows = length_at(keyspace, database, key)?.is_none_or(|present| present < length);
    let mut changes = 0;
    keyspace.prepare_string(database, key, length, |bytes| {
        reply.array(operations.len());
        for operation in operations {
            changes += match operation.write(bytes, reply) {
                Outcome::Changed => 1,
                Outcome::WrittenAlike => u64::from(grows),
                Outcome::Nothing => 0,
            };
        }
    });
    if changes > 0 {
        keyspace.modified(database, key);
        keyspace.changes.count(changes - 1);
        keyspace.changes.notify(EventClass::String, "setbit", database, key);
    } else if grows {
        // All writes failed, but the string is longer now. Redis does not propagate it, and its replicas drift apart.
        keyspace.modified(database, key);
    }
    Ok(())
}
