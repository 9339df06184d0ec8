//! The table against the facts of Redis 7.2, and the example file against the table.

use std::collections::BTreeMap;

use super::{load, value};
use crate::config::{Config, Mutability, directives, find};

const FACTS: &str = include_str!("../../../tests/data/config-7.2.tsv");
const EXAMPLE: &str = include_str!("../../../redis.conf.example");
/// The facts were taken from a server that was started with these changed.
const NOT_AT_DEFAULT: [(&str, &str); 3] =
    [("enable-debug-command", "no"), ("save", "3600 1 300 100 60 10000"), ("dir", "./")];
/// Directives that this server knows beyond those of Redis 7.2.
const BEYOND: &[&str] = &[
    "cluster-blacklist-ttl",
    "cluster-manual-failover-timeout",
    "availability-zone",
    "commandlog-execution-slower-than",
    "commandlog-large-reply-max-len",
    "commandlog-large-request-max-len",
    "commandlog-reply-larger-than",
    "commandlog-request-larger-than",
    "commandlog-slow-execution-max-len",
    "extended-redis-compatibility",
    "log-format",
    "log-timestamp-format",
    "max-new-connections-per-cycle",
    "max-new-tls-connections-per-cycle",
    "primaryauth",
    "primaryuser",
    "stream-idmp-duration",
    "stream-idmp-maxsize",
    "cluster-slot-migration-log-max-len",
    "cluster-slot-stats-enabled",
    "slot-migration-max-failover-repl-bytes",
    "hide-user-data-from-log",
    "import-mode",
    "http-bind",
    "http-port",
    "http-tls",
    "http-token",
    "metrics-bind",
    "metrics-port",
    "prefix-ledger",
    "loop-recorder-size",
    "loop-spin-us",
    "repl-log-disk-size",
    "slowlog-log-waiting",
    "snapshot-loop-share",
    "tls-auth-clients-user",
    "rdb-version-check",
    "tls-auto-reload-interval",
];

/// Name, default and whether it is mutable.
fn facts() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    let rows = FACTS.lines().skip_while(|line| !line.starts_with("name\t")).skip(1);
    rows.map(|row| {
        let columns: Vec<&str> = row.split('\t').collect();
        (columns[0], columns[1], columns[2] == "mutable")
    })
}

#[test]
fn knows_every_directive_with_its_default_and_mutability() {
    assert!(facts().count() > 180);
    let config = Config::default();
    for (name, default, is_mutable) in facts() {
        let directive = find(name.as_bytes()).unwrap_or_else(|| panic!("{name} is missing"));
        assert!(!directive.is_hidden, "{name}");
        let is_ours_mutable = directive.mutability != Mutability::Immutable;
        // The facts call these two immutable because they are protected.
        let is_mutable = is_mutable || directive.mutability.is_protected();
        assert_eq!(is_ours_mutable, is_mutable, "{name}");
        match NOT_AT_DEFAULT.iter().find(|(other, _)| *other == name) {
            Some((_, default)) => assert_eq!(directive.default, *default, "{name}"),
            None => {
                assert_eq!(directive.default, default, "{name}");
                assert_eq!(value(&config, name), default, "{name}");
            }
        }
    }
}

#[test]
fn shows_no_directive_that_redis_does_not_know() {
    let known: Vec<&str> = facts().map(|(name, ..)| name).chain(BEYOND.iter().copied()).collect();
    let shown = Config::default().get(&[b"*"]);
    for (name, _) in &shown {
        assert!(known.contains(&name.as_str()), "{name}");
    }
    assert_eq!(shown.len(), known.len());
}

#[test]
fn every_entry_is_whole() {
    let mut fields = BTreeMap::new();
    for directive in directives() {
        let name = directive.name;
        assert_eq!(fields.insert(name, ()), None, "{name} twice");
        assert_eq!(find(name.to_uppercase().as_bytes()).map(|found| found.name), Some(name));
        if let Some(alias) = directive.alias {
            assert_eq!(find(alias.as_bytes()).map(|found| found.name), Some(name));
        }
        assert!(directive.documentation.ends_with('.'), "{name}: {}", directive.documentation);
        assert!(!directive.documentation.contains("  "), "{name}: {}", directive.documentation);
    }
}

/// Storing another value must change the directive's own value and no other.
#[test]
fn each_entry_reads_the_field_it_writes() {
    let before = Config::default();
    for directive in directives() {
        let candidates: [&[u8]; 28] = [
            b"yes",
            b"no",
            b"7",
            b"2097153",
            b"word",
            b"{title} x",
            b"9 9",
            b"1 2 3",
            b"normal 1 2 3",
            b"KEA",
            b"now",
            b"h 1",
            b"upstart",
            b"user",
            b"debug",
            b"allkeys-lru",
            b"always",
            b"swapdb",
            b"allchannels",
            b"hostname",
            b"CN",
            b"panic",
            b"/",
            b"C",
            b"0123456789abcdef",
            b"json",
            b"iso8601",
            b"relaxed",
        ];
        let is_changed_by = |candidate: &&&[u8]| {
            let mut config = before.clone();
            directive.store(&mut config, &directive.split(candidate)).is_ok()
                && directive.value(&config) != directive.value(&before)
        };
        let candidate = candidates.iter().find(is_changed_by).unwrap_or_else(|| panic!("{}", directive.name));
        let mut after = before.clone();
        directive.store(&mut after, &directive.split(candidate)).expect("it was stored before");
        for other in directives().filter(|other| other.name != directive.name) {
            assert_eq!(other.value(&after), other.value(&before), "{} changed {}", directive.name, other.name);
        }
        assert_ne!(after, before, "{}", directive.name);
    }
}

/// The lines of the example that set directives, without the `#` before optional ones.
fn example_settings() -> Vec<&'static str> {
    let lines = EXAMPLE.lines().map(|line| line.strip_prefix('#').unwrap_or(line));
    lines.filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase())).collect()
}

#[test]
fn example_names_every_directive_with_its_default() {
    let settings = example_settings();
    for directive in directives().filter(|directive| !directive.is_hidden) {
        let lines: Vec<&str> =
            settings.iter().filter(|line| line.split(' ').next() == Some(directive.name)).copied().collect();
        assert!(!lines.is_empty(), "{} is missing", directive.name);
        // Uncommented, they must all load, and to the default.
        let config = load(&lines.join("\n")).expect(directive.name).0;
        if directive.name != "dir" && directive.name != "replicaof" {
            let shown = directive.value(&config);
            assert_eq!(String::from_utf8_lossy(&shown), directive.default, "{}", directive.name);
        }
        let marked = EXAMPLE.contains(&format!("# {} (without effect here)", directive.name));
        assert_eq!(marked, !directive.works, "{}", directive.name);
    }
}

#[test]
fn example_loads_as_it_is_to_the_defaults() {
    let (mut config, statements) = load(EXAMPLE).expect("the example is valid");
    config.dir.clear();
    assert_eq!(config, Config::default());
    assert_eq!(statements, Default::default());
}
