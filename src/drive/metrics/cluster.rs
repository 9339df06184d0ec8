//! The metrics of a node of a cluster, those of `redis_exporter` under its names. Without cluster mode only the first
//! has a sample.

use crate::cluster::Member;
use crate::cluster::member::LinkRow;
use crate::cluster::member::state::Direction;
use crate::cluster::node::{Health, Node};
use crate::drive::cluster::{bus, now};

use super::families::{Family, Samples, counter, gauge};
use super::text::Text;
use super::view::View;

/// The families of the cluster, behind those of replication.
pub(crate) static FAMILIES: &[Family] = &[
    gauge(
        "redis_cluster_enabled",
        "Whether this is a node of a cluster.",
        Samples::Count(|view| view.state.cluster.is_some().into()),
    ),
    gauge(
        "redis_cluster_state",
        "Whether the cluster is up, as this node sees it.",
        Samples::Several(|view, name, text| of_member(view, name, text, |member| member.is_ok().into())),
    ),
    gauge(
        "redis_cluster_slots_assigned",
        "Slots that a node owns.",
        Samples::Several(|view, name, text| of_member(view, name, text, |member| member.table().assigned().into())),
    ),
    gauge(
        "redis_cluster_slots_ok",
        "Slots whose owner is well.",
        Samples::Several(|view, name, text| of_member(view, name, text, |member| member.table().slots_by_health()[0])),
    ),
    gauge(
        "redis_cluster_slots_pfail",
        "Slots whose owner does not answer this node.",
        Samples::Several(|view, name, text| of_member(view, name, text, |member| member.table().slots_by_health()[1])),
    ),
    gauge(
        "redis_cluster_slots_fail",
        "Slots whose owner has failed, as a majority says.",
        Samples::Several(|view, name, text| of_member(view, name, text, |member| member.table().slots_by_health()[2])),
    ),
    gauge(
        "redis_cluster_known_nodes",
        "Nodes that this node knows, itself included.",
        Samples::Several(|view, name, text| of_member(view, name, text, |member| member.table().len() as u64)),
    ),
    gauge(
        "redis_cluster_size",
        "Primaries that own slots.",
        Samples::Several(|view, name, text| of_member(view, name, text, |member| member.table().voters().0 as u64)),
    ),
    gauge(
        "redis_cluster_current_epoch",
        "The highest epoch that this node knows.",
        Samples::Several(|view, name, text| of_member(view, name, text, |member| member.epochs().current)),
    ),
    gauge(
        "redis_cluster_my_epoch",
        "The epoch of this node's claim to its slots.",
        Samples::Several(|view, name, text| of_member(view, name, text, |member| member.table().myself().config_epoch)),
    ),
    counter(
        "redis_cluster_messages_sent_total",
        "Frames sent to other nodes.",
        Samples::Several(|view, name, text| of_member(view, name, text, |member| member.counters().sent.iter().sum())),
    ),
    counter(
        "redis_cluster_messages_received_total",
        "Frames received from other nodes.",
        Samples::Several(|view, name, text| {
            of_member(view, name, text, |member| member.counters().received.iter().sum());
        }),
    ),
    gauge(
        "redis_mem_cluster_links_bytes",
        "Bytes of frames that wait to be sent, or have come in part.",
        Samples::Several(|view, name, text| of_member(view, name, text, |_| bus::memory_bytes(view.state) as u64)),
    ),
    counter(
        "oneloop_cluster_links_over_limit_total",
        "Links that were closed because too much waited to be sent (cluster-link-sendbuf-limit).",
        Samples::Several(|view, name, text| of_member(view, name, text, |member| member.counters().links_over_limit)),
    ),
    gauge(
        "oneloop_cluster_links",
        "Links with other nodes, by the end that opened them.",
        Samples::Several(write_links),
    ),
    gauge(
        "oneloop_cluster_links_pending_bytes",
        "Bytes that wait to be sent on links, by the end that opened them.",
        Samples::Several(write_pending_bytes),
    ),
    gauge(
        "oneloop_cluster_suspected_nodes",
        "Nodes that do not answer this node, and have not failed yet.",
        Samples::Several(|view, name, text| of_member(view, name, text, |member| nodes(member, is_suspected))),
    ),
    gauge(
        "oneloop_cluster_failed_nodes",
        "Nodes that have failed, as a majority says.",
        Samples::Several(|view, name, text| of_member(view, name, text, |member| nodes(member, Node::is_failed))),
    ),
    gauge(
        "oneloop_cluster_failure_reports",
        "Reports of other primaries that a node does not answer them.",
        Samples::Several(|view, name, text| {
            of_member(view, name, text, |member| member.reports(now(view.state)).count() as u64);
        }),
    ),
    gauge(
        "oneloop_cluster_slots_migrating",
        "Slots that leave this node key by key.",
        Samples::Several(|view, name, text| {
            of_member(view, name, text, |member| member.table().migrating.len() as u64);
        }),
    ),
    gauge(
        "oneloop_cluster_slots_importing",
        "Slots that come to this node key by key.",
        Samples::Several(|view, name, text| {
            of_member(view, name, text, |member| member.table().importing.len() as u64);
        }),
    ),
    gauge(
        "oneloop_cluster_slot_migrations",
        "Migrations of slots with all keys at once that are going on, by this node's side.",
        Samples::Several(write_migrations),
    ),
    gauge(
        "oneloop_cluster_slot_migrations_pending_bytes",
        "Changes of slots that leave this node which wait to be sent.",
        Samples::Several(|view, name, text| {
            if let Some(cluster) = &view.state.cluster {
                let bytes = cluster.slot_migrations.exports().map(|(_, export)| export.machine.job.pending_bytes);
                text.sample(name, &[], bytes.sum::<u64>());
            }
        }),
    ),
];

