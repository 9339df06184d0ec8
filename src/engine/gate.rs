//! The admission of a request: every reason to refuse one, in the order in which Redis gives them.

use crate::acl::{self, AclError};
use crate::engine::replication::ReplicaSide;
use crate::engine::routing;
use crate::engine::session::{Mode, Session};
use crate::engine::state::ServerState;
use crate::resp::Protocol;

use crate::command::error::CommandError;
use crate::command::registry::{Command, CommandId};
use crate::command::spec::{Flag, FlagSet};
use crate::resp::Args;

/// Longest part of a request that the error for an unknown command quotes, in bytes.
const QUOTED_MAX: usize = 128;

/// What is to be done with a request.
pub enum Verdict {
    Run(CommandId),
    /// Keep it for EXEC, with what this request may do.
    Queue(CommandId, FlagSet),
    Refuse(CommandError),
    /// Another node of the cluster is to run it, or none can.
    Redirect(CommandError),
    /// The user may not.
    Deny(CommandId, AclError),
    /// Keep it for later.
    Pause,
    /// It is HTTP: a browser was led here. Close without a word.
    Abort,
}

/// Decides whether a request may run now.
#[inline]
pub fn admit(
    state: &ServerState,
    session: &Session,
    protocol: Protocol,
    args: Args<'_>,
    resolved: Option<CommandId>,
) -> Verdict {
    let Some(id) = resolved else {
        return admit_unknown(args);
    };
    let command = state.commands.get(id);
    let shape = check_shape(command, args);
    if let Err(error) = shape.and_then(|()| check_permission(state, session, command)) {
        return Verdict::Refuse(error);
    }
    if !session.authenticated && state.authentication_required() && !command.flags.has(Flag::NoAuth) {
        return Verdict::Refuse(CommandError::fixed("NOAUTH Authentication required."));
    }
    if session.transaction.is_some() && command.flags.has(Flag::NoMulti) {
        return Verdict::Refuse(CommandError::fixed("ERR Command not allowed inside a transaction"));
    }
    if let Err(denial) = acl::check(&session.user, command, args, state.selection(session.next_database())) {
        return Verdict::Deny(id, denial);
    }
    admit_now(state, session, protocol, args, command)
}

/// Commands that scripts which may not write may not call.
const CHANGES: FlagSet = FlagSet::of(&[Flag::Write, Flag::MayReplicate]);

/// Decides whether a script may run a command. While it runs, nothing is paused, and every unit is its own.
pub fn admit_in_script(
    state: &ServerState,
    session: &mut Session,
    args: Args<'_>,
    resolved: Option<CommandId>,
) -> Verdict {
    let refuse = |text| Verdict::Refuse(CommandError::fixed(text));
    let Some(id) = resolved else {
        return refuse("ERR Unknown Redis command called from script");
    };
    let (command, limits) = (state.commands.get(id), session.script);
    let flags = command.flags;
    if !command.subcommands.is_empty() && args.len() >= 2 {
        return refuse("ERR Unknown Redis command called from script");
    }
    if !command.accepts(args.len()) {
        return refuse("ERR Wrong number of args calling Redis command from script");
    }
    if flags.has(Flag::NoScript) && !state.scripting.allows_all {
        return refuse("ERR This Redis command is not allowed from script");
    }
    if let Err(denial) = acl::check(&session.user, command, args, state.selection(session.database)) {
        return Verdict::Deny(id, denial);
    }
    if limits.is_read_only && flags.intersects(CHANGES) {
        return refuse("ERR Write commands are not allowed from read-only scripts.");
    }
    if session.policy.is_limited
        && let Some(replica) = &state.replication.replica
    {
        if flags.has(Flag::Write) && state.config.replica_read_only {
            return Verdict::Refuse(CommandError::READ_ONLY);
        }
        if is_stale(state, replica) && !flags.has(Flag::Stale) {
            return refuse("ERR Can not execute the command on a stale replica");
        }
    }
    if session.policy.is_limited && !limits.has_written {
        if !limits.allows_oom && flags.has(Flag::DenyOom) && state.memory.is_full() {
            return Verdict::Refuse(CommandError::OUT_OF_MEMORY);
        }
        if flags.has(Flag::Write) && state.refuses_writes_for_failed_save() {
            return Verdict::Refuse(CommandError::SAVE_FAILED);
        }
        if flags.has(Flag::Write) && state.guard.is_restricted && state.lacks_good_replicas() {
            return Verdict::Refuse(CommandError::NO_GOOD_REPLICAS);
        }
    }
    if session.policy.is_limited && state.guard.is_on {
        match routing::check_in_script(state, session, command, args) {
            Ok(slot) => session.script.slot = slot.or(session.script.slot),
            Err(text) => return refuse(text),
        }
    }
    Verdict::Run(id)
}

