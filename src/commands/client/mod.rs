//! CLIENT: what a client says of itself, and what is done to all of them. Never closes a socket: a session is
//! marked, and the loop closes its connection.

mod filter;
pub mod kill;
pub mod list;
pub mod table;
pub mod tracking;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::Group;
use crate::command::timeout;
use crate::engine::context::Context;
use crate::engine::session::ReplyMode;
use crate::engine::state::program::CommandSpec;
use crate::engine::wake;
use crate::engine::wake::UnblockReason;
use crate::resp::Args;
use crate::resp::number;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("client", Group::Connection, "2.4.0")
    .complexity("That of the subcommand.")
    .summary("What concerns the connections of clients.")
    .subcommands(table::SUBCOMMANDS)];

/// Fails unless a client may have this name.
pub(crate) fn check_name(name: &[u8]) -> CommandResult {
    if is_plain(name) {
        return Ok(());
    }
    Err(CommandError::fixed("ERR Client names cannot contain spaces, newlines or special characters."))
}

/// Whether every byte is a printable ASCII character other than the space, so that it does not
/// break a line of CLIENT LIST.
fn is_plain(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_graphic)
}

/// The error of a subcommand that has too many arguments for its form.
fn wrong_form(args: Args<'_>) -> CommandError {
    let subcommand = String::from_utf8_lossy(args.at(1));
    CommandError::new(format!(
        "ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try CLIENT HELP."
    ))
}

/// ON or OFF.
fn parse_switch(word: &[u8]) -> Result<bool, CommandError> {
    if word.eq_ignore_ascii_case(b"on") {
        Ok(true)
    } else if word.eq_ignore_ascii_case(b"off") {
        Ok(false)
    } else {
        Err(CommandError::SYNTAX)
    }
}

pub(crate) fn getname(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let Context { session, reply, .. } = context;
    if session.name.is_empty() {
        reply.null();
    } else {
        reply.bulk(&session.name);
    }
    Ok(())
}

/// What CLIENT HELP tells: forms, and what they do indented below.
const HELP: &[&str] = &[
    "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CACHING (YES|NO)",
    "    Whether the keys that the next command reads are tracked, in the modes OPTIN and OPTOUT.",
    "CAPA <option> [options...]",
    "    What the client can do:",
    "    * REDIRECT",
    "      It asks the primary that a replica names in an error.",
    "GETREDIR",
    "    The client that gets this connection's invalidation messages.",
    "GETNAME",
    "    The connection's name.",
    "ID",
    "    The connection's number.",
    "IMPORT-SOURCE (ON|OFF)",
    "    Whether this connection brings keys of another server in import mode, and so finds expired ones.",
    "INFO",
    "    A line about the connection.",
    "KILL <ip:port>",
    "    Close the connection that comes from this address.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Close the connections to which all of this applies:",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "      It comes from this address.",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "      It goes to this address of the server.",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      It is of this type.",
    "    * USER <username>",
    "      This user is logged in.",
    "    * SKIPME (YES|NO)",
    "      It is not the calling one (YES, which is the default).",
    "    * ID <client-id>",
    "      It has this number.",
    "    * MAXAGE <maxage>",
    "      It was opened so many seconds ago, or earlier.",
    "    * IDLE <idle>",
    "      It has been silent for so many seconds.",
    "    * NAME <client-name>, LIB-NAME <library-name>, LIB-VER <library-version>",
    "      It says so of itself.",
    "    * FLAGS <flags>, DB <db-id>, CAPA <capa>, IP <ip>",
    "      It has all these flags, this database, this capability, this address.",
    "    NOT- before the name of a filter, but for SKIPME, MAXAGE and IDLE, means all others.",
    "LIST [options ...]",
    "    A line about every connection, or about some:",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Those of this type.",
    "    * ID <client-id> [<client-id> ...]",
    "      Those with these numbers.",
    "    * The filters of KILL, too.",
    "UNPAUSE",
    "    End a pause: serve everybody again.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Hold all commands, or only those that write, back for so many milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Whether this connection gets replies; SKIP leaves the next one out.",
    "SETNAME <name>",
    "    Name the connection.",
    "SETINFO <option> <value>",
    "    Note something about the client:",
    "    * LIB-NAME: its library.",
    "    * LIB-VER: the version of its library.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
    "         [OPTIN] [OPTOUT] [NOLOOP]",
    "    Whether and how this connection is told that keys it has read were changed.",
    "TRACKINGINFO",
    "    What TRACKING has set up.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    End a client's wait in a blocking command.",
    "NO-EVICT (ON|OFF)",
    "    Spare this connection when clients are closed to free memory.",
    "NO-TOUCH (ON|OFF)",
    "    Leave the access times of the keys that this connection reads alone.",
    "HELP",
    "    Prints this help.",
];

