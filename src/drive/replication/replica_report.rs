//! What a replica tells of itself: ROLE and INFO.

use crate::engine::replication::ReplicaSide;
use crate::engine::state::ServerState;
use crate::replication::link::LinkState;
use crate::resp::Reply;

/// Replies to ROLE if this server is a replica; says whether it is.
pub fn write_role(state: &ServerState, reply: &mut Reply) -> bool {
    let Some(side) = &state.replication.replica else { return false };
    let offset = side.position().filter(|_| side.link.is_streaming());
    reply.array(5);
    reply.bulk(b"slave");
    reply.bulk(side.host.as_bytes());
    reply.integer(side.port.into());
    reply.bulk(side.link.state().to_string().as_bytes());
    reply.integer(offset.map_or(-1, |position| i64::try_from(position.offset).unwrap_or(i64::MAX)));
    true
}

/// Bytes of the stream that have come and are not applied: what is not whole, and what waits for the end of a pause.
fn unapplied_bytes(state: &ServerState, side: &ReplicaSide) -> usize {
    let Some(client) = &side.client else { return 0 };
    let link = side.connection.and_then(|token| state.outbounds.link(token));
    client.unapplied.len() + link.map_or(0, |link| link.input().len())
}

/// The lines of INFO that only a replica has.
pub fn info(state: &ServerState) -> Vec<(String, String)> {
    let Some(side) = &state.replication.replica else { return Vec::new() };
    let (link, config, now_ms) = (&side.link, &state.config, state.now_ms());
    let is_up = link.is_streaming();
    let flag = |is_set: bool| u8::from(is_set).to_string();
    let seconds_since = |since_ms: i64| ((now_ms - since_ms) / 1000).max(0).to_string();
    let applied = side.position().map_or(0, |position| position.offset);
    let read = applied + unapplied_bytes(state, side) as u64;
    let mut lines = vec![
        ("master_host", side.host.clone()),
        ("master_port", side.port.to_string()),
        ("master_link_status", if is_up { "up" } else { "down" }.to_string()),
        ("master_last_io_seconds_ago", if is_up { seconds_since(link.last_input_ms()) } else { "-1".to_string() }),
        ("master_sync_in_progress", flag(link.state() == LinkState::Transfer)),
        ("slave_read_repl_offset", read.to_string()),
        ("slave_repl_offset", applied.to_string()),
    ];
    if link.state() == LinkState::Transfer {
        let (read, total) = link.payload_bytes().unwrap_or_default();
        let left = total.map_or(-1, |total| total as i64 - read as i64);
        let percent = total.map_or(0.0, |total| read as f64 * 100.0 / total.max(1) as f64);
        lines.extend([
            ("master_sync_total_bytes", total.unwrap_or(0).to_string()),
            ("master_sync_read_bytes", read.to_string()),
            ("master_sync_left_bytes", left.to_string()),
            ("master_sync_perc", format!("{percent:.2}")),
            ("master_sync_last_io_seconds_ago", seconds_since(link.last_input_ms())),
        ]);
    }
    if !is_up {
        let since_s = link.down_since_ms().map_or("-1".to_string(), seconds_since);
        lines.push(("master_link_down_since_seconds", since_s));
    }
    lines.extend([
        ("slave_priority", config.replica_priority.to_string()),
        ("slave_read_only", flag(config.replica_read_only)),
        ("replica_announced", flag(config.replica_announced)),
    ]);
    lines.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}