/// Decides whether a command may run that was admitted when it was first run.
pub fn admit_trusted(state: &ServerState, args: Args<'_>, resolved: Option<CommandId>) -> Verdict {
    let Some(id) = resolved else {
        return Verdict::Refuse(unknown_command(args));
    };
    let command = state.commands.get(id);
    match command.accepts(args.len()) {
        true => Verdict::Run(id),
        false => Verdict::Refuse(CommandError::wrong_arity(&command.full_name)),
    }
}

/// Decides whether a command of the primary's stream runs, or is queued because it is part of a transaction.
pub fn admit_of_stream(state: &ServerState, session: &Session, args: Args<'_>, resolved: Option<CommandId>) -> Verdict {
    match admit_trusted(state, args, resolved) {
        Verdict::Run(id) if session.transaction.is_some() => match state.commands.get(id).flags {
            flags if flags.has(Flag::NotQueued) => Verdict::Run(id),
            flags => Verdict::Queue(id, flags),
        },
        verdict => verdict,
    }
}

/// Decides whether a command of the source of an import runs: it has to be about the keys of the imported slots.
#[cold]
pub fn admit_of_source(state: &ServerState, session: &Session, args: Args<'_>, resolved: Option<CommandId>) -> Verdict {
    let id = match admit_trusted(state, args, resolved) {
        Verdict::Run(id) => id,
        verdict => return verdict,
    };
    let command = state.commands.get(id);
    if let Err(denial) = acl::check(&session.user, command, args, state.selection(session.database)) {
        return Verdict::Deny(id, denial);
    }
    if !routing::may_come_from_source(state, session, command, args) {
        return Verdict::Refuse(CommandError::fixed("ERR Not about the keys of slots that are being imported"));
    }
    if command.flags.has(Flag::DenyOom) && state.memory.is_full() {
        return Verdict::Refuse(CommandError::OUT_OF_MEMORY);
    }
    if state.pause.is_active() && state.pause.holds(command.flags, state.now_ms()) {
        return Verdict::Pause;
    }
    match check_state(state, command, command.flags) {
        Ok(()) => Verdict::Run(id),
        Err(error) => Verdict::Refuse(error),
    }
}

/// Decides whether a request that its client may make may run in the state in which the server is.
#[inline]
fn admit_now(state: &ServerState, session: &Session, protocol: Protocol, args: Args<'_>, command: &Command) -> Verdict {
    let id = command.id;
    let is_queuing = session.transaction.is_some();
    let mut flags = command.flags;
    if is_queuing || state.pause.is_active() || state.memory.is_full() || state.guard.is_on {
        let of_request = || flags_of(state, session, command, args);
        if let Some(error) = routing::refusal(state, session, command, args, of_request) {
            return Verdict::Redirect(error);
        }
        if is_queuing || state.pause.is_active() || state.memory.is_full() || state.guard.is_restricted {
            flags = of_request();
        }
    }
    let needs_memory = flags.has(Flag::DenyOom) || is_queuing && !flags.has(Flag::NotQueued);
    if needs_memory && state.memory.is_full() {
        return Verdict::Refuse(CommandError::OUT_OF_MEMORY);
    }
    if session.subscriptions.is_some() && !flags.has(Flag::WhileSubscribed) && protocol == Protocol::Resp2 {
        return Verdict::Refuse(refused_to_subscriber(command));
    }
    if let Err(error) = check_state(state, command, flags) {
        return Verdict::Refuse(error);
    }
    if state.scripting.debugged.is_exclusive() {
        return Verdict::Pause;
    }
    if matches!(session.mode, Mode::Monitor | Mode::Replica) {
        return for_monitor(id, flags);
    }
    if state.pause.is_active() && state.pause.holds(flags, state.now_ms()) {
        return Verdict::Pause;
    }
    if is_queuing && !flags.has(Flag::NotQueued) {
        return Verdict::Queue(id, flags);
    }
    if state.guard.is_restricted
        && (waits_for_migration(state, session, command, flags, args)
            || flags.has(Flag::Write) && routing::writes_held_slots(state, session, command, args))
    {
        return Verdict::Pause;
    }
    Verdict::Run(id)
}

