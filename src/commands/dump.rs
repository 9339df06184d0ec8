//! Values as bytes, to be kept or sent elsewhere: DUMP, RESTORE and RESTORE-ASKING.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Category, Flag, Group, KeySpec, OVERWRITE, READ};
use crate::config::DumpSanitizing;
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{EventClass, Record};
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::storage::rdb::Payload;
use crate::storage::values::{LoadBuffer, LoadSettings, Loaded, load};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("dump", 2, Group::Generic, "2.6.0", dump)
        .flags(&[Flag::ReadOnly])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(N) for a value of N bytes.")
        .summary("Gives the bytes of which RESTORE makes the same value again.")
        .arguments("key"),
    CommandSpec::new("restore", -4, Group::Generic, "2.6.0", restore)
        .flags(&[Flag::Write, Flag::DenyOom])
        .categories(&[Category::Keyspace, Category::Dangerous])
        .keys(&[KeySpec::one(OVERWRITE, 1)])
        .complexity("O(N) for a value of N bytes; O(N*log(N)) for a sorted set of N members.")
        .summary("Creates a key of the bytes that DUMP gave.")
        .history(&[
            ("3.0.0", "The `REPLACE` option."),
            ("5.0.0", "The `ABSTTL` option."),
            ("5.0.0", "The `IDLETIME` and `FREQ` options."),
        ])
        .arguments(
            "key ttl:integer serialized-value [REPLACE]@3.0.0 [ABSTTL]@5.0.0 [IDLETIME seconds:integer]@5.0.0 \
             [FREQ frequency:integer]@5.0.0",
        ),
    CommandSpec::new("restore-asking", -4, Group::Server, "3.0.0", restore)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Asking, Flag::System])
        .categories(&[Category::Keyspace, Category::Dangerous])
        .keys(&[KeySpec::one(OVERWRITE, 1)])
        .complexity("O(N) for a value of N bytes; O(N*log(N)) for a sorted set of N members.")
        .summary("Creates a key that comes from another node of the cluster.")
        .history(&[
            ("3.0.0", "The `REPLACE` option."),
            ("5.0.0", "The `ABSTTL` option."),
            ("5.0.0", "The `IDLETIME` and `FREQ` options."),
        ])
        .arguments(
            "key ttl:integer serialized-value [REPLACE]@3.0.0 [ABSTTL]@5.0.0 [IDLETIME seconds:integer]@5.0.0 \
             [FREQ frequency:integer]@5.0.0",
        ),
];

fn dump(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let state = &mut *context.state;
    let database = context.session.database;
    let Some(record) = state.keyspace.read(database, args.at(1)) else {
        context.reply.null();
        return Ok(());
    };
    let compresses = state.config.rdbcompression;
    let payload = state.serialization.payload_of(record, compresses);
    context.reply.bulk_shared(&payload.into());
    Ok(())
}

/// What RESTORE is asked for besides key, time and value.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    replace: bool,
    /// The time is a moment, not a duration.
    absolute: bool,
    idle_seconds: Option<i64>,
    frequency: Option<u8>,
}

impl Options {
    fn parse(words: Args<'_>) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word.eq_ignore_ascii_case(b"replace") {
                options.replace = true;
            } else if word.eq_ignore_ascii_case(b"absttl") {
                options.absolute = true;
            } else if word.eq_ignore_ascii_case(b"idletime")
                && options.frequency.is_none()
                && let Some(text) = words.next()
            {
                const ERROR: CommandError = CommandError::fixed("ERR Invalid IDLETIME value, must be >= 0");
                let seconds = parse_i64(text).ok_or(CommandError::NOT_AN_INTEGER)?;
                options.idle_seconds = Some(seconds).filter(|seconds| *seconds >= 0);
                options.idle_seconds.ok_or(ERROR)?;
            } else if word.eq_ignore_ascii_case(b"freq")
                && options.idle_seconds.is_none()
                && let Some(text) = words.next()
            {
                const ERROR: CommandError = CommandError::fixed("ERR Invalid FREQ value, must be >= 0 and <= 255");
                let frequency = parse_i64(text).ok_or(CommandError::NOT_AN_INTEGER)?;
                options.frequency = u8::try_from(frequency).ok();
                options.frequency.ok_or(ERROR)?;
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(options)
    }
}

