//! HyperLogLogs: PFADD, PFCOUNT, PFMERGE, and two commands that look into them. They are strings like others.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, INSERT, KeyFlag, KeySpec, READ};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::record::INLINE_STRING_MAX;
use crate::keyspace::{EventClass, Expiry, Keyspace, NewValue, Record, Value};
use crate::resp::Args;
use crate::types::hyperloglog::{self as sketches, Corrupted, Encoding, Place, Registers, Sketch};
use crate::types::hyperloglog::{dense, self_test, sparse};

use super::strings::text_of;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("pfadd", -2, Group::HyperLogLog, "2.8.9", pfadd)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(INSERT, 1)])
        .complexity("O(1) for each element.")
        .summary("Adds elements to the HyperLogLog at a key; creates the key if need be.")
        .arguments("key [element...]"),
    CommandSpec::new("pfcount", -2, Group::HyperLogLog, "2.8.9", pfcount)
        .flags(&[Flag::ReadOnly, Flag::MayReplicate])
        .keys(&[KeySpec::range(&[KeyFlag::Rw, KeyFlag::Access], 1, -1, 1)
            .note("RW because the count is stored in the value, which the replicas must hear of")])
        .complexity(
            "O(1) for one key, mostly from the count stored in it. O(N) for N keys, each of which is read in full.",
        )
        .summary("Estimates how many different elements were added to HyperLogLogs together.")
        .arguments("key..."),
    CommandSpec::new("pfmerge", -2, Group::HyperLogLog, "2.8.9", pfmerge)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(&[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Insert], 1), KeySpec::range(READ, 2, -1, 1)])
        .complexity("O(N) where N is the number of keys, each of which is read in full.")
        .summary("Adds what HyperLogLogs have seen to another one.")
        .arguments("destkey#0 [sourcekey#1...]"),
    CommandSpec::new("pfdebug", 3, Group::HyperLogLog, "2.8.9", pfdebug)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Admin, Flag::System])
        .keys(&[KeySpec::one(&[KeyFlag::Rw, KeyFlag::Access], 2)])
        .complexity("O(1): at most all registers are visited.")
        .summary("Looks into a HyperLogLog, for tests.")
        .arguments("subcommand key"),
    CommandSpec::new("pfselftest", 1, Group::HyperLogLog, "2.8.9", pfselftest)
        .flags(&[Flag::Admin, Flag::System])
        .complexity("O(1): a million elements are added.")
        .summary("Tests the HyperLogLogs' registers and estimates."),
];

const NOT_A_SKETCH: CommandError = CommandError::fixed("WRONGTYPE Key is not a valid HyperLogLog string value.");
const CORRUPTED: CommandError = CommandError::fixed("INVALIDOBJ Corrupted HLL object detected");

impl From<Corrupted> for CommandError {
    fn from(_: Corrupted) -> CommandError {
        CORRUPTED
    }
}

