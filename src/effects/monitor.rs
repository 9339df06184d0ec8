//! MONITOR: every command that runs, told to the clients that asked.

use bytes::Bytes;

use crate::command::spec::{Flag, FlagSet};
use crate::command::{Args, Context};
use crate::types::quoting;

/// Tells the monitors of a command that is about to run.
#[cold]
pub fn feed(context: &mut Context<'_>, args: Args<'_>, flags: FlagSet) {
    if flags.has(Flag::SkipMonitor) || flags.has(Flag::Admin) {
        return;
    }
    let now_us = context.instance.clock.now_us();
    let (seconds, micros) = (now_us / 1_000_000, now_us % 1_000_000);
    let session = &*context.session;
    let peer = if session.address.unix {
        format!("unix:{}", session.address.local.trim_end_matches(":0"))
    } else {
        session.address.peer.clone()
    };
    let mut line = format!("+{seconds}.{micros:06} [{} {peer}]", session.database);
    for (index, arg) in args.iter().enumerate() {
        line.push(' ');
        let secret = flags.has(Flag::Secret) && index > 0;
        line.push_str(&if secret { "(redacted)".to_string() } else { quoting::quote(arg) });
    }
    line.push_str("\r\n");
    let line = Bytes::from(line);
    for token in context.instance.clients.monitors() {
        if token == context.session.token {
            context.reply.push_shared_chunk(&line);
        } else {
            context.instance.clients.push(token, |monitor| monitor.reply.push_shared_chunk(&line));
        }
    }
}