pub(crate) fn help(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    context.reply.array(HELP.len());
    for line in HELP {
        context.reply.simple(line);
    }
    Ok(())
}

pub(crate) fn id(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    context.reply.integer(context.session.id as i64);
    Ok(())
}

/// Capabilities that are not known are passed over.
pub(crate) fn capa(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let capabilities = args.slice_from(2);
    context.session.follows_redirects |= capabilities.iter().any(|name| name.eq_ignore_ascii_case(b"redirect"));
    context.reply.ok();
    Ok(())
}

pub(crate) fn import_source(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let is_off = args.at(2).eq_ignore_ascii_case(b"off");
    if !context.state.config.import_mode && !is_off {
        return Err(CommandError::fixed("ERR Server is not in import mode"));
    }
    context.session.imports = parse_switch(args.at(2))?;
    context.reply.ok();
    Ok(())
}

pub(crate) fn no_evict(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    context.session.no_evict = parse_switch(args.at(2))?;
    context.reply.ok();
    Ok(())
}

pub(crate) fn no_touch(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    context.session.no_touch = parse_switch(args.at(2))?;
    context.reply.ok();
    Ok(())
}

pub(crate) fn pause(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let all = match (args.get(3), args.len()) {
        (None, _) => true,
        (Some(mode), 4) if mode.eq_ignore_ascii_case(b"all") => true,
        (Some(mode), 4) if mode.eq_ignore_ascii_case(b"write") => false,
        (Some(_), 4) => {
            return Err(CommandError::fixed("ERR CLIENT PAUSE mode must be WRITE or ALL"));
        }
        _ => return Err(wrong_form(args)),
    };
    let until_ms = timeout::parse_milliseconds(args.at(2), context.state.now_ms())?;
    context.state.pause_clients(until_ms.unwrap_or(0), all);
    context.reply.ok();
    Ok(())
}

/// ON alone is answered: the others say that there is to be no answer.
pub(crate) fn reply(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let mode = args.at(2);
    if mode.eq_ignore_ascii_case(b"on") {
        context.session.reply_mode = ReplyMode::On;
        context.reply.ok();
    } else if mode.eq_ignore_ascii_case(b"off") {
        context.session.reply_mode = ReplyMode::Off;
    } else if mode.eq_ignore_ascii_case(b"skip") {
        if context.session.reply_mode != ReplyMode::Off {
            context.session.reply_mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(CommandError::SYNTAX);
    }
    Ok(())
}

pub(crate) fn setinfo(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (attribute, value) = (args.at(2), args.at(3));
    let session = &mut *context.session;
    let target = if attribute.eq_ignore_ascii_case(b"lib-name") {
        &mut session.library_name
    } else if attribute.eq_ignore_ascii_case(b"lib-ver") {
        &mut session.library_version
    } else {
        let attribute = String::from_utf8_lossy(attribute);
        return Err(CommandError::new(format!("ERR Unrecognized option '{attribute}'")));
    };
    if !is_plain(value) {
        let attribute = String::from_utf8_lossy(attribute);
        return Err(CommandError::new(format!(
            "ERR {attribute} cannot contain spaces, newlines or special characters."
        )));
    }
    *target = value.to_vec();
    context.reply.ok();
    Ok(())
}

pub(crate) fn setname(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    check_name(args.at(2))?;
    context.session.name = args.at(2).to_vec();
    context.reply.ok();
    Ok(())
}

/// Only who waits for a key is woken by this: not a client that a pause holds back.
pub(crate) fn unblock(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let ending = match (args.get(3), args.len()) {
        (None, _) => UnblockReason::TimedOut,
        (Some(reason), 4) if reason.eq_ignore_ascii_case(b"timeout") => UnblockReason::TimedOut,
        (Some(reason), 4) if reason.eq_ignore_ascii_case(b"error") => UnblockReason::Unblocked,
        (Some(_), 4) => {
            return Err(CommandError::fixed("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
        }
        _ => return Err(wrong_form(args)),
    };
    let id = number::parse_i64(args.at(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let id = u64::try_from(id).ok();
    let token = id.and_then(|id| context.state.clients.find(id));
    let ended = token.is_some_and(|token| wake::end(context.state, token, ending));
    context.reply.integer(ended.into());
    Ok(())
}

pub(crate) fn unpause(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    context.state.unpause();
    context.reply.ok();
    Ok(())
}