/// Hands the HyperLogLog in a record to `use_it`. Errors: it is none.
fn with_sketch<R>(record: &Record, use_it: impl FnOnce(Sketch<'_>) -> R) -> Result<R, CommandError> {
    text_of(record)?.with_bytes(|bytes| Sketch::of(bytes).map(use_it)).ok_or(NOT_A_SKETCH)
}

/// Redis makes a string raw when it is used as a HyperLogLog; OBJECT ENCODING shows it.
fn keep_raw(keyspace: &mut Keyspace, database: usize, key: &[u8]) {
    if let Some(Value::Embedded(bytes)) = keyspace.peek(database, key).map(Record::value) {
        let bytes = bytes.to_vec();
        keyspace.rewrite_string(database, key, bytes);
    }
}

/// Puts a HyperLogLog where there was none.
fn create(keyspace: &mut Keyspace, database: usize, key: &[u8], bytes: Vec<u8>) {
    let value = if bytes.len() > INLINE_STRING_MAX { NewValue::Large(bytes.into()) } else { NewValue::Raw(&bytes) };
    keyspace.set(database, key, value, Expiry::Clear);
}

/// Replaces a HyperLogLog by what it has become.
fn replace(keyspace: &mut Keyspace, database: usize, key: &[u8], bytes: Vec<u8>) {
    keyspace.rewrite_string(database, key, bytes);
    keyspace.modified(database, key);
}

/// What has to be done so that elements are in a HyperLogLog.
enum Need {
    Nothing,
    /// There is none yet.
    Create,
    /// The dense form is changed where it lies.
    InPlace,
    /// The sparse form, whose length changes, is replaced by a changed copy of this one.
    Copy(Vec<u8>),
}

fn need(sketch: Sketch<'_>, args: Args<'_>) -> Result<Need, Corrupted> {
    for index in 2..args.len() {
        if sketch.would_change(Place::of(args.at(index)))? {
            return Ok(match sketch.encoding {
                Encoding::Dense => Need::InPlace,
                Encoding::Sparse => Need::Copy(sketch.bytes().to_vec()),
            });
        }
    }
    Ok(Need::Nothing)
}

/// Adds all elements of PFADD to a string of either form; tells how many of them changed something. Errors: it is
/// corrupted; those before the fault are in.
fn add_all(bytes: &mut Vec<u8>, args: Args<'_>, sparse_max_bytes: usize) -> Result<u64, Corrupted> {
    let mut changed = 0;
    for index in 2..args.len() {
        let place = Place::of(args.at(index));
        changed += u64::from(sketches::add(bytes, place, sparse_max_bytes)?);
    }
    sketches::forget_count(bytes);
    Ok(changed)
}

fn pfadd(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let sparse_max_bytes = context.state.config.hll_sparse_max_bytes as usize;
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let need = match keyspace.lookup(database, key) {
        None => Need::Create,
        Some(record) => {
            let need = with_sketch(record, |sketch| need(sketch, args))?;
            keep_raw(keyspace, database, key);
            need?
        }
    };
    let changed = match need {
        Need::Nothing => 0,
        Need::Create => {
            let mut bytes = sketches::empty();
            let changed = add_all(&mut bytes, args, sparse_max_bytes)?;
            create(keyspace, database, key, bytes);
            1 + changed
        }
        Need::InPlace => {
            let mut changed = 0;
            keyspace.edit_string(database, key, dense::TOTAL_BYTES, |bytes| {
                for index in 2..args.len() {
                    let place = Place::of(args.at(index));
                    changed += u64::from(dense::raise(bytes, place));
                }
            });
            changed
        }
        Need::Copy(mut bytes) => {
            let changed = add_all(&mut bytes, args, sparse_max_bytes);
            replace(keyspace, database, key, bytes);
            changed?
        }
    };
    if changed > 0 {
        // One of them is counted already.
        keyspace.changes.count(changed - 1);
        keyspace.changes.notify(EventClass::String, "pfadd", database, key);
    }
    reply.integer(i64::from(changed > 0));
    Ok(())
}

fn pfcount(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let count = if args.len() == 2 {
        count_one(context, args.at(1))?
    } else {
        let (registers, _) = merged(context, args)?;
        registers.count()
    };
    // A made-up string can hold any count; Redis replies with it as a signed number.
    context.reply.integer(count as i64);
    Ok(())
}

/// The count of one key: that stored in it, or a new one, which is stored then.
fn count_one(context: &mut Context<'_>, key: &[u8]) -> Result<u64, CommandError> {
    let (keyspace, database, _) = context.parts();
    let counted = keyspace.read_with(database, key, |record| {
        let counted = record.map(|record| {
            with_sketch(record, |sketch| match sketch.cached_count() {
                Some(count) => (Ok(count), false),
                None => (sketch.count(), true),
            })
        });
        counted.transpose()
    })?;
    let Some((count, is_new)) = counted else {
        return Ok(0);
    };
    keep_raw(keyspace, database, key);
    let count = count?;
    if is_new {
        keyspace.edit_string(database, key, 0, |bytes| {
            sketches::store_count(bytes, count);
        });
    }
    Ok(count)
}

/// The union of all keys' HyperLogLogs, and whether one of them is dense. Errors: one is none, or corrupted.
fn merged(context: &mut Context<'_>, args: Args<'_>) -> Result<(Registers, bool), CommandError> {
    let (keyspace, database, _) = context.parts();
    let mut registers = Registers::default();
    let mut any_dense = false;
    for index in 1..args.len() {
        keyspace.read_with(database, args.at(index), |record| {
            let Some(record) = record else { return Ok(()) };
            with_sketch(record, |sketch| {
                any_dense |= sketch.encoding == Encoding::Dense;
                sketch.merge_into(&mut registers)
            })??;
            Ok::<(), CommandError>(())
        })?;
    }
    Ok((registers, any_dense))
}

fn pfmerge(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let sparse_max_bytes = context.state.config.hll_sparse_max_bytes as usize;
    let (registers, any_dense) = merged(context, args)?;
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    match keyspace.lookup(database, key) {
        None => {
            let mut bytes = sketches::empty();
            registers.write_to(&mut bytes, any_dense, sparse_max_bytes)?;
            create(keyspace, database, key, bytes);
        }
        Some(record) => {
            let mut bytes = text_of(record)?.with_bytes(<[u8]>::to_vec);
            registers.write_to(&mut bytes, any_dense, sparse_max_bytes)?;
            replace(keyspace, database, key, bytes);
        }
    }
    keyspace.changes.notify(EventClass::String, "pfadd", database, key);
    reply.ok();
    Ok(())
}

fn pfdebug(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let (name, key) = (args.at(1), args.at(2));
    let record = keyspace.lookup(database, key);
    let record = record.ok_or(CommandError::fixed("ERR The specified key does not exist"))?;
    let encoding = with_sketch(record, |sketch| sketch.encoding)?;
    keep_raw(keyspace, database, key);
    match name.to_ascii_lowercase().as_slice() {
        b"getreg" => {
            to_dense(keyspace, database, key)?;
            let record = keyspace.peek(database, key);
            let record = record.ok_or(CommandError::NO_SUCH_KEY)?;
            let mut registers = Registers::default();
            with_sketch(record, |sketch| sketch.merge_into(&mut registers))??;
            let values = registers.values();
            reply.array(values.len());
            values.iter().for_each(|value| reply.integer(i64::from(*value)));
        }
        b"decode" if encoding == Encoding::Dense => {
            return Err(CommandError::fixed("ERR HLL encoding is not sparse"));
        }
        b"decode" => {
            let record = keyspace.peek(database, key);
            let record = record.ok_or(CommandError::NO_SUCH_KEY)?;
            let text = with_sketch(record, |sketch| sparse::describe(sketch.bytes()))?;
            reply.bulk(text.as_bytes());
        }
        b"encoding" => reply.simple(encoding.name()),
        b"todense" => reply.integer(i64::from(to_dense(keyspace, database, key)?)),
        _ => {
            let name = String::from_utf8_lossy(name);
            return Err(CommandError::new(format!("ERR Unknown PFDEBUG subcommand '{name}'")));
        }
    }
    Ok(())
}

/// Turns a HyperLogLog into the dense form; tells whether it was in the other. Errors: it is corrupted.
fn to_dense(keyspace: &mut Keyspace, database: usize, key: &[u8]) -> Result<bool, CommandError> {
    let Some(record) = keyspace.peek(database, key) else {
        return Ok(false);
    };
    let is_sparse = |sketch: Sketch<'_>| sketch.encoding == Encoding::Sparse;
    let converted = with_sketch(record, |sketch| is_sparse(sketch).then(|| sketch.to_dense()).transpose())??;
    match converted {
        None => Ok(false),
        Some(bytes) => {
            replace(keyspace, database, key, bytes);
            Ok(true)
        }
    }
}

fn pfselftest(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let sparse_max_bytes = context.state.config.hll_sparse_max_bytes as usize;
    let result = self_test::run(&mut context.state.random, sparse_max_bytes);
    result.map_err(|failure| CommandError::new(format!("ERR TESTFAILED {failure}")))?;
    context.reply.ok();
    Ok(())
}