const DIRECTIONS: [(&str, Direction); 2] = [("to", Direction::Outbound), ("from", Direction::Inbound)];

fn write_links(view: &View<'_>, name: &str, text: &mut Text) {
    let Some(cluster) = &view.state.cluster else { return };
    let links = cluster.member.links();
    for (word, direction) in DIRECTIONS {
        let count = links.iter().filter(|link| link.direction == direction).count();
        text.sample(name, &[("direction", word)], count);
    }
}

fn write_pending_bytes(view: &View<'_>, name: &str, text: &mut Text) {
    let Some(cluster) = &view.state.cluster else { return };
    let links = cluster.member.links();
    let pending = |link: &LinkRow<'_>| {
        let connection = cluster.bus.links.get(&link.id)?.connection;
        Some(view.state.outbounds.link(connection)?.pending_bytes())
    };
    for (word, direction) in DIRECTIONS {
        let bytes: usize = links.iter().filter(|link| link.direction == direction).filter_map(pending).sum();
        text.sample(name, &[("direction", word)], bytes);
    }
}

fn write_migrations(view: &View<'_>, name: &str, text: &mut Text) {
    let Some(cluster) = &view.state.cluster else { return };
    let jobs = cluster.slot_migrations.jobs();
    for (word, is_import) in [("export", false), ("import", true)] {
        let count = jobs.iter().filter(|job| job.is_import() == is_import && !job.state.is_finished()).count();
        text.sample(name, &[("side", word)], count);
    }
}

fn is_suspected(node: &Node) -> bool {
    node.health == Health::Suspected
}

fn nodes(member: &Member, counts: impl Fn(&Node) -> bool) -> u64 {
    member.table().iter().filter(|(_, node)| counts(node)).count() as u64
}

fn of_member(view: &View<'_>, name: &str, text: &mut Text, figure: impl Fn(&Member) -> u64) {
    if let Some(cluster) = &view.state.cluster {
        text.sample(name, &[], figure(&cluster.member));
    }
}
