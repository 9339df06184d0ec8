//! Connections: greeting, logging in, resetting, watching, leaving.

use crate::REDIS_VERSION;
use crate::acl::DEFAULT_USER;
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group};
use crate::engine::context::Context;
use crate::engine::enforcement;
use crate::engine::session::{Close, Mode, Session};
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;
use crate::resp::{Protocol, number};

use super::client;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("ping", -1, Group::Connection, "1.0.0", ping)
        .flags(&[Flag::Fast, Flag::WhileSubscribed])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .summary("Tells that the server is alive, or gives the message back.")
        .arguments("[message]"),
    CommandSpec::new("echo", 2, Group::Connection, "1.0.0", echo)
        .flags(&[Flag::Loading, Flag::Stale, Flag::Fast])
        .summary("Gives the message back.")
        .arguments("message"),
    CommandSpec::new("auth", -2, Group::Connection, "1.0.0", auth)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast, Flag::NoAuth, Flag::AllowBusy])
        .complexity("O(N), N being the number of passwords of the user")
        .summary("Logs the client in.")
        .history(&[("6.0.0", "A user's name may come before the password.")])
        .arguments("[username]@6.0.0 password"),
    CommandSpec::new("hello", -1, Group::Connection, "6.0.0", hello)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast, Flag::NoAuth, Flag::AllowBusy])
        .summary("Chooses the protocol, logs in and names the client in one go, and tells about the server.")
        .history(&[("6.2.0", "Without arguments it only tells about the server and the connection.")])
        .arguments("arguments=[protover:integer [AUTH {username password}] [SETNAME clientname]]"),
    CommandSpec::new("reset", 1, Group::Connection, "6.2.0", reset)
        .flags(&[
            Flag::NoScript,
            Flag::Loading,
            Flag::Stale,
            Flag::Fast,
            Flag::NoAuth,
            Flag::AllowBusy,
            Flag::NotQueued,
            Flag::WhileSubscribed,
        ])
        .summary("Puts the connection back into the state after connecting."),
    CommandSpec::new("quit", -1, Group::Connection, "1.0.0", quit)
        .flags(&[
            Flag::NoScript,
            Flag::Loading,
            Flag::Stale,
            Flag::Fast,
            Flag::NoAuth,
            Flag::AllowBusy,
            Flag::NotQueued,
            Flag::WhileSubscribed,
        ])
        .summary("Ends the connection.")
        .deprecated("7.2.0", "just closing the connection"),
    CommandSpec::new("monitor", 1, Group::Server, "1.0.0", monitor)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale])
        .summary("Shows every command that the server runs, as it runs."),
];

fn ping(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if context.session.subscriptions.is_some() && context.reply.protocol() == Protocol::Resp2 && args.len() <= 2 {
        context.reply.array(2);
        context.reply.bulk(b"pong");
        context.reply.bulk(args.get(1).unwrap_or_default());
        return Ok(());
    }
    match (args.get(1), args.len()) {
        (None, _) => context.reply.raw(b"+PONG\r\n"),
        (Some(message), 2) => context.reply.bulk(message),
        _ => return Err(CommandError::wrong_arity(context.command_name())),
    }
    Ok(())
}

fn echo(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    context.reply.bulk(args.at(1));
    Ok(())
}

fn auth(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if args.len() > 3 {
        return Err(CommandError::SYNTAX);
    }
    context.session.redacted.extend(1..args.len());
    let (user, password) = match args.get(2) {
        Some(password) => (args.at(1), password),
        None if context.state.users.default_is_open() => {
            return Err(CommandError::fixed(
                "ERR AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
            ));
        }
        None => (DEFAULT_USER, args.at(1)),
    };
    enforcement::log_in(context, args, user, password)?;
    context.reply.ok();
    Ok(())
}

/// What HELLO asks for.
#[derive(Default)]
struct Greeting<'a> {
    protocol: Option<Protocol>,
    login: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

fn hello(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let greeting = parse_greeting(context.session, args)?;
    if let Some((user, password)) = greeting.login {
        enforcement::log_in(context, args, user, password)?;
    }
    if !context.session.authenticated {
        return Err(CommandError::fixed(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = greeting.name {
        context.session.name = name.to_vec();
    }
    if let Some(protocol) = greeting.protocol {
        context.reply.set_protocol(protocol);
    }
    describe_server(context);
    Ok(())
}

fn parse_greeting<'a>(session: &mut Session, args: Args<'a>) -> Result<Greeting<'a>, CommandError> {
    let mut greeting = Greeting::default();
    if let Some(version) = args.get(1) {
        greeting.protocol = Some(parse_protocol(version)?);
    }
    let mut index = 2;
    while let Some(option) = args.get(index) {
        match (args.get(index + 1), args.get(index + 2)) {
            (Some(user), Some(password)) if option.eq_ignore_ascii_case(b"auth") => {
                session.redacted.extend([index + 1, index + 2]);
                greeting.login = Some((user, password));
                index += 3;
            }
            (Some(name), _) if option.eq_ignore_ascii_case(b"setname") => {
                client::check_name(name)?;
                greeting.name = Some(name);
                index += 2;
            }
            _ => {
                let option = String::from_utf8_lossy(option);
                return Err(CommandError::new(format!("ERR Syntax error in HELLO option '{option}'")));
            }
        }
    }
    Ok(greeting)
}

fn parse_protocol(version: &[u8]) -> Result<Protocol, CommandError> {
    match number::parse_i64(version) {
        Some(2) => Ok(Protocol::Resp2),
        Some(3) => Ok(Protocol::Resp3),
        Some(_) => Err(CommandError::fixed("NOPROTO unsupported protocol version")),
        None => Err(CommandError::fixed("ERR Protocol version is not an integer or out of range")),
    }
}

fn describe_server(context: &mut Context<'_>) {
    let Context { state, session, reply, .. } = context;
    let version = if reply.protocol() == Protocol::Resp3 { 3 } else { 2 };
    let zone = state.config.availability_zone.as_bytes();
    reply.map(if zone.is_empty() { 7 } else { 8 });
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.integer(version);
    reply.bulk(b"id");
    reply.integer(session.id as i64);
    reply.bulk(b"mode");
    reply.bulk(if state.cluster.is_some() { b"cluster" } else { b"standalone" });
    reply.bulk(b"role");
    reply.bulk(if state.replication.is_replica() { b"replica" } else { b"master" });
    reply.bulk(b"modules");
    reply.empty_array();
    if !zone.is_empty() {
        reply.bulk(b"availability_zone");
        reply.bulk(zone);
    }
}

fn reset(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let Context { state, session, reply, .. } = context;
    state.clients.remove_monitor(session);
    state.abandon_transaction(session);
    state.pubsub.remove(session);
    state.stop_tracking(session);
    session.reset();
    session.user = state.default_user();
    session.authenticated = !state.authentication_required();
    reply.set_protocol(Protocol::Resp2);
    reply.simple("RESET");
    Ok(())
}

fn quit(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    context.reply.ok();
    context.session.close = Close::AfterReply;
    Ok(())
}

/// A client that monitors already gets no reply, as in Redis.
fn monitor(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    if !context.may_block() {
        return Err(CommandError::fixed("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    if context.session.mode != Mode::Monitor {
        context.state.clients.add_monitor(context.session);
        context.reply.ok();
    }
    Ok(())
}
