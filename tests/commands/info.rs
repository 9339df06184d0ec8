//! INFO.

use crate::support::Harness;

/// What INFO prints on Redis 7.2.6: sections and names of fields.
const GENUINE: &str = include_str!("../data/info-fields-7.2.txt");

/// Sections whose lines follow from what was used, and the network, which an in-process server lacks.
const VARYING: [&str; 5] = ["# Commandstats", "# Errorstats", "# Latencystats", "# Keyspace", "# Modules"];

/// Fields of our own, by their beginnings.
const OWN: [&str; 14] = [
    "oneloop_",
    "mem_oneloop_",
    "eventloop_waiting_",
    // Of Redis 8.6.
    "acl_access_denied_db",
    "acl_access_denied_tls_cert",
    // Of Redis 7.4.
    "expired_subkeys",
    "evicted_scripts",
    "pubsub_clients",
    "watching_clients",
    "total_watched_keys",
    "eventloop_duration_serving_sum",
    "eventloop_duration_jobs_sum",
    "eventloop_jobs_",
    "availability_zone",
];

/// The text of INFO without the bulk string's head.
fn info(server: &mut Harness, sections: &str) -> String {
    let reply = server.run(format!("info {sections}").trim_end());
    let (_, text) = reply.split_once("\r\n").expect("a bulk string has a head");
    text.strip_suffix("\r\n").expect("a bulk string has an end").to_string()
}

fn titles(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("# ")).collect()
}

#[test]
fn sections_and_fields_are_those_of_redis_in_its_order() {
    let mut server = Harness::new();
    let text = info(&mut server, "everything");
    let ours: Vec<&str> = text
        .lines()
        .map(|line| line.split(':').next().unwrap_or_default())
        .filter(|name| !OWN.iter().any(|own| name.starts_with(own)))
        .collect();
    let mut varying = false;
    let genuine: Vec<&str> = GENUINE
        .lines()
        .skip(1)
        .map(str::trim)
        .skip_while(|line| line.is_empty())
        .filter(|line| {
            if line.starts_with("# ") {
                varying = VARYING.contains(line);
                return true;
            }
            (!varying || line.is_empty()) && *line != "listener0"
        })
        .collect();
    let ours: Vec<&str> = {
        let mut varying = false;
        ours.into_iter()
            .filter(|line| {
                if line.starts_with("# ") {
                    varying = VARYING.contains(line);
                    return true;
                }
                !varying || line.is_empty()
            })
            .collect()
    };
    assert_eq!(ours, genuine);
}

#[test]
fn sections_are_chosen_by_name() {
    let mut server = Harness::new();
    let default = info(&mut server, "");
    assert_eq!(default.matches("# ").count(), 11);
    assert!(!default.contains("# Commandstats") && !default.contains("# Latencystats"));
    assert_eq!(titles(&info(&mut server, "default")), titles(&default));
    let all = info(&mut server, "all");
    assert_eq!(titles(&all).len(), 12);
    assert!(!all.contains("# Modules"));
    assert_eq!(titles(&info(&mut server, "everything")).len(), 13);
    assert_eq!(titles(&info(&mut server, "CPU server server")), ["# Server", "# CPU"]);
    assert_eq!(titles(&info(&mut server, "debug")), ["# Debug"]);
    assert_eq!(info(&mut server, "nonsense"), "");
    server.run("hello 3");
    assert!(server.run("info cluster").starts_with("=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n"));
}

#[test]
fn keys_and_their_expiry_are_counted() {
    let mut server = Harness::new();
    assert_eq!(info(&mut server, "keyspace"), "# Keyspace\r\n");
    server.run("set a 1");
    server.run("set b 1");
    server.run("pexpire b 5000");
    server.run("select 3");
    server.run("set c 1");
    assert_eq!(
        info(&mut server, "keyspace"),
        "# Keyspace\r\ndb0:keys=2,expires=1,avg_ttl=0\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n"
    );
    assert!(info(&mut server, "stats").contains("keyspace_hits:0\r\nkeyspace_misses:0\r\n"));
}

#[test]
fn commands_and_errors_are_counted() {
    let mut server = Harness::new();
    server.run("get a");
    server.run("get");
    server.run("nonsense");
    server.run("memory usage a foo");
    let text = info(&mut server, "commandstats errorstats");
    for line in [
        "cmdstat_get:calls=1,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0\r\n",
        "cmdstat_memory|usage:calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1\r\n",
        "errorstat_ERR:count=3\r\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn percentiles_are_in_micros() {
    let mut server = Harness::with_debug();
    server.run("debug sleep 0.25");
    let text = info(&mut server, "latencystats");
    // Two digits of the histogram are exact: a quarter of a second comes out a 128th too long at most.
    assert!(
        text.contains("latency_percentiles_usec_debug:p50=250609.663,p99=250609.663,p99.9=250609.663\r\n"),
        "{text}"
    );
    server.run("config set latency-tracking-info-percentiles 0.5");
    let text = info(&mut server, "latencystats");
    assert!(text.contains("latency_percentiles_usec_debug:p0.5=250609.663\r\n"), "{text}");
    assert!(info(&mut server, "commandstats").contains("cmdstat_debug:calls=1,usec=250000,usec_per_call=250000.00,"));
}

#[test]
fn time_moves_the_uptime() {
    let mut server = Harness::new();
    server.advance_ms(2 * 86_400_000 + 5000);
    let text = info(&mut server, "server");
    assert!(text.contains("uptime_in_seconds:172805\r\nuptime_in_days:2\r\n"), "{text}");
    assert!(text.contains("redis_version:7.2.6\r\n") && text.contains("hz:10\r\nconfigured_hz:10\r\n"));
}

#[test]
fn a_crash_report_shows_the_last_text() {
    use oneloop::base::crash::CrashSection;
    use oneloop::drive::info;
    use oneloop::observe::crash_context as crash;
    let server = Harness::new();
    crash::remember_names(&server.state.commands);
    crash::remember(info::everything(&server.state), server.state.clients.len());
    assert!(crash::section(CrashSection::Info).starts_with("# Server\r\n"));
    assert_eq!(crash::section(CrashSection::ClientList), "connected_clients=1\n");
    assert_eq!(crash::section(CrashSection::CurrentClient), "");
    let get = server.state.commands.find(b"get").expect("GET is there").id;
    crash::begin_command(get);
    assert_eq!(crash::section(CrashSection::CurrentClient), "cmd=get\n");
    crash::end_command();
    assert_eq!(crash::section(CrashSection::CurrentClient), "");
}
