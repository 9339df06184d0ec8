//! The logs of large requests and large replies. Never decides whether a command may run.

use crate::command::registry::CommandId;
use crate::command::spec::Flag;
use crate::engine::session::Session;
use crate::engine::state::ServerState;
use crate::observe::command_log::LoggedCommand;
use crate::resp::Args;

/// Logs a client's command that is over if its request or its reply is large. EXEC is not logged: the commands that it
/// runs are. Neither are those of scripts, which have no requests of their own.
pub fn note(state: &mut ServerState, session: &Session, command: CommandId, args: Args<'_>, reply_bytes: usize) {
    let logs = &state.command_logs;
    let has_large_reply = reply_bytes as u64 >= logs.reply_bytes_min;
    if !has_large_reply && logs.request_bytes_min == u64::MAX {
        return;
    }
    let request_bytes = args.received_bytes() as u64;
    let has_large_request = request_bytes >= logs.request_bytes_min;
    let flags = state.commands.get(command).flags;
    if !(has_large_reply || has_large_request) || flags.has(Flag::SkipSlowlog) {
        return;
    }
    let (peer, name, now_ms) = (session.address.peer.as_str(), session.name.as_slice(), state.now_ms());
    let is_secret = |index| session.hid_argument(flags, index);
    let logged = |amount| LoggedCommand { args, amount, waited_us: 0, peer, name, now_ms };
    if has_large_request {
        state.command_logs.large_requests.push(&logged(request_bytes), is_secret);
    }
    if has_large_reply {
        state.command_logs.large_replies.push(&logged(reply_bytes as u64), is_secret);
    }
}

/// Logs a client's request in the same way, if its command has run and has ended.
#[cold]
pub fn note_request(state: &mut ServerState, session: &Session, args: Args<'_>, reply_bytes: usize) {
    let was_run = session.traffic.commands > session.traffic.passed_over_at;
    if let Some(command) = session.last_command.filter(|_| was_run && session.blocked.is_none()) {
        note(state, session, command, args, reply_bytes);
    }
}
