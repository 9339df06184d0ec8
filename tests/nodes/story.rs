//! Random stories over three to five nodes.
//!
//! `ONELOOP_NODES=17` plays one story and tells all of it; `ONELOOP_NODES_STORIES=10000` plays so many,
//! `ONELOOP_NODES_FIRST` the first of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use oneloop::config::{AppendFsync, Config, PropagationErrorBehavior, ReplicaDisklessLoad, SavePoint, SyncDelay};
use oneloop::replication::failover::FailoverState;
use oneloop::storage::file::operations::simulated::PowerCut;

use super::cluster::{Cluster, Ending};
use super::data;
use super::ledger::Outcome;
use super::network::{Cut, Pieces};
use super::node::host;
use super::promises::Wait;
use super::writes::Writes;

/// Stories that every run of the tests plays.
const STORIES: u64 = 200;
/// Events of a story that are printed when it fails.
const TOLD_MAX: usize = 80;
/// After so many that fail no more are played.
const FAILURES_MAX: usize = 10;
/// In so much time everything is in sync once nothing is broken any more.
const HEALING_MS: u64 = 60_000;
/// Number of rounds in which all nodes are sent REPLICAOF.
const ORDER_PERIOD_MS: u64 = 15_000;

struct Story {
    seed: u64,
    cluster: Cluster,
    random: fastrand::Rng,
    written: usize,
}

fn settings(random: &mut fastrand::Rng) -> Config {
    Config {
        hz: [1, 10, 10][random.usize(0..3)],
        databases: 3,
        appendonly: random.bool(),
        appendfsync: match random.u8(0..3) {
            0 => AppendFsync::Always,
            1 => AppendFsync::EverySec,
            _ => AppendFsync::No,
        },
        aof_use_rdb_preamble: random.bool(),
        save: match random.u8(0..3) {
            0 => vec![SavePoint { seconds: 1, changes: 5 }],
            _ => Vec::new(),
        },
        repl_diskless_sync: random.bool(),
        repl_diskless_sync_delay: match random.u8(0..6) {
            0 => SyncDelay::Asked(1),
            _ => SyncDelay::Implied(5),
        },
        repl_diskless_load: match random.u8(0..3) {
            0 => ReplicaDisklessLoad::Disabled,
            1 => ReplicaDisklessLoad::OnEmptyDatabase,
            _ => ReplicaDisklessLoad::SwapDatabase,
        },
        repl_timeout: random.u32(3..8),
        repl_ping_replica_period: random.u32(1..3),
        repl_backlog_size: [16_384, 20_000, 60_000, 1 << 20][random.usize(0..4)],
        repl_backlog_ttl: [0, 1, 5, 3600][random.usize(0..4)],
        replica_lazy_flush: random.bool(),
        rdb_del_sync_files: random.bool(),
        replica_serve_stale_data: random.bool(),
        propagation_error_behavior: PropagationErrorBehavior::PanicOnReplicas,
        ..Config::default()
    }
}

impl Story {
    fn new(seed: u64, is_told: bool) -> Story {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = [3, 3, 3, 4, 5][random.usize(0..5)];
        let mut configs: Vec<Config> = (0..count).map(|_| settings(&mut random)).collect();
        if random.bool() {
            // All alike, as in most deployments.
            let first = configs[0].clone();
            configs.fill(first);
        }
        let mut cluster = Cluster::new(seed, configs, is_told);
        cluster.network.pieces = [Pieces::Whole, Pieces::Any, Pieces::Tiny][random.usize(0..3)];
        cluster.has_slow_disks = random.u8(0..4) == 0;
        cluster.clock.set_virtual_step([0, 0, 200, 20_000][random.usize(0..4)]);
        Story { seed, cluster, random, written: 0 }
    }

    fn count(&self) -> usize {
        self.cluster.nodes.len()
    }

    fn any_node(&mut self) -> usize {
        self.random.usize(0..self.cluster.nodes.len())
    }

    fn play(&mut self) -> Outcome {
        let count = self.count();
        for node in 0..count {
            // A star, or a chain.
            if node > 0 && self.random.u8(0..4) > 0 {
                let primary = if self.random.bool() { 0 } else { node - 1 };
                self.cluster.nodes[node].follow_at_start(primary);
            }
            self.cluster.start(node)?;
        }
        self.set_delays();
        let steps = self.random.usize(10..50);
        for _ in 0..steps {
            self.act()?;
            let ms = match self.random.u8(0..10) {
                0..=3 => self.random.u64(0..5),
                4..=7 => self.random.u64(0..150),
                8 => self.random.u64(0..1500),
                _ => self.random.u64(0..9000),
            };
            self.cluster.run_ms(ms)?;
        }
        self.heal()
    }

