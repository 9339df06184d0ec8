//! What the live view shows of the cluster, as this node sees it: nodes, owners of slots, slots that move, links of the
//! bus, and which node suspects which.
//!
//! Nodes are named by a number that stays the same as long as this server knows them.

use crate::cluster::member::state::Direction;
use crate::cluster::member::{LinkRow, Member};
use crate::cluster::node::{Health, Node, NodeKey, Now};
use crate::cluster::nodes_file::flag_words;
use crate::cluster::table::Table;
use crate::cluster::{NodeId, SLOTS};
use crate::drive::cluster::now;
use crate::engine::cluster::Cluster;
use crate::engine::state::ServerState;
use crate::text::json::Json;

/// Nodes, links, and moving slots that are shown.
const SHOWN_MAX: usize = 200;
/// Migrations that are shown, with those that are over.
const MIGRATIONS_MAX: usize = 12;
/// Runs of slots that are shown exactly. If there are more, every so-manieth slot stands for its neighbours.
const RUNS_MAX: usize = 1024;
const COARSE: u16 = SLOTS / RUNS_MAX as u16;

/// The first half: `state`, and who there is.
pub(super) fn write_nodes(json: &mut Json, state: &ServerState) {
    let Some(cluster) = state.cluster.as_deref() else { return };
    let (member, now) = (&cluster.member, now(state));
    let table = member.table();
    json.name("cluster");
    json.raw("{");
    json.name("up");
    json.flag(member.is_ok());
    json.number_field("me", table.my_key().0);
    json.number_field("known", table.len());
    json.number_field("epoch", member.epochs().current);
    json.number_field("sent", member.counters().sent.iter().sum::<u64>());
    json.number_field("received", member.counters().received.iter().sum::<u64>());
    json.name("nodes");
    json.array(|json| {
        for (key, node) in table.iter_by_id().take(SHOWN_MAX) {
            write_node(json, table, key, node, state.config.tls_cluster, now);
        }
    });
    write_reports(json, member, now);
}

/// `[number, id, names, address, flags, primary, slots, epoch, is linked, ms since the unanswered ping, ms since the
/// pong]`; none is null.
fn write_node(json: &mut Json, table: &Table, key: NodeKey, node: &Node, is_tls: bool, now: Now) {
    let is_me = key == table.my_key();
    let address = &node.address;
    let host = format!("{}:{}@{}", address.ip, address.base_port(is_tls), address.bus_port);
    let names = [&node.human_name, &node.hostname].map(String::as_str);
    let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
    let age = |since_ms: Option<u64>| since_ms.map(|since_ms| now.steady_ms.saturating_sub(since_ms));
    json.array(|row| {
        row.number(key.0);
        row.string(node.id.as_bytes());
        row.string(names.join(", ").as_bytes());
        row.string(host.as_bytes());
        row.string(flag_words(node, is_me).as_bytes());
        write_optional(row, node.primary().map(|primary| u64::from(primary.0)));
        row.number(node.slots.len());
        row.number(node.config_epoch);
        row.flag(is_me || node.outbound.is_some());
        write_optional(row, age(node.ping_sent_ms));
        write_optional(row, age(node.pong_received_ms).filter(|_| !is_me));
    });
}

fn write_row<const N: usize>(json: &mut Json, numbers: [i64; N]) {
    json.array(|row| numbers.into_iter().for_each(|number| row.number(number)));
}

fn write_optional(json: &mut Json, number: Option<u64>) {
    match number {
        Some(number) => json.number(number),
        None => json.number("null"),
    }
}

/// `[suspect, suspecting node, since ms, last said ms]`: first what this node finds by itself, then what others report.
/// Since a majority found a node failed, it counts as failed.
fn write_reports(json: &mut Json, member: &Member, now: Now) {
    let table = member.table();
    let age = |at_ms: u64| now.steady_ms.saturating_sub(at_ms).cast_signed();
    json.name("suspicions");
    json.array(|json| {
        for (key, node) in table.iter_by_id().filter(|(_, node)| node.health == Health::Suspected).take(SHOWN_MAX) {
            let since_ms = age(node.ping_sent_ms.unwrap_or(now.steady_ms));
            write_row(json, [key.0.into(), table.my_key().0.into(), since_ms, 0]);
        }
        for (key, report) in member.reports(now).take(SHOWN_MAX) {
            let (suspect, reporter) = (key.0.into(), report.reporter.0.into());
            write_row(json, [suspect, reporter, age(report.since_ms), age(report.at_ms)]);
        }
    });
    json.name("failed");
    json.array(|json| {
        for (key, node) in table.iter_by_id() {
            if let Health::Failed { since_ms } = node.health {
                write_row(json, [key.0.into(), age(since_ms)]);
            }
        }
    });
}