/// Whether a request, or what is queued for it, names keys that are on their way to another server.
#[cold]
fn waits_for_migration(
    state: &ServerState,
    session: &Session,
    command: &Command,
    flags: FlagSet,
    args: Args<'_>,
) -> bool {
    match &session.transaction {
        Some(transaction) if flags.has(Flag::RunsQueue) => transaction.iter().any(|(queued, args)| {
            let command = state.commands.get(queued.command);
            state.migrations.holds(command, command.flags, args)
        }),
        _ => state.migrations.holds(command, flags, args),
    }
}

#[cold]
fn admit_unknown(args: Args<'_>) -> Verdict {
    match is_http(args.at(0)) {
        true => Verdict::Abort,
        false => Verdict::Refuse(unknown_command(args)),
    }
}

/// Keys are of no use to a replica, nor to a monitor, and no pause holds one back: in Redis a monitor is half a
/// replica.
#[cold]
fn for_monitor(id: CommandId, flags: FlagSet) -> Verdict {
    if flags.intersects(KEYSPACE_ACCESS) {
        return Verdict::Refuse(CommandError::fixed("ERR Replica can't interact with the keyspace"));
    }
    Verdict::Run(id)
}

/// What a request may do: for a script that depends on the script, for EXEC on what is queued.
#[cold]
fn flags_of(state: &ServerState, session: &Session, command: &Command, args: Args<'_>) -> FlagSet {
    let flags = match state.runs.of(command.id).flags_of {
        Some(flags_of) => flags_of(state, args, command.flags),
        None => command.flags,
    };
    match &session.transaction {
        Some(transaction) if flags.has(Flag::RunsQueue) => transaction.flags_of_exec(flags),
        _ => flags,
    }
}

/// Commands that need a permission of their own.
const GUARDED: FlagSet = FlagSet::of(&[Flag::Debug, Flag::Modules]);

/// Commands that look at keys or change them.
const KEYSPACE_ACCESS: FlagSet = FlagSet::of(&[Flag::ReadOnly, Flag::Write, Flag::MayReplicate]);

/// Whether a subcommand is there where one must be, and the number of arguments fits.
#[inline]
fn check_shape(command: &Command, args: Args<'_>) -> Result<(), CommandError> {
    if !command.subcommands.is_empty() && args.len() >= 2 {
        return Err(unknown_subcommand(command, &args[1]));
    }
    if !command.accepts(args.len()) {
        return Err(CommandError::wrong_arity(&command.full_name));
    }
    Ok(())
}

/// Whether a command that needs a permission of its own has it.
#[inline]
fn check_permission(state: &ServerState, session: &Session, command: &Command) -> Result<(), CommandError> {
    match command.flags.intersects(GUARDED) {
        true => check_guarded(state, session, command),
        false => Ok(()),
    }
}