    fn set_delays(&mut self) {
        let most_us = [0, 2000, 50_000][self.random.usize(0..3)];
        for from in 0..self.count() {
            for to in 0..self.count() {
                let (delay_us, jitter_us) = (self.random.u64(0..=most_us), self.random.u64(0..=most_us));
                self.cluster.network.set_delay(from, to, delay_us, jitter_us);
            }
        }
    }

    fn act(&mut self) -> Outcome {
        let node = self.any_node();
        match self.random.u8(0..111) {
            100..=103 => self.cut_amid_writes(),
            104..=105 => return self.cut_power_amid_writes(),
            106..=107 => self.fail_over_amid_writes(),
            108..=110 => return self.outrun(),
            0..=34 => self.write(node),
            35..=39 => self.write_and_wait(node),
            40..=43 => self.block(node),
            44..=50 => self.reset_links(),
            51..=57 => self.part(),
            58..=60 => self.set_delays(),
            61..=69 => self.follow(node),
            70..=73 => self.promote(node),
            74..=77 => self.fail_over(node),
            78..=86 => return self.restart(node),
            87..=92 => self.administer(node),
            93..=95 => {
                self.cluster.tell("all paths are open".into());
                self.cluster.network.heal();
            }
            _ => self.write_to_all(),
        }
        Ok(())
    }

    fn ask(&mut self, node: usize, words: &[&str]) {
        self.cluster.tell(format!("node {node}: {}", words.join(" ")));
        self.cluster.nodes[node].order(words);
    }

    fn write(&mut self, node: usize) {
        let mut writes = Writes { random: &mut self.random, requests: Vec::new() };
        for _ in 0..writes.random.u8(1..12) {
            writes.any();
        }
        let requests: Vec<Vec<&str>> =
            writes.requests.iter().map(|words| words.iter().map(String::as_str).collect()).collect();
        self.cluster.nodes[node].send(&requests);
        let first =
            |words: &Vec<&str>| words.iter().map(|word| &word[..word.len().min(9)]).collect::<Vec<_>>().join(" ");
        let told: Vec<String> = requests.iter().map(first).collect();
        self.cluster.tell(format!("node {node} writes {}", told.join(", ")));
    }

    fn write_and_wait(&mut self, node: usize) {
        self.written += 1;
        let text = format!("<promise {}>", self.written);
        let replicas = self.random.u8(1..3);
        let wait = match self.random.bool() {
            true => Wait::Replicas(replicas),
            false => Wait::Disks { local: self.random.u8(0..2), replicas: replicas - self.random.u8(0..2) },
        };
        let timeout_ms = self.random.u16(1..3000);
        self.cluster.tell(format!("node {node}: SET {text}, waits for {wait:?}, {timeout_ms} ms"));
        self.cluster.ask_for_promise(node, &text, wait, timeout_ms);
    }

    /// A client waits for an element of a list.
    fn block(&mut self, node: usize) {
        let key = format!("list:{}", self.random.u8(0..4));
        self.cluster.tell(format!("node {node}: BLMOVE {key}"));
        if let Some(blocker) = &self.cluster.nodes[node].blocker {
            blocker.receive_all();
            blocker.send(&super::node::request(&["BLMOVE", &key, "list:9", "LEFT", "RIGHT", "0.5"]));
        }
    }

    fn reset_links(&mut self) {
        let numbers: Vec<(usize, usize, usize)> =
            self.cluster.network.wires().iter().map(|wire| (wire.number, wire.from, wire.to)).collect();
        for (number, from, to) in numbers {
            if self.random.bool() {
                self.cluster.tell(format!("the link from node {from} to node {to} is reset"));
                self.cluster.network.reset(number);
            }
        }
    }

    /// Nodes that have replicas and follow none.
    fn primaries(&self) -> Vec<usize> {
        let leads = |node: &usize| {
            let state = self.cluster.view(*node);
            state.is_some_and(|state| !state.replication.is_replica() && state.replication.primary.has_replicas())
        };
        (0..self.count()).filter(leads).collect()
    }

    fn write_to_all(&mut self) {
        for node in 0..self.count() {
            self.write(node);
        }
    }

