//! The table of directives, in groups. Never a behaviour: entries only.

mod append_only;
mod clients;
mod cluster;
mod encodings;
mod general;
mod memory;
mod network;
mod observation;
mod replication;
mod security;
mod snapshots;
mod tls;

use super::directive::Directive;
use super::fields::Config;

/// Directives that belong together.
pub struct Group {
    /// Heading in `redis.conf.example`.
    pub title: &'static str,
    /// What it is about, in a few words.
    pub summary: &'static str,
    /// The entries.
    pub directives: &'static [Directive],
}

/// All directives, in groups, in the order of `redis.conf.example`.
pub static GROUPS: &[Group] = &[
    Group {
        title: "Network",
        summary: "where the server listens and how it treats connections",
        directives: network::DIRECTIVES,
    },
    Group { title: "General", summary: "the process itself", directives: general::DIRECTIVES },
    Group { title: "Security", summary: "users and what they may do", directives: security::DIRECTIVES },
    Group { title: "Memory", summary: "how much is used and what gives way", directives: memory::DIRECTIVES },
    Group {
        title: "Clients and requests",
        summary: "limits of what one client may use",
        directives: clients::DIRECTIVES,
    },
    Group { title: "Observation", summary: "the slow log and latencies", directives: observation::DIRECTIVES },
    Group {
        title: "Encodings",
        summary: "up to which size a value is kept compact",
        directives: encodings::DIRECTIVES,
    },
    Group { title: "Snapshots", summary: "saving the data set to a file", directives: snapshots::DIRECTIVES },
    Group { title: "Append-only file", summary: "logging every write", directives: append_only::DIRECTIVES },
    Group { title: "Replication", summary: "following another server", directives: replication::DIRECTIVES },
    Group { title: "Cluster", summary: "sharing the keys among several servers", directives: cluster::DIRECTIVES },
    Group { title: "TLS", summary: "encrypted connections", directives: tls::DIRECTIVES },
];

/// All directives.
pub fn directives() -> impl Iterator<Item = &'static Directive> {
    GROUPS.iter().flat_map(|group| group.directives)
}

/// The directive of a name or old name, whatever the case. O(number of directives).
pub fn find(name: &[u8]) -> Option<&'static Directive> {
    directives().find(|directive| directive.is_named(name))
}

impl Default for Config {
    fn default() -> Config {
        let mut config = Config::blank();
        for directive in directives() {
            let stored = directive.store(&mut config, &directive.split(directive.default.as_bytes()));
            debug_assert!(stored.is_ok(), "default of {}: {stored:?}", directive.name);
        }
        config
    }
}
