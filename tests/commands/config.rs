//! CONFIG.

use std::fs;
use std::path::PathBuf;

use oneloop::config::{Config, SetContext};

use crate::support::Harness;

/// A folder of this test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("oneloop-config-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder can be made");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn get_gives_what_matches() {
    let mut server = Harness::new();
    server.expect("config get hz", "*2\r\n$2\r\nhz\r\n$2\r\n10\r\n");
    server.expect("config get nothing", "*0\r\n");
    server.expect("config get hz HZ", "*2\r\n$2\r\nhz\r\n$2\r\n10\r\n");
    assert!(server.run("config get maxmem*").contains("maxmemory-policy"));
    server.expect("config get", "-ERR wrong number of arguments for 'config|get' command\r\n");
    server.run("hello 3");
    server.expect("config get hz", "%1\r\n$2\r\nhz\r\n$2\r\n10\r\n");
}

#[test]
fn set_changes_all_or_nothing() {
    let mut server = Harness::new();
    server.expect("config set hz 20 maxmemory 100mb", "+OK\r\n");
    assert_eq!((server.state.config.hz, server.state.config.maxmemory), (20, 100 << 20));
    let refused =
        "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value\r\n";
    server.expect("config set hz 30 maxmemory x", refused);
    assert_eq!(server.state.config.hz, 20);
}

#[test]
fn set_refuses_what_redis_refuses() {
    let mut server = Harness::new();
    server.expect("config set hz", "-ERR wrong number of arguments for 'config|set' command\r\n");
    server.expect("config set hz 1 timeout", "-ERR syntax error\r\n");
    server.expect("config set a b", "-ERR Unknown option or number of arguments for CONFIG SET - 'a'\r\n");
    server.expect(
        "config set databases 3",
        "-ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config\r\n",
    );
    server.expect(
        "config set hz 1 hz 2",
        "-ERR CONFIG SET failed (possibly related to argument 'hz') - duplicate parameter\r\n",
    );
    server.expect("config foo", "-ERR unknown subcommand 'foo'. Try CONFIG HELP.\r\n");
}

#[test]
fn a_setting_that_cannot_be_applied_is_taken_back_with_the_others() {
    let mut server = Harness::new();
    let before = server.state.config.clone();
    let reply = server.run("config set slowlog-max-len 7 maxclients 4000000000");
    let wanted = "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system is not able \
                  to handle the specified number of clients, try with ";
    assert!(reply.starts_with(wanted), "{reply}");
    assert_eq!(server.state.config, before);
    assert_eq!(server.state.command_logs.slow.capacity, 128);
}

#[test]
fn what_follows_from_settings_is_brought_up_to_date() {
    let mut server = Harness::new();
    server.run("config set slowlog-max-len 3 slowlog-log-slower-than 0");
    assert_eq!((server.state.command_logs.slow.capacity, server.state.slow_ticks), (3, 0));
    server.run("get a");
    assert!(server.run("info latencystats").contains("latency_percentiles_usec_get"));
    server.run("config set latency-tracking no");
    assert!(!server.run("info latencystats").contains("latency_percentiles_usec_get"));
}

#[test]
fn a_password_binds_those_who_come_later() {
    let mut server = Harness::new();
    server.expect("config set requirepass secret", "+OK\r\n");
    server.expect("get a", "$-1\r\n");
    let other = server.connect();
    let refused = server.run_as(other, &[b"get", b"a"]);
    assert_eq!(refused, b"-NOAUTH Authentication required.\r\n");
    server.run_args(&[b"config", b"set", b"requirepass", b""]);
    assert_eq!(server.run_as(other, &[b"get", b"a"]), b"$-1\r\n");
}

#[test]
fn rewrite_keeps_the_file_and_its_comments() {
    let mut server = Harness::new();
    server.expect("config rewrite", "-ERR The server is running without a config file\r\n");
    let folder = Folder::new("rewrite");
    let path = folder.0.join("a.conf");
    fs::write(&path, "# mine\nhz 15\n").expect("a file can be written");
    server.state.process.config_file = Some(path.clone());
    server.run("config set hz 33");
    server.expect("config rewrite", "+OK\r\n");
    let text = fs::read_to_string(&path).expect("the file is there");
    assert!(text.starts_with("# mine\nhz 33\n"), "{text}");
    assert!(!text.contains("tcp-backlog"), "{text}");
    server.state.process.config_file = Some(folder.0.join("none/a.conf"));
    server.expect("config rewrite", "-ERR Rewriting config file: No such file or directory\r\n");
}