    /// Links break amid what is written: after any byte, and so amid a command or a transaction.
    fn cut_amid_writes(&mut self) {
        let numbers: Vec<usize> = self.cluster.network.wires().iter().map(|wire| wire.number).collect();
        for number in numbers {
            let cut = [Cut::Reset, Cut::Finish, Cut::Silence][self.random.usize(0..3)];
            let (side, bytes) = (usize::from(self.random.u8(0..5) > 0), self.random.u64(1..1500));
            self.cluster.tell(format!("link {number} breaks after {bytes} bytes of side {side}: {cut:?}"));
            self.cluster.network.cut_after(number, side, bytes, cut);
        }
        self.write_to_all();
    }

    /// A replica is out of touch until its primary has written more than any backlog holds.
    fn outrun(&mut self) -> Outcome {
        let links: Vec<(usize, usize, usize)> =
            self.cluster.network.wires().iter().map(|wire| (wire.number, wire.from, wire.to)).collect();
        let Some((number, from, to)) = self.random.choice(&links).copied() else { return Ok(()) };
        self.cluster.tell(format!("node {from} is out of touch with node {to}, which writes much"));
        let until_us = self.cluster.now_us() + 300_000;
        self.cluster.network.reset(number);
        self.cluster.network.block(from, to, until_us);
        self.cluster.network.block(to, from, until_us);
        let value = "x".repeat(30_000);
        let requests: Vec<Vec<&str>> = ["big:0", "big:1", "big:2"].iter().map(|key| vec!["SET", key, &value]).collect();
        self.cluster.nodes[to].send(&requests);
        self.write(to);
        self.cluster.run_ms(400)
    }

    /// Machines whose disks are behind lose their power.
    fn cut_power_amid_writes(&mut self) -> Outcome {
        self.write_to_all();
        let ms = self.random.u64(0..2500);
        self.cluster.run_ms(ms)?;
        let node = self.any_node();
        self.cluster.end(node, Ending::PowerCut(PowerCut::KeepsNothing), false);
        self.cluster.run_ms(ms)?;
        if self.cluster.nodes[node].server.is_none() { self.cluster.start(node) } else { Ok(()) }
    }

    /// A primary gives its place away while its replicas lack something.
    fn fail_over_amid_writes(&mut self) {
        let primaries = self.primaries();
        if let Some(node) = self.random.choice(&primaries).copied() {
            self.write(node);
            self.ask(node, &["FAILOVER"]);
            self.write(node);
        }
    }

    /// Some paths are blocked, for a moment or for long: of one node, between two, or one way.
    fn part(&mut self) {
        let now_us = self.cluster.now_us();
        let ms = match self.random.u8(0..3) {
            0 => self.random.u64(1..300),
            1 => self.random.u64(300..5000),
            _ => self.random.u64(5000..20_000),
        };
        let (one, other, way) = (self.any_node(), self.any_node(), self.random.u8(0..3));
        self.cluster.tell(format!("paths of {one} and {other} are blocked for {ms} ms ({way})"));
        let until_us = now_us + ms * 1000;
        for node in 0..self.count() {
            match way {
                0 => {
                    self.cluster.network.block(one, node, until_us);
                    self.cluster.network.block(node, one, until_us);
                }
                1 => self.cluster.network.block(one, node, until_us),
                _ => {
                    self.cluster.network.block(one, other, until_us);
                    self.cluster.network.block(other, one, until_us);
                }
            }
        }
    }

    fn follow(&mut self, node: usize) {
        let primary = self.any_node();
        if primary == node {
            return;
        }
        self.ask(node, &["REPLICAOF", &host(primary), "6379"]);
        if self.random.u8(0..4) == 0 {
            // In a hurry, something else.
            let other = self.any_node();
            self.ask(node, &["REPLICAOF", &host(other), "6379"]);
        }
    }

    fn promote(&mut self, node: usize) {
        self.ask(node, &["REPLICAOF", "NO", "ONE"]);
        if self.random.bool() {
            for other in 0..self.count() {
                if other != node && self.random.u8(0..3) > 0 {
                    self.ask(other, &["REPLICAOF", &host(node), "6379"]);
                }
            }
        }
    }