fn restore(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    const BUSY: CommandError = CommandError::fixed("BUSYKEY Target key name already exists.");
    const INVALID_TIME: CommandError = CommandError::fixed("ERR Invalid TTL value, must be >= 0");
    let key = args.at(1);
    let options = Options::parse(args.slice_from(4))?;
    let (keyspace, database, _) = context.parts();
    let present = keyspace.lookup(database, key).is_some();
    if present && !options.replace {
        return Err(BUSY);
    }
    let time_ms = parse_i64(args.at(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    if time_ms < 0 {
        return Err(INVALID_TIME);
    }
    let now_ms = keyspace.now_ms;
    let expiry_ms = match time_ms {
        0 => None,
        time_ms if options.absolute => Some(time_ms),
        // As in Redis, a time beyond all numbers is a time in the past.
        duration_ms => Some(duration_ms.wrapping_add(now_ms)),
    };
    let loaded = load_payload(context, args.at(3))?;
    let (keyspace, database, reply) = context.parts();
    if expiry_ms.is_some_and(|time_ms| keyspace.is_past(time_ms)) {
        if present && keyspace.remove(database, key) {
            keyspace.changes.propagation.replace_by_removal(key);
            keyspace.changes.notify(EventClass::Generic, "del", database, key);
        }
        reply.ok();
        return Ok(());
    }
    let access = match (options.idle_seconds, options.frequency) {
        (Some(seconds), _) => keyspace.access.of_idle(seconds),
        (_, Some(frequency)) => keyspace.access.of_frequency(frequency),
        _ => keyspace.access.of_new(),
    };
    let mut buffer = LoadBuffer::default();
    let record = Record::new(key, loaded.into_new(&mut buffer), expiry_ms, access);
    keyspace.settle_in(database, record);
    if let Some(expiry_ms) = expiry_ms.filter(|_| !options.absolute)
        && keyspace.changes.propagation.is_on()
    {
        let mut digits = itoa::Buffer::new();
        let moment = digits.format(expiry_ms).as_bytes();
        let words = args.iter().enumerate();
        let words = words.map(|(index, word)| if index == 2 { moment } else { word });
        let absolute: [&[u8]; 1] = [b"ABSTTL"];
        let words = words.chain(absolute);
        keyspace.changes.propagation.replace_with(args.len() + 1, words);
    }
    keyspace.changes.notify(EventClass::Generic, "restore", database, key);
    reply.ok();
    Ok(())
}

/// The value in a payload, which is checked in full whatever is set: a client's bytes must do no harm.
fn load_payload(context: &mut Context<'_>, bytes: &[u8]) -> Result<Loaded, CommandError> {
    const WRONG: CommandError = CommandError::fixed("ERR DUMP payload version or checksum are wrong");
    const DAMAGED: CommandError = CommandError::fixed("ERR Bad data format");
    let state = &mut *context.state;
    let versions = state.config.rdb_version_check;
    let payload = Payload::verify(bytes, versions, !state.serialization.skips_checksum).ok_or(WRONG)?;
    let mut settings = LoadSettings::of(&state.config);
    settings.lists.large_bytes = state.debug.list_large_bytes;
    let (loaded, packed_blocks) = load(&payload, &settings, state.keyspace.seed()).map_err(|error| {
        log::warn!("Bad data format in RESTORE: {error}");
        DAMAGED
    })?;
    let is_trusted = match state.config.sanitize_dump_payload {
        DumpSanitizing::No => true,
        DumpSanitizing::Clients => context.session.user.skips_sanitizing(),
        DumpSanitizing::Yes => false,
    };
    if !is_trusted {
        state.stats.sanitized_payloads += packed_blocks;
    }
    Ok(loaded)
}
