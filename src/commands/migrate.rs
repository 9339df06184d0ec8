//! Moving keys to another server: MIGRATE.

use std::rc::Rc;

use smallvec::smallvec;

use crate::command::error::{CommandError, CommandResult};
use crate::command::keys::{KeyList, KeyReference};
use crate::command::options::{OptionWalk, OptionWord};
use crate::command::spec::{Category, Find, Flag, Group, KeyFlag, KeySpec, READ_AND_DELETE};
use crate::drive::migrate;
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::migrate::protocol::{Login, Order};
use crate::resp::Args;
use crate::resp::number::parse_i64;

/// How long the other side may take where no time is given, in ms.
const TIMEOUT_MS: u64 = 1000;
/// The argument that is the key, or is empty.
const KEY: usize = 3;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::new("migrate", -6, Group::Generic, "2.6.0", migrate)
    .flags(&[Flag::Write, Flag::MovesKeys])
    .categories(&[Category::Keyspace, Category::Dangerous])
    .tips(&["nondeterministic_output"])
    .keys(&[
        KeySpec::one(READ_AND_DELETE, KEY as i32),
        KeySpec::after(
            &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete, KeyFlag::Incomplete],
            "KEYS",
            -2,
            Find::Range { last: -1, step: 1, limit: 0 },
        ),
    ])
    .find_keys(find_keys)
    .complexity("That of DUMP and DEL here and of RESTORE there, and O(N) for sending N bytes.")
    .summary("Moves keys to another server.")
    .history(&[
        ("3.0.0", "The `COPY` and `REPLACE` options."),
        ("3.0.6", "The `KEYS` option."),
        ("4.0.7", "The `AUTH` option."),
        ("6.0.0", "The `AUTH2` option."),
    ])
    .arguments(
        "host port:integer key-selector=(key|empty-string='') destination-db:integer timeout:integer [COPY]@3.0.0 \
         [REPLACE]@3.0.0 authentication=[AUTH auth<password>@4.0.7|AUTH2 {username password}@6.0.0] \
         [KEYS keys<key>#1...]@3.0.6",
    )];

/// An option of MIGRATE.
#[derive(Clone, Copy)]
enum MigrateOption {
    Copy,
    Replace,
    Auth,
    Auth2,
    Keys,
}

static WORDS: &[OptionWord<MigrateOption>] = &[
    OptionWord::new("COPY", 0, MigrateOption::Copy),
    OptionWord::new("REPLACE", 0, MigrateOption::Replace),
    OptionWord::new("AUTH", 1, MigrateOption::Auth),
    OptionWord::new("AUTH2", 2, MigrateOption::Auth2),
    OptionWord::last("KEYS", 0, MigrateOption::Keys),
];

fn walk(args: Args<'_>) -> OptionWalk<'_, MigrateOption> {
    OptionWalk::new(args, 6, WORDS)
}

/// The key in its place, or all those after KEYS if that one is empty; none if both are given. A KEYS in the very last
/// place counts for nothing.
fn find_keys(args: Args<'_>) -> KeyList {
    let mut options = walk(args).flatten();
    let keys = options.find(|(option, _)| matches!(option, MigrateOption::Keys));
    match keys.map(|(_, place)| place + 1) {
        Some(first) if first < args.len() && args.at(KEY).is_empty() => {
            (first..args.len()).map(KeyReference::take_away).collect()
        }
        Some(first) if first < args.len() => KeyList::new(),
        _ => smallvec![KeyReference::take_away(KEY)],
    }
}

/// What MIGRATE is asked for besides where to and how long.
struct Options<'a> {
    copies: bool,
    replaces: bool,
    login: Option<Login>,
    keys: Args<'a>,
}

/// Reads the options; arguments that are secret are noted in `redacted`.
fn parse_options<'a>(args: Args<'a>, redacted: &mut Vec<usize>) -> Result<Options<'a>, CommandError> {
    let mut options = Options { copies: false, replaces: false, login: None, keys: args.slice_from(KEY).first(1) };
    for found in walk(args) {
        let (option, at) = found?;
        let mut secret = |place: usize| {
            redacted.push(place);
            args.at(place).to_vec()
        };
        match option {
            MigrateOption::Copy => options.copies = true,
            MigrateOption::Replace => options.replaces = true,
            MigrateOption::Auth => {
                // A user's name that was given before stays.
                let user = options.login.take().and_then(|login| login.user);
                let password = secret(at + 1);
                options.login = Some(Login { user, password });
            }
            MigrateOption::Auth2 => {
                let user = Some(secret(at + 1));
                let password = secret(at + 2);
                options.login = Some(Login { user, password });
            }
            MigrateOption::Keys => {
                if !args.at(KEY).is_empty() {
                    return Err(CommandError::fixed(
                        "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                    ));
                }
                options.keys = args.slice_from(at + 1);
            }
        }
    }
    Ok(options)
}

fn migrate(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let options = parse_options(args, &mut context.session.redacted)?;
    let timeout_ms = parse_i64(args.at(5)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let target_database = parse_i64(args.at(4)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let (keyspace, database, _) = context.parts();
    let mut seen = keyspace.seed().set();
    let mut keys = Vec::new();
    for key in options.keys.iter() {
        if keyspace.read(database, key).is_some() && seen.insert(key) {
            keys.push(Rc::from(key));
        }
    }
    if keys.is_empty() {
        context.reply.raw(b"+NOKEY\r\n");
        return Ok(());
    }
    let timeout_ms = u64::try_from(timeout_ms).unwrap_or_default();
    let order = Order {
        host: String::from_utf8_lossy(args.at(1)).into_owned(),
        port: parse_port(args.at(2)),
        database,
        target_database,
        timeout_ms: if timeout_ms == 0 { TIMEOUT_MS } else { timeout_ms },
        copies: options.copies,
        replaces: options.replaces,
        asks: context.state.cluster.is_some(),
        login: options.login,
        keys,
    };
    migrate::begin(context, order, args)
}

/// The port as C's `atoi` and a cast read it, which Redis leaves it to: where there is no number it is 0, which
/// refuses connections.
fn parse_port(text: &[u8]) -> u16 {
    let text = text.trim_ascii_start();
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |port: u16, digit| port.wrapping_mul(10).wrapping_add(u16::from(digit - b'0')))
}