    fn fail_over(&mut self, node: usize) {
        let target = host(self.any_node());
        match self.random.u8(0..5) {
            0 => self.ask(node, &["FAILOVER"]),
            1 => self.ask(node, &["FAILOVER", "TIMEOUT", "500"]),
            2 => self.ask(node, &["FAILOVER", "TO", &target, "6379", "TIMEOUT", "1000"]),
            3 => {
                self.cluster.ledger.known[node].may_lose = true;
                self.ask(node, &["FAILOVER", "TO", &target, "6379", "FORCE", "TIMEOUT", "200"]);
            }
            _ => self.ask(node, &["FAILOVER", "ABORT"]),
        }
    }

    fn restart(&mut self, node: usize) -> Outcome {
        let forgets = self.random.u8(0..4) == 0;
        if self.cluster.nodes[node].server.is_none() {
            return self.cluster.start(node);
        }
        match self.random.u8(0..8) {
            0..=1 => self.cluster.end(node, Ending::Kill, forgets),
            2 => self.cluster.end(node, Ending::PowerCut(PowerCut::KeepsSome), forgets),
            3 => self.cluster.end(node, Ending::PowerCut(PowerCut::KeepsNothing), forgets),
            4 => self.cluster.end(node, Ending::LostDisk, forgets),
            _ => {
                let words: &[&str] = match self.random.u8(0..4) {
                    0 => &["SHUTDOWN"],
                    1 => &["SHUTDOWN", "NOSAVE", "NOW"],
                    2 => &["SHUTDOWN", "SAVE"],
                    _ => &["SHUTDOWN", "SAVE", "FORCE", "NOW"],
                };
                self.ask(node, words);
                self.cluster.run_until(2000, |cluster| cluster.nodes[node].server.is_none())?;
                if self.cluster.nodes[node].server.is_some() {
                    self.cluster.end(node, Ending::Kill, forgets);
                }
            }
        }
        match self.random.u8(0..3) {
            0 => Ok(()),
            1 => self.cluster.start(node),
            _ => {
                let ms = self.random.u64(0..8000);
                self.cluster.run_ms(ms)?;
                self.cluster.start(node)
            }
        }
    }

    fn administer(&mut self, node: usize) {
        match self.random.u8(0..16) {
            0 => self.ask(node, &["BGSAVE"]),
            1 => self.ask(node, &["BGREWRITEAOF"]),
            2 => self.ask(node, &["CONFIG", "SET", "appendonly", "yes"]),
            3 => self.ask(node, &["CONFIG", "SET", "appendonly", "no"]),
            4 => self.ask(node, &["CONFIG", "SET", "repl-diskless-sync", "yes"]),
            5 => self.ask(node, &["CONFIG", "SET", "repl-diskless-sync", "no"]),
            6 => self.ask(node, &["CONFIG", "SET", "repl-diskless-load", "swapdb"]),
            7 => self.ask(node, &["CONFIG", "SET", "repl-diskless-load", "disabled"]),
            8 => self.ask(node, &["CONFIG", "SET", "repl-backlog-size", "16384"]),
            9 => self.ask(node, &["CLIENT", "KILL", "TYPE", "replica"]),
            10 => self.ask(node, &["CLIENT", "KILL", "TYPE", "master"]),
            11 => self.ask(node, &["CLIENT", "PAUSE", "300", "WRITE"]),
            12 => self.ask(node, &["CLIENT", "PAUSE", "300", "ALL"]),
            13 => self.ask(node, &["DEBUG", "RELOAD"]),
            _ => {
                // Amid a transaction the data are ahead of the log.
                let words: &[&str] = match self.random.u8(0..4) {
                    0 => &["BGSAVE"],
                    1 => &["BGREWRITEAOF"],
                    2 => &["CONFIG", "SET", "appendonly", "yes"],
                    _ => &["REPLICAOF", "NO", "ONE"],
                };
                self.cluster.tell(format!("node {node}: INCR amid, {}, INCR amid", words.join(" ")));
                let requests = [&["MULTI"], &["INCR", "amid"][..], words, &["INCR", "amid"], &["EXEC"]];
                self.cluster.nodes[node].send(&requests.map(<[&str]>::to_vec));
            }
        }
    }

