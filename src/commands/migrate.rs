//! Moving keys to another server: MIGRATE.

use std::rc::Rc;

use ahash::AHashSet;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{
    Argument, ArgumentFlag, ArgumentKind, Begin, Category, CommandSpec, Find, Flag, KeyFlag, KeySpec,
};
use crate::drive::migrate;
use crate::drive::migrate::protocol::{Login, Order};
use crate::engine::context::Context;
use crate::resp::Args;
use crate::resp::number::parse_i64;

use super::key_finders;

/// How long the other side may take where no time is given, in ms.
const TIMEOUT_MS: u64 = 1000;
/// The argument that is the key, or is empty.
const KEY: usize = 3;

const KEY_FLAGS: &[KeyFlag] = &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete];

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec {
    name: "migrate",
    arity: -6,
    flags: &[Flag::Write],
    categories: &[Category::Keyspace, Category::Dangerous],
    tips: &["nondeterministic_output"],
    keys: &[
        KeySpec::one(KEY_FLAGS, KEY as i32),
        KeySpec {
            flags: &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete, KeyFlag::Incomplete],
            begin: Begin::Keyword { word: "KEYS", from: -2 },
            find: Find::Range { last: -1, step: 1, limit: 0 },
            notes: None,
        },
    ],
    find_keys: Some(key_finders::migrate),
    since: "2.6.0",
    complexity: "That of DUMP and DEL here and of RESTORE there, and O(N) for sending N bytes.",
    summary: "Moves keys to another server.",
    history: &[
        ("3.0.0", "The `COPY` and `REPLACE` options."),
        ("3.0.6", "The `KEYS` option."),
        ("4.0.7", "The `AUTH` option."),
        ("6.0.0", "The `AUTH2` option."),
    ],
    arguments: &[
        Argument::new("host", ArgumentKind::String),
        Argument::new("port", ArgumentKind::Integer),
        Argument::one_of("key-selector", &[Argument::key("key", 0), Argument::token("empty-string", "")]),
        Argument::new("destination-db", ArgumentKind::Integer),
        Argument::new("timeout", ArgumentKind::Integer),
        Argument::token("copy", "COPY").optional().since("3.0.0"),
        Argument::token("replace", "REPLACE").optional().since("3.0.0"),
        Argument::one_of(
            "authentication",
            &[
                Argument::new("auth", ArgumentKind::String).after("AUTH").shown_as("password").since("4.0.7"),
                Argument::block(
                    "auth2",
                    &[Argument::new("username", ArgumentKind::String), Argument::new("password", ArgumentKind::String)],
                )
                .after("AUTH2")
                .since("6.0.0"),
            ],
        )
        .optional(),
        Argument::key("keys", 1)
            .after("KEYS")
            .shown_as("key")
            .flags(&[ArgumentFlag::Optional, ArgumentFlag::Multiple])
            .since("3.0.6"),
    ],
    handler: migrate,
    ..CommandSpec::DEFAULT
}];

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
    let mut at = 6;
    while let Some(word) = args.get(at) {
        let mut secret = |place: usize| {
            let text = args.get(place).ok_or(CommandError::SYNTAX)?;
            redacted.push(place);
            Ok::<_, CommandError>(text.to_vec())
        };
        if word.eq_ignore_ascii_case(b"copy") {
            options.copies = true;
        } else if word.eq_ignore_ascii_case(b"replace") {
            options.replaces = true;
        } else if word.eq_ignore_ascii_case(b"auth") {
            // A user's name that was given before stays.
            let user = options.login.take().and_then(|login| login.user);
            let password = secret(at + 1)?;
            options.login = Some(Login { user, password });
            at += 1;
        } else if word.eq_ignore_ascii_case(b"auth2") {
            if args.len() <= at + 2 {
                return Err(CommandError::SYNTAX);
            }
            let (user, password) = (secret(at + 1)?, secret(at + 2)?);
            let user = Some(user);
            options.login = Some(Login { user, password });
            at += 2;
        } else if word.eq_ignore_ascii_case(b"keys") {
            if !args.at(KEY).is_empty() {
                return Err(CommandError::fixed(
                    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                ));
            }
            options.keys = args.slice_from(at + 1);
            break;
        } else {
            return Err(CommandError::SYNTAX);
        }
        at += 1;
    }
    Ok(options)
}

fn migrate(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let options = parse_options(args, &mut context.session.redacted)?;
    let timeout_ms = parse_i64(args.at(5)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let target_database = parse_i64(args.at(4)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let (keyspace, database, _) = context.parts();
    let mut seen = AHashSet::new();
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
        login: options.login,
        keys,
    };
    migrate::begin(context, order, args)
}

/// The port as C's `atoi` and a cast read it, which Redis leaves it to: where there is no number it is 0, where nobody listens.
fn parse_port(text: &[u8]) -> u16 {
    let text = text.trim_ascii_start();
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |port: u16, digit| port.wrapping_mul(10).wrapping_add(u16::from(digit - b'0')))
}
