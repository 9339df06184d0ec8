//! MONITOR: every command that runs, told to the clients that asked.

use bytes::Bytes;

use crate::command::spec::{Flag, FlagSet};
use crate::engine::session::{ReplyMode, Session};
use crate::engine::state::ServerState;
use crate::resp::Args;
use crate::resp::Reply;
use crate::text::quoting;

/// Tells the monitors of a command that has just run: its database is the one it left selected, and
/// it has said which of its arguments are secret. A monitor's own commands it hears of after their
/// replies.
#[cold]
pub fn feed(state: &mut ServerState, session: &Session, reply: &mut Reply, args: Args<'_>, flags: FlagSet) {
    if flags.has(Flag::SkipMonitor) || flags.has(Flag::Admin) || state.is_sandboxed {
        return;
    }
    let line = Bytes::from(line(state, session, args, flags));
    for token in state.clients.monitors() {
        if token == session.token {
            reply.push_shared_chunk(&line);
        } else if state.clients.get(token).is_some_and(|monitor| monitor.reply_mode == ReplyMode::On) {
            state.clients.flush_after(token, |monitor| monitor.reply.push_shared_chunk(&line));
        }
    }
}

/// The line as it is sent: time, database, where the client comes from, and the quoted arguments.
fn line(state: &ServerState, session: &Session, args: Args<'_>, flags: FlagSet) -> String {
    let now_us = state.clock.now_us();
    let (seconds, micros) = (now_us / 1_000_000, now_us % 1_000_000);
    let address = &session.address;
    let peer = if address.unix {
        format!("unix:{}", address.local.strip_suffix(":0").unwrap_or(&address.local))
    } else {
        address.peer.clone()
    };
    let mut line = format!("+{seconds}.{micros:06} [{} {peer}]", session.database);
    for (index, arg) in args.iter().enumerate() {
        line.push(' ');
        if session.hides_argument(flags, index) {
            line.push_str("\"(redacted)\"");
        } else {
            line.push_str(&quoting::quote(arg));
        }
    }
    line.push_str("\r\n");
    line
}