    /// Nothing is broken any more, and all follow one primary: all have the same data then.
    fn heal(&mut self) -> Outcome {
        self.cluster.tell("everything is mended".into());
        self.cluster.network.heal();
        let chosen = self.any_node();
        for node in 0..self.count() {
            if self.cluster.nodes[node].server.is_none() {
                self.cluster.start(node)?;
            }
            self.ask(node, &["FAILOVER", "ABORT"]);
            self.ask(node, &["CLIENT", "UNPAUSE"]);
        }
        // A failover that is over by now may have made any node follow another one.
        self.cluster.run_ms(500)?;
        let mut is_healed = false;
        for _ in 0..HEALING_MS / ORDER_PERIOD_MS {
            // One that loads its data obeys no such order.
            for node in 0..self.count() {
                match node == chosen {
                    true => self.ask(node, &["REPLICAOF", "NO", "ONE"]),
                    false => self.ask(node, &["REPLICAOF", &host(chosen), "6379"]),
                }
            }
            self.write(chosen);
            is_healed = self.cluster.run_until(ORDER_PERIOD_MS, |cluster| cluster.is_in_sync(chosen))?;
            if is_healed {
                break;
            }
        }
        if !is_healed {
            return Err(format!("not in sync with node {chosen} after {HEALING_MS} ms: {}", places(&self.cluster)));
        }
        // Once more with what was written meanwhile, and with keys that expire.
        self.write(chosen);
        self.cluster.run_ms(4000)?;
        if !self.cluster.run_until(HEALING_MS, |cluster| cluster.is_in_sync(chosen))? {
            return Err(format!("out of sync with node {chosen}: {}", places(&self.cluster)));
        }
        self.compare(chosen)
    }

    fn compare(&mut self, chosen: usize) -> Outcome {
        let wanted = self.cluster.view(chosen).map(data::all).unwrap_or_default();
        for node in 0..self.count() {
            let state = self.cluster.view(node);
            let found = state.map(data::all).unwrap_or_default();
            if found != wanted {
                let shown = data::difference(&wanted, &found);
                return Err(format!("node {node} has other data than node {chosen}:\n{shown}"));
            }
            if state.is_some_and(|state| state.replication.failover.state() != FailoverState::None) {
                return Err(format!("node {node} is failing over"));
            }
        }
        Ok(())
    }

    fn told(&self) -> String {
        let told = &self.cluster.told;
        told[told.len().saturating_sub(TOLD_MAX)..].join("\n")
    }
}

fn places(cluster: &Cluster) -> String {
    let place = |node: usize| {
        let state = cluster.view(node)?;
        let link = state.replication.replica.as_ref().map(|side| side.link.state());
        Some(format!(
            "{node}: {:?} {link:?} {:?}",
            state.place_in_history(),
            state.replication.replica.as_ref().map(|r| (r.host.clone(), r.is_held))
        ))
    };
    (0..cluster.nodes.len()).map(|node| place(node).unwrap_or_else(|| "down".into())).collect::<Vec<_>>().join("\n")
}

fn number_of(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays a story; gives what went wrong, with what has happened before.
fn played(seed: u64, is_told: bool) -> Result<(usize, usize), String> {
    let mut story = Story::new(seed, is_told);
    let outcome = catch_unwind(AssertUnwindSafe(|| story.play()));
    if is_told {
        println!("{}", story.cluster.told.join("\n"));
    }
    let reason = match outcome {
        Ok(Ok(())) => return Ok((story.cluster.ledger.full_syncs, story.cluster.ledger.partial_syncs)),
        Ok(Err(reason)) => reason,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
            format!("panic: {}", text.unwrap_or_default())
        }
    };
    Err(format!("ONELOOP_NODES={} fails:\n{}\n{reason}", story.seed, story.told()))
}

#[test]
fn after_every_story_all_nodes_have_the_same_data() {
    if let Some(seed) = number_of("ONELOOP_NODES") {
        played(seed, true).unwrap_or_else(|reason| panic!("{reason}"));
        return;
    }
    let first = number_of("ONELOOP_NODES_FIRST").unwrap_or(0);
    let count = number_of("ONELOOP_NODES_STORIES").unwrap_or(STORIES);
    let (mut full, mut partial, mut failed) = (0, 0, Vec::new());
    for seed in first..first + count {
        match played(seed, false) {
            Ok((fulls, partials)) => {
                full += fulls;
                partial += partials;
            }
            Err(reason) => {
                println!("{reason}\n");
                failed.push(seed);
            }
        }
        if failed.len() >= FAILURES_MAX {
            break;
        }
    }
    println!("{count} stories: {full} full and {partial} partial synchronizations");
    assert!(failed.is_empty(), "these stories fail (ONELOOP_NODES=… tells one): {failed:?}");
    assert!(full >= count as usize && partial >= count as usize, "the stories are too quiet");
}
