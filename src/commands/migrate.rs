//! Moving keys to another server: MIGRATE.

use std::rc::Rc;

use ahash::AHashSet;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Category, CommandSpec, Find, Flag, Group, KeyFlag, KeySpec, READ_AND_DELETE};
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

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::new("migrate", -6, Group::Generic, "2.6.0", migrate)
    .flags(&[Flag::Write])
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
    .find_keys(key_finders::migrate)
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
