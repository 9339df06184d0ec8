//! ACL LOG: what was refused of late.

use crate::acl::AclLogEntry;
use crate::command::error::{CommandError, CommandResult};
use crate::engine::context::Context;
use crate::resp::Args;
use crate::resp::{Reply, number};

use super::wrong_form;

/// Entries shown unless told.
const COUNT_DEFAULT: i64 = 10;

pub(super) fn log(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if args.len() > 3 {
        return Err(wrong_form(args));
    }
    let count = match args.get(2) {
        None => COUNT_DEFAULT,
        Some(word) if word.eq_ignore_ascii_case(b"reset") => {
            context.state.acl_log.reset();
            context.reply.ok();
            return Ok(());
        }
        Some(count) => number::parse_i64(count).ok_or(CommandError::NOT_AN_INTEGER)?,
    };
    let now_ms = context.state.now_ms();
    let entries = context.state.acl_log.newest(usize::try_from(count).unwrap_or(0));
    context.reply.array(entries.len());
    entries.for_each(|entry| write_entry(context.reply, entry, now_ms));
    Ok(())
}

fn write_entry(reply: &mut Reply, entry: &AclLogEntry, now_ms: i64) {
    let refusal = &entry.refusal;
    reply.map(10);
    reply.bulk(b"count");
    reply.integer(entry.count as i64);
    let texts: [(&[u8], &[u8]); 4] = [
        (b"reason", refusal.reason.name().as_bytes()),
        (b"context", refusal.scene.name().as_bytes()),
        (b"object", &refusal.object),
        (b"username", &refusal.user),
    ];
    for (name, text) in texts {
        reply.bulk(name);
        reply.bulk(text);
    }
    reply.bulk(b"age-seconds");
    reply.double((now_ms - entry.updated_ms) as f64 / 1000.0);
    reply.bulk(b"client-info");
    reply.bulk(&refusal.client);
    let numbers: [(&[u8], i64); 3] = [
        (b"entry-id", entry.id as i64),
        (b"timestamp-created", entry.created_ms),
        (b"timestamp-last-updated", entry.updated_ms),
    ];
    for (name, value) in numbers {
        reply.bulk(name);
        reply.integer(value);
    }
}