/// The second half: whose slots are, which of them move, and the links.
pub(super) fn write_slots(json: &mut Json, state: &ServerState) {
    let Some(cluster) = state.cluster.as_deref() else { return };
    let table = cluster.member.table();
    write_owners(json, table);
    for (name, moving) in [("migrating", &table.migrating), ("importing", &table.importing)] {
        json.name(name);
        json.array(|json| {
            for (slot, node) in moving.iter().take(SHOWN_MAX) {
                write_row(json, [i64::from(*slot), node.0.into()]);
            }
        });
    }
    write_migrations(json, cluster, now(state));
    json.name("links");
    json.array(|json| {
        for row in cluster.member.links().iter().take(SHOWN_MAX) {
            write_link(json, state, cluster, row);
        }
    });
    json.raw("}");
}

/// `slots`: runs of slots of one owner as `[length, owner]`, from the first slot on; -1 is nobody.
fn write_owners(json: &mut Json, table: &Table) {
    let owner = |slot: u16| table.owner(slot).map_or(-1, |key| i64::from(key.0));
    let changes = (1..SLOTS).filter(|slot| owner(*slot) != owner(*slot - 1)).count();
    let step = if changes < RUNS_MAX { 1 } else { COARSE };
    json.name("slots");
    json.array(|json| {
        let (mut length, mut current) = (0, owner(0));
        for slot in (0..SLOTS).step_by(usize::from(step)) {
            if owner(slot) != current {
                write_row(json, [i64::from(length), current]);
                (length, current) = (0, owner(slot));
            }
            length += step;
        }
        write_row(json, [i64::from(length), current]);
    });
}

/// `[is import, slots, other node, state, message, bytes that wait, s since the last change]` of migrations with all
/// keys at once, the newest first.
fn write_migrations(json: &mut Json, cluster: &Cluster, now: Now) {
    json.name("migrations");
    json.array(|json| {
        for job in cluster.slot_migrations.jobs().into_iter().take(MIGRATIONS_MAX) {
            let other: Option<NodeId> = if job.is_import() { job.source } else { job.target };
            let other = other.and_then(|id| cluster.member.table().find(&id));
            json.array(|row| {
                row.flag(job.is_import());
                row.string(job.ranges.to_string().as_bytes());
                write_optional(row, other.map(|key| u64::from(key.0)));
                row.string(job.state.name().as_bytes());
                row.string(job.message.as_bytes());
                row.number(job.pending_bytes);
                row.number((now.wall_ms / 1000).saturating_sub(job.updated_s));
            });
        }
    });
}

/// `[is outbound, node, ms since it was opened, bytes that wait to be sent, bytes of a frame that has come in part]`
fn write_link(json: &mut Json, state: &ServerState, cluster: &Cluster, row: &LinkRow<'_>) {
    let link = cluster.bus.links.get(&row.id);
    let connection = link.and_then(|link| state.outbounds.link(link.connection));
    let node = cluster.member.table().find(&row.node.id).map_or(-1, |key| i64::from(key.0));
    json.array(|json| {
        json.flag(row.direction == Direction::Outbound);
        json.number(node);
        json.number(now(state).wall_ms.saturating_sub(row.created_wall_ms));
        json.number(connection.map_or(0, |link| link.pending_bytes()));
        json.number(link.map_or(0, |link| link.reader.buffered()));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::node::Address;

    fn told(table: &Table) -> String {
        let mut json = Json::default();
        json.raw("{");
        write_owners(&mut json, table);
        json.into_text()
    }

    #[test]
    fn owners_are_told_in_runs_that_cover_all_slots() {
        let now = Now { steady_ms: 1000, wall_ms: 1000 };
        let mut random = fastrand::Rng::with_seed(1);
        let mut node = || Node::new(NodeId::random(&mut random), NodeId::random(&mut random), Address::default(), now);
        let mut table = Table::new(node());
        let other = table.insert(node());
        assert_eq!(told(&table), "{\"slots\":[[16384,-1]]");
        (0..100).for_each(|slot| table.bind(slot, table.my_key()));
        table.bind(SLOTS - 1, other);
        assert_eq!(told(&table), "{\"slots\":[[100,0],[16283,-1],[1,1]]");
        // As many pieces as can be: they are told in steps.
        (0..SLOTS).for_each(|slot| table.bind(slot, if slot % 2 == 0 { other } else { table.my_key() }));
        assert_eq!(told(&table), "{\"slots\":[[16384,1]]");
    }
}
