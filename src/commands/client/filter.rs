//! The filters of CLIENT LIST and CLIENT KILL.

use crate::command::error::CommandError;
use crate::engine::client_line;
use crate::engine::context::Context;
use crate::engine::session::{ClientKind, Close, Session};
use crate::engine::state::ServerState;
use crate::resp::{Args, number};

/// The letters of flags that clients may have, here or in Valkey.
const FLAG_LETTERS: &[u8] = b"ABEIMNOPRSTUbcdeirtux";

/// What a client must be like. All conditions have to be met.
#[derive(Default)]
pub(super) struct Filter<'a> {
    conditions: Vec<Condition<'a>>,
    /// Whether the calling client is left out; none: nothing was said.
    pub skips_caller: Option<bool>,
}

/// One condition.
struct Condition<'a> {
    property: Property<'a>,
    /// Whether the client must not have the property.
    is_negated: bool,
}

/// A property that clients may have.
enum Property<'a> {
    Ids(Vec<u64>),
    Kind(ClientKind),
    User(&'a [u8]),
    Address(&'a [u8]),
    LocalAddress(&'a [u8]),
    Ip(&'a [u8]),
    Name(&'a [u8]),
    LibraryName(&'a [u8]),
    LibraryVersion(&'a [u8]),
    Flags(&'a [u8]),
    Database(usize),
    /// It follows redirections.
    Redirects,
    AgeMin(i64),
    IdleMin(i64),
}

impl<'a> Filter<'a> {
    /// One address, which may be the caller's own: the old form of CLIENT KILL.
    pub(super) fn of_address(address: &'a [u8]) -> Filter<'a> {
        let condition = Condition { property: Property::Address(address), is_negated: false };
        Filter { conditions: vec![condition], skips_caller: Some(false) }
    }

    /// Reads the filters from argument `index` on.
    pub(super) fn parse(context: &Context<'_>, args: Args<'a>, mut index: usize) -> Result<Filter<'a>, CommandError> {
        let mut filter = Filter::default();
        while let Some(option) = args.get(index) {
            let value = args.get(index + 1).ok_or(CommandError::SYNTAX)?;
            index += 2;
            let option = option.to_ascii_lowercase();
            let (name, is_negated) = match option.strip_prefix(b"not-") {
                Some(name) => (name, true),
                None => (option.as_slice(), false),
            };
            let property = match name {
                b"skipme" if !is_negated => {
                    filter.skips_caller = Some(parse_yes_or_no(value)?);
                    continue;
                }
                b"id" => {
                    let mut ids = vec![parse_id(value)?];
                    while let Some(more) = args.get(index).filter(|more| number::parse_i64(more).is_some()) {
                        ids.push(parse_id(more)?);
                        index += 1;
                    }
                    Property::Ids(ids)
                }
                b"maxage" if !is_negated => Property::AgeMin(parse_seconds("maxage", value)?),
                b"idle" if !is_negated => Property::IdleMin(parse_seconds("idle", value)?),
                _ => parse_property(context, name, value)?,
            };
            filter.conditions.push(Condition { property, is_negated });
        }
        Ok(filter)
    }

    /// Whether a client is meant.
    pub(super) fn matches(&self, state: &ServerState, session: &Session) -> bool {
        let is_met = |condition: &Condition<'_>| condition.property.is_of(state, session) != condition.is_negated;
        session.close != Close::Now && self.conditions.iter().all(is_met)
    }
}

impl Property<'_> {
    fn is_of(&self, state: &ServerState, session: &Session) -> bool {
        let now_ms = state.now_ms();
        match self {
            Property::Ids(ids) => ids.contains(&session.id),
            Property::Kind(kind) => *kind == session.kind(),
            Property::User(name) => *name == session.user.name(),
            Property::Address(address) => *address == session.address.peer.as_bytes(),
            Property::LocalAddress(address) => *address == session.address.local.as_bytes(),
            Property::Ip(ip) => *ip == ip_of(&session.address.peer).as_bytes(),
            Property::Name(name) => *name == session.name,
            Property::LibraryName(name) => *name == session.library_name,
            Property::LibraryVersion(version) => *version == session.library_version,
            Property::Flags(letters) => {
                let flags = client_line::flags(state, session);
                letters.iter().all(|letter| flags.as_bytes().contains(letter))
            }
            Property::Database(database) => *database == session.database,
            Property::Redirects => session.follows_redirects,
            Property::AgeMin(seconds) => session.age_s(now_ms) >= *seconds,
            Property::IdleMin(seconds) => session.idle_s(now_ms) >= *seconds,
        }
    }
}

/// An address without its port.
fn ip_of(address: &str) -> &str {
    let ip = address.rsplit_once(':').map_or(address, |(ip, _)| ip);
    ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip)
}

fn parse_property<'a>(context: &Context<'_>, name: &[u8], value: &'a [u8]) -> Result<Property<'a>, CommandError> {
    let unknown = |kind: &str| {
        let value = String::from_utf8_lossy(value);
        CommandError::new(format!("ERR Unknown {kind} found in the provided filter: {value}"))
    };
    Ok(match name {
        b"type" => Property::Kind(parse_kind(value)?),
        b"user" => Property::User(parse_user(context, value)?),
        b"addr" => Property::Address(value),
        b"laddr" => Property::LocalAddress(value),
        b"ip" => Property::Ip(value),
        b"name" => Property::Name(value),
        b"lib-name" => Property::LibraryName(value),
        b"lib-ver" => Property::LibraryVersion(value),
        b"db" => Property::Database(parse_database(context, value)?),
        b"flags" if value.iter().all(|letter| FLAG_LETTERS.contains(letter)) => Property::Flags(value),
        b"flags" => return Err(unknown("flags")),
        b"capa" if value.iter().all(|letter| *letter == b'r') => Property::Redirects,
        b"capa" => return Err(unknown("capa")),
        _ => return Err(CommandError::SYNTAX),
    })
}

/// The type of clients that a word of CLIENT LIST and CLIENT KILL means.
pub(super) fn parse_kind(word: &[u8]) -> Result<ClientKind, CommandError> {
    ClientKind::from_name(word).ok_or_else(|| {
        let word = String::from_utf8_lossy(word);
        CommandError::new(format!("ERR Unknown client type '{word}'"))
    })
}

fn parse_database(context: &Context<'_>, value: &[u8]) -> Result<usize, CommandError> {
    let last = context.state.config.databases.saturating_sub(1);
    let database = number::parse_i64(value).ok_or(CommandError::fixed("ERR DB is not an integer or out of range"))?;
    let database = usize::try_from(database).ok().filter(|database| *database <= last as usize);
    database.ok_or_else(|| CommandError::new(format!("ERR DB number should be between 0 and {last}")))
}

fn parse_id(value: &[u8]) -> Result<u64, CommandError> {
    let id = number::parse_i64(value).and_then(|id| u64::try_from(id).ok());
    id.filter(|id| *id > 0).ok_or(CommandError::fixed("ERR client-id should be greater than 0"))
}

fn parse_user<'a>(context: &Context<'_>, name: &'a [u8]) -> Result<&'a [u8], CommandError> {
    if context.state.knows_user(name) {
        return Ok(name);
    }
    let name = String::from_utf8_lossy(name);
    Err(CommandError::new(format!("ERR No such user '{name}'")))
}

fn parse_seconds(name: &str, value: &[u8]) -> Result<i64, CommandError> {
    match number::parse_i64(value) {
        None => Err(CommandError::new(format!("ERR {name} is not an integer or out of range"))),
        Some(seconds) if seconds <= 0 => Err(CommandError::new(format!("ERR {name} should be greater than 0"))),
        Some(seconds) => Ok(seconds),
    }
}

fn parse_yes_or_no(value: &[u8]) -> Result<bool, CommandError> {
    if value.eq_ignore_ascii_case(b"yes") {
        Ok(true)
    } else if value.eq_ignore_ascii_case(b"no") {
        Ok(false)
    } else {
        Err(CommandError::SYNTAX)
    }
}