#[cold]
fn check_guarded(state: &ServerState, session: &Session, command: &Command) -> Result<(), CommandError> {
    let config = &state.config;
    let (permission, refusal) = match command.flags.has(Flag::Debug) {
        true => (
            config.enable_debug_command,
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", \
             you can run it from a local connection, otherwise you need to set this option in the \
             configuration file, and then restart the server.",
        ),
        false => (
            config.enable_module_command,
            "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", \
             you can run it from a local connection, otherwise you need to set this option in the \
             configuration file, and then restart the server.",
        ),
    };
    match permission.allows(session.address.is_local()) {
        true => Ok(()),
        false => Err(CommandError::fixed(refusal)),
    }
}

/// Whether the state of the server lets a command with these flags run: no script holds it up, and data are there and
/// can be saved.
#[inline]
fn check_state(state: &ServerState, command: &Command, flags: FlagSet) -> Result<(), CommandError> {
    if state.guard.is_restricted {
        check_restrictions(state, command, flags)?;
    }
    match state.scripting.busy() {
        Some(kind) if !command.flags.has(Flag::AllowBusy) => Err(kind.busy_error()),
        _ => Ok(()),
    }
}

/// What is refused while data are being loaded, or cannot be saved.
#[cold]
fn check_restrictions(state: &ServerState, command: &Command, flags: FlagSet) -> Result<(), CommandError> {
    let changes = flags.has(Flag::Write) || command.spec.name == "ping";
    if changes && state.refuses_writes_for_failed_save() {
        return Err(CommandError::SAVE_FAILED);
    }
    if changes && let Some(reason) = state.aof.denial() {
        return Err(CommandError::new(format!("MISCONF Errors writing to the AOF file: {reason}")));
    }
    if flags.has(Flag::Write) && state.lacks_good_replicas() {
        return Err(CommandError::NO_GOOD_REPLICAS);
    }
    if let Some(replica) = &state.replication.replica {
        check_role(state, replica, flags)?;
    }
    if state.is_loading() && !command.flags.has(Flag::Loading) {
        return Err(CommandError::LOADING);
    }
    Ok(())
}

/// What a replica refuses.
fn check_role(state: &ServerState, replica: &ReplicaSide, flags: FlagSet) -> Result<(), CommandError> {
    if flags.has(Flag::Write) && state.config.replica_read_only {
        return Err(CommandError::READ_ONLY);
    }
    if is_stale(state, replica) && !flags.has(Flag::Stale) {
        return Err(CommandError::fixed(
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        ));
    }
    if replica.loads_beside() && flags.has(Flag::NoAsyncLoading) {
        return Err(CommandError::LOADING);
    }
    Ok(())
}

/// Whether a replica's data may be old, and are not to be served then.
fn is_stale(state: &ServerState, replica: &ReplicaSide) -> bool {
    !replica.link.is_streaming() && !state.config.replica_serve_stale_data
}

/// Whether the request is a line of an HTTP request. A web page can have a browser send one to this
/// port, with commands in its body. (`GET` is a command, but the line `Host:` follows it.)
#[cold]
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// In RESP2 a reply could not be told from a message.
#[cold]
fn refused_to_subscriber(command: &Command) -> CommandError {
    CommandError::new(format!(
        "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
        command.full_name
    ))
}

#[cold]
fn unknown_command(args: Args<'_>) -> CommandError {
    let mut quoted = String::new();
    for arg in args.iter().skip(1) {
        if quoted.len() >= QUOTED_MAX {
            break;
        }
        let room = QUOTED_MAX - quoted.len();
        let part = &arg[..arg.len().min(room)];
        quoted.push_str(&format!("'{}' ", String::from_utf8_lossy(part)));
    }
    let name = &args[0][..args[0].len().min(QUOTED_MAX)];
    let name = String::from_utf8_lossy(name);
    CommandError::new(format!("ERR unknown command '{name}', with args beginning with: {quoted}"))
}

#[cold]
fn unknown_subcommand(command: &Command, subcommand: &[u8]) -> CommandError {
    let shown = &subcommand[..subcommand.len().min(QUOTED_MAX)];
    let shown = String::from_utf8_lossy(shown);
    let name = command.spec.name.to_ascii_uppercase();
    CommandError::new(format!("ERR unknown subcommand '{shown}'. Try {name} HELP."))
}