#[test]
fn reset_stat_sets_counters_to_zero() {
    let mut server = Harness::new();
    server.run("get a");
    server.run("nonsense");
    server.state.loop_stats.turns = 9;
    server.expect("config resetstat", "+OK\r\n");
    let text = server.run("info everything");
    for line in
        ["keyspace_misses:0", "total_error_replies:0", "eventloop_cycles:0", "cmdstat_config|resetstat:calls=1,"]
    {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("cmdstat_get") && !text.contains("errorstat_ERR"));
}

#[test]
fn help_lists_the_subcommands() {
    let mut server = Harness::new();
    let text = server.run("config help");
    assert!(text.starts_with("*11\r\n+CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n"), "{text}");
    assert!(text.contains("+GET <parameter> [<parameter> ...]\r\n"), "{text}");
}

/// What a directive brings about in the state comes about at the start and by CONFIG SET alike, and ends with a change
/// that fails.
#[test]
fn settings_have_their_effects_at_the_start_and_when_changed_and_lose_them_when_undone() {
    type Effect = fn(&Harness) -> String;
    let effects: [(&str, &str, Effect); 12] = [
        ("slowlog-max-len", "7", |server| server.state.command_logs.slow.capacity.to_string()),
        ("slowlog-log-slower-than", "1", |server| server.state.slow_ticks.to_string()),
        ("commandlog-large-request-max-len", "7", |server| {
            server.state.command_logs.large_requests.capacity.to_string()
        }),
        ("commandlog-large-reply-max-len", "7", |server| server.state.command_logs.large_replies.capacity.to_string()),
        ("commandlog-request-larger-than", "-1", |server| server.state.command_logs.request_bytes_min.to_string()),
        ("commandlog-reply-larger-than", "-1", |server| server.state.command_logs.reply_bytes_min.to_string()),
        ("maxmemory-policy", "allkeys-lfu", |server| server.state.keyspace.access.counts_uses().to_string()),
        ("lfu-log-factor", "3", |server| server.state.keyspace.access.log_factor.to_string()),
        ("lfu-decay-time", "3", |server| server.state.keyspace.access.decay_minutes.to_string()),
        ("client-output-buffer-limit", "normal 1 2 3", |server| server.state.output_limited().to_string()),
        ("lazyfree-lazy-expire", "yes", |server| format!("{:?}", server.state.keyspace.changes.propagation.deletion())),
        ("requirepass", "secret", |server| server.state.authentication_required().to_string()),
    ];
    for (name, value, effect) in effects {
        let before = effect(&Harness::new());
        let mut config = Config::default();
        config.set(&[(name.as_bytes(), value.as_bytes())], SetContext::default()).expect(name);
        let started = effect(&Harness::with_config(config));
        assert_ne!(before, started, "{name}");

        let mut server = Harness::new();
        let set = |server: &mut Harness, more: &[&[u8]]| {
            let request = [&[b"config".as_slice(), b"set", name.as_bytes(), value.as_bytes()], more].concat();
            server.run_args(&request)
        };
        // So many files no system allows.
        let failed = set(&mut server, &[b"maxclients", b"4294967295"]);
        assert!(failed.starts_with("-ERR CONFIG SET failed (possibly related to argument 'maxclients')"), "{failed}");
        assert_eq!(effect(&server), before, "{name}");
        assert_eq!(set(&mut server, &[]), "+OK\r\n");
        assert_eq!(effect(&server), started, "{name}");
    }
}

#[test]
fn a_hash_seed_decides_the_order_of_keys_whatever_else_is_random() {
    use oneloop::base::entropy::Entropy;
    let keys = |seed: &str, entropy| {
        let config = Config { hash_seed: seed.to_string(), ..Config::default() };
        let mut server = Harness::with_entropy(config, &Entropy::Seeded(entropy));
        (0..50).for_each(|number| drop(server.run(&format!("set key:{number} v"))));
        server.run("scan 0 count 20")
    };
    assert_eq!(keys("seed", 1), keys("seed", 2));
    assert_ne!(keys("seed", 1), keys("other", 1));
    assert_ne!(keys("", 1), keys("", 2));
}
