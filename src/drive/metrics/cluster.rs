//! The metrics of a node of a cluster, under the names of `redis_exporter`. Without cluster mode only the first has a
//! sample.

use crate::cluster::Member;
use crate::drive::cluster::bus;

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
];

fn of_member(view: &View<'_>, name: &str, text: &mut Text, figure: impl Fn(&Member) -> u64) {
    if let Some(cluster) = &view.state.cluster {
        text.sample(name, &[], figure(&cluster.member));
    }
}
