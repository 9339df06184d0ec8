//! What the rules bring about in the running server: logins, refusals, and the end of connections whose rights are
//! gone.

use std::rc::Rc;

use crate::command::error::CommandError;
use crate::engine::client_line;
use crate::engine::context::Context;
use crate::engine::pubsub::ChannelKind;
use crate::engine::session::{Close, Session, Token};
use crate::engine::state::ServerState;
use crate::resp::Args;

use crate::acl;
use crate::acl::{AclContext, AclError, Reason, Refusal, Restricted, Scene, User};

const WRONG_PASSWORD: CommandError =
    CommandError::fixed("WRONGPASS invalid username-password pair or user is disabled.");

/// What the meaning of rules depends on in this server.
pub fn acl_context(state: &ServerState) -> AclContext<'_> {
    AclContext::new(&state.commands, &state.config)
}

/// Replaces all users by those of the ACL file, all or nothing.
///
/// Errors: everything that is wrong, in one line.
pub fn load_acl_file(state: &mut ServerState) -> Result<(Vec<Rc<User>>, Option<Restricted>), String> {
    let context = AclContext::new(&state.commands, &state.config);
    acl::file::load(&mut state.users, &state.config.aclfile, context)
}

/// Logs the caller in.
///
/// Errors: there is no such user, it is disabled, or the password is wrong.
pub fn log_in(context: &mut Context<'_>, args: Args<'_>, name: &[u8], password: &[u8]) -> Result<(), CommandError> {
    if let Some(user) = context.state.users.log_in(name, password) {
        context.session.user = Rc::clone(user);
        context.session.authenticated = true;
        return Ok(());
    }
    let scene = scene_of(context.session);
    note(context, args, Reason::Login, scene, args.at(0), name);
    Err(WRONG_PASSWORD)
}

/// Makes a client the user that its certificate names, if one may be it; else it stays who it was.
pub fn log_in_by_certificate(state: &mut ServerState, session: &mut Session, name: &[u8]) {
    let user = state.users.get(name);
    if let Some(user) = user.filter(|user| user.rights().is_enabled()) {
        session.user = Rc::clone(user);
        session.authenticated = true;
        return;
    }
    let refusal = Refusal {
        reason: Reason::Certificate,
        scene: Scene::TopLevel,
        object: Vec::new(),
        user: name.to_vec(),
        client: client_line::line_of_other(state, session),
    };
    add(state, refusal);
}

/// Notes that the caller's request was refused, in the log and in the figures of INFO. (Each way to run a request has
/// words of its own for the reply: see [`AclError`].)
pub fn note_denial(context: &mut Context<'_>, args: Args<'_>, denial: AclError, scene: Scene) {
    let reason = match denial {
        AclError::Database { .. } => Reason::Database,
        AclError::Command => Reason::Command,
        AclError::Key { .. } => Reason::Key,
        AclError::Channel { .. } => Reason::Channel,
    };
    let command = context.state.commands.get(context.command);
    let object = denial.object(command, args).to_vec();
    let user = Rc::clone(&context.session.user);
    note(context, args, reason, scene, &object, user.name());
}

/// The error for a command that its user may not run.
pub fn refusal(context: &mut Context<'_>, args: Args<'_>, denial: AclError) -> CommandError {
    let scene = scene_of(context.session);
    note_denial(context, args, denial, scene);
    let command = context.state.commands.get(context.command);
    let text = denial.text(&context.session.user, command);
    match scene {
        Scene::Script => CommandError::new(format!("ERR ACL failure in script: {text}")),
        _ => CommandError::new(format!("NOPERM {text}")),
    }
}

/// Where a command is refused: in a script, among those of a transaction, as it is queued or as it runs, or alone.
fn scene_of(session: &Session) -> Scene {
    if session.is_script() {
        return Scene::Script;
    }
    if session.transaction.is_some() || session.deny_blocking { Scene::Transaction } else { Scene::TopLevel }
}

fn note(context: &mut Context<'_>, args: Args<'_>, reason: Reason, scene: Scene, object: &[u8], user: &[u8]) {
    let refusal = Refusal {
        reason,
        scene,
        object: object.to_vec(),
        user: user.to_vec(),
        client: client_line(context, args, scene),
    };
    add(context.state, refusal);
}

/// The client, as CLIENT LIST shows it. A script's caller is out on loan, unless the script was suspended: then
/// nothing, and the log is to be signed once it is back.
fn client_line(context: &Context<'_>, args: Args<'_>, scene: Scene) -> Vec<u8> {
    if scene != Scene::Script {
        return client_line::line_of_caller(context, args);
    }
    let clients = &context.state.clients;
    let caller = clients.find(context.session.actor);
    let caller = caller.and_then(|token| clients.get(token));
    caller.map_or(Vec::new(), |caller| client_line::line_of_other(context.state, caller))
}

/// Says whose script it was of which commands were refused; the client may have left.
#[inline]
pub fn sign_log(state: &mut ServerState, caller: Option<&Session>) {
    if state.acl_log.has_unsigned() {
        let line = caller.map(|caller| client_line::line_of_other(state, caller));
        state.acl_log.sign(line.as_deref().unwrap_or(b"gone"));
    }
}

fn add(state: &mut ServerState, refusal: Refusal) {
    let count = match refusal.reason {
        Reason::Database => &mut state.stats.denied_databases,
        Reason::Command => &mut state.stats.denied_commands,
        Reason::Key => &mut state.stats.denied_keys,
        Reason::Channel => &mut state.stats.denied_channels,
        Reason::Login => &mut state.stats.denied_logins,
        Reason::Certificate => &mut state.stats.denied_certificates,
    };
    *count += 1;
    let capacity = usize::try_from(state.config.acllog_max_len).unwrap_or(usize::MAX);
    let now_ms = state.now_ms();
    state.acl_log.add(refusal, now_ms, capacity);
}

/// Ends the connections of all clients for which this holds. They are logged out at once, so that nothing that one of
/// them has sent already is run.
pub fn disconnect(context: &mut Context<'_>, is_concerned: impl Fn(&Session) -> bool) {
    let state = &mut *context.state;
    let clients = &mut state.clients;
    let concerned = clients.iter().filter(|session| is_concerned(session));
    let tokens: Vec<Token> = concerned.map(|session| session.token).collect();
    for token in tokens {
        if let Some(session) = clients.get_mut(token) {
            log_out(session, state.users.default_user());
        }
        clients.kill(token);
    }
    // The caller is out on loan, and still gets its reply.
    if is_concerned(context.session) {
        log_out(context.session, state.users.default_user());
        context.session.close = Close::AfterReply;
    }
}

/// Ends the connections of a user's clients that listen to channels which it has lost.
pub fn enforce_channels(context: &mut Context<'_>, restricted: Option<Restricted>) {
    let Some((user, left)) = restricted else {
        return;
    };
    let has_lost = |session: &Session| {
        session.subscriptions.as_ref().is_some_and(|subscriptions| {
            [ChannelKind::Channel, ChannelKind::Pattern, ChannelKind::ShardChannel].into_iter().any(|topic| {
                let is_pattern = topic == ChannelKind::Pattern;
                let mut names = subscriptions.of(topic).iter();
                names.any(|name| !left.allow(name, is_pattern))
            })
        })
    };
    disconnect(context, |session| session.user == user && has_lost(session));
}

fn log_out(session: &mut Session, default_user: &Rc<User>) {
    session.user = Rc::clone(default_user);
    session.authenticated = false;
}
