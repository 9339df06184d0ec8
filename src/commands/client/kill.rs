//! CLIENT KILL: whom it is about, and closing them.

use crate::command::error::{CommandError, CommandResult};
use crate::drive::replication::replica;
use crate::engine::context::Context;
use crate::engine::session::{ClientKind, Close, Session};
use crate::resp::Args;
use crate::resp::number;

/// What a connection must be like to be closed.
struct Filter<'a> {
    id: Option<u64>,
    kind: Option<ClientKind>,
    user: Option<&'a [u8]>,
    address: Option<&'a [u8]>,
    local_address: Option<&'a [u8]>,
    /// Age in seconds.
    least_age_s: Option<i64>,
    skip_caller: bool,
}

impl Filter<'_> {
    fn matches(&self, session: &Session, now_ms: i64) -> bool {
        let is = |wanted: Option<&[u8]>, text: &[u8]| wanted.is_none_or(|wanted| wanted == text);
        session.close != Close::Now
            && self.id.is_none_or(|id| id == session.id)
            && self.kind.is_none_or(|kind| kind == session.kind())
            && is(self.user, session.user.name())
            && is(self.address, session.address.peer.as_bytes())
            && is(self.local_address, session.address.local.as_bytes())
            && self.least_age_s.is_none_or(|least_s| session.age_s(now_ms) >= least_s)
    }
}

/// The type of clients that a word of CLIENT LIST and CLIENT KILL means.
pub(crate) fn parse_kind(word: &[u8]) -> Result<ClientKind, CommandError> {
    ClientKind::from_name(word).ok_or_else(|| {
        let word = String::from_utf8_lossy(word);
        CommandError::new(format!("ERR Unknown client type '{word}'"))
    })
}

pub(crate) fn kill(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let is_old_form = args.len() == 3;
    let filter = if is_old_form { of_address(args.at(2)) } else { parse_filter(context, args)? };
    let now_ms = context.state.now_ms();
    let clients = &mut context.state.clients;
    let others = clients.iter().filter(|session| filter.matches(session, now_ms));
    let others: Vec<_> = others.map(|session| session.token).collect();
    for token in &others {
        clients.kill(*token);
    }
    let primary = context.state.replication.primary_client();
    let is_primary_meant = primary.is_some_and(|session| filter.matches(session, now_ms));
    if is_primary_meant {
        replica::cut_link(context.state);
    }
    // The caller is out on loan, and still gets its reply.
    let caller = !filter.skip_caller && filter.matches(context.session, now_ms);
    if caller {
        context.session.close = Close::AfterReply;
    }
    let count = others.len() + usize::from(caller) + usize::from(is_primary_meant);
    match (is_old_form, count) {
        (true, 0) => return Err(CommandError::fixed("ERR No such client")),
        (true, _) => context.reply.ok(),
        (false, _) => context.reply.integer(count as i64),
    }
    Ok(())
}

/// The old form: one address, which may be the caller's own.
fn of_address(address: &[u8]) -> Filter<'_> {
    Filter {
        id: None,
        kind: None,
        user: None,
        address: Some(address),
        local_address: None,
        least_age_s: None,
        skip_caller: false,
    }
}

fn parse_filter<'a>(context: &Context<'_>, args: Args<'a>) -> Result<Filter<'a>, CommandError> {
    let mut filter = Filter { address: None, skip_caller: true, ..of_address(b"") };
    let mut index = 2;
    while let Some(option) = args.get(index) {
        let value = args.get(index + 1).ok_or(CommandError::SYNTAX)?;
        match option.to_ascii_lowercase().as_slice() {
            b"id" => filter.id = Some(parse_id(value)?),
            b"type" => filter.kind = Some(parse_kind(value)?),
            b"user" => filter.user = Some(parse_user(context, value)?),
            b"addr" => filter.address = Some(value),
            b"laddr" => filter.local_address = Some(value),
            b"maxage" => filter.least_age_s = Some(parse_age(value)?),
            b"skipme" => filter.skip_caller = parse_yes_or_no(value)?,
            _ => return Err(CommandError::SYNTAX),
        }
        index += 2;
    }
    Ok(filter)
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

fn parse_age(value: &[u8]) -> Result<i64, CommandError> {
    match number::parse_i64(value) {
        None => Err(CommandError::fixed("ERR maxage is not an integer or out of range")),
        Some(age_s) if age_s <= 0 => Err(CommandError::fixed("ERR maxage should be greater than 0")),
        Some(age_s) => Ok(age_s),
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
