//! Genuine Sentinels fail a set over again and again while clients write: nothing is lost that was promised.
//!
//! The set is one server of ours, another one, and a genuine one, each of which is the primary at some time. With
//! `redis-server` and `redis-sentinel` on the PATH. `SENTINEL_FAILOVERS` says how many failovers there are to be.

#[path = "support/sentinel.rs"]
mod sentinel;
#[path = "support/writers.rs"]
mod writers;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sentinel::{NAME, Node, PATIENCE, WatchedSet, connect, our_program, request};
use writers::{Manner, Writers, Written, missing};

/// In each round so many writes are acknowledged before the failover, and after it.
const WRITES: u64 = 300;
/// What was acknowledged so shortly before a server stopped, or before another one took its place, may still have been
/// on its way: replication is asynchronous.
const ON_ITS_WAY: Duration = Duration::from_millis(50);

/// What makes another server the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// The primary is killed; clients wait for both replicas.
    Kill,
    /// The primary hands its place over with FAILOVER, then the Sentinels learn of it.
    Handover,
    /// The primary stands still until another one has its place.
    Pause,
    /// SENTINEL FAILOVER: a Sentinel promotes a replica although the primary is well.
    Order,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Cause::Kill => "kill",
            Cause::Handover => "FAILOVER",
            Cause::Pause => "pause",
            Cause::Order => "SENTINEL FAILOVER",
        })
    }
}

const CAUSES: [Cause; 4] = [Cause::Kill, Cause::Handover, Cause::Pause, Cause::Order];

/// What came of one failover.
struct Outcome {
    cause: Cause,
    written: usize,
    /// Those that both replicas had, as WAIT said.
    promised: usize,
    lost: Vec<Written>,
    /// Of those that were lost: the old primary has acknowledged them after another one had its place.
    lost_after: usize,
    /// The old primary went on where it was.
    is_partial: bool,
    /// The machine stood still for so long that the Sentinels promoted another one besides.
    is_disturbed: bool,
    /// From the cause to the first write that the new primary has acknowledged.
    away: Duration,
}

/// Looks all the time which role a server says that it has.
struct RoleWatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Instant>,
}

impl RoleWatch {
    fn start(port: u16) -> RoleWatch {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        RoleWatch { stop, thread: std::thread::spawn(move || watch_role(port, &told)) }
    }

    /// When it was last known to be a replica.
    fn last_replica(self) -> Instant {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it watches to its end")
    }
}

fn watch_role(port: u16, stop: &AtomicBool) -> Instant {
    let mut last_replica = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut connection) = connect(port, Duration::from_secs(5)) else { continue };
        while !stop.load(Ordering::Relaxed) {
            let asked = Instant::now();
            let Ok(role) = request(&["ROLE"]).query::<Vec<redis::Value>>(&mut connection) else { break };
            if role.first() == Some(&redis::Value::BulkString(b"master".to_vec())) {
                return last_replica;
            }
            last_replica = asked;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    last_replica
}

/// One round: clients write, the failover comes, clients go on, the old primary is there again.
fn fail_over(set: &mut WatchedSet, round: u64, cause: Cause) -> Outcome {
    let old = set.settled_primary();
    let target = (old + 1) % set.nodes.len();
    // Each server is to have the place at some time. And since Sentinels know nothing of a handover, they must choose
    // the same server by themselves.
    set.prefer((cause != Cause::Kill).then_some(target));
    let sentinels: Vec<u16> = set.sentinels.iter().map(|sentinel| sentinel.port).collect();
    let manner = Manner { replicas: if cause == Cause::Kill { 2 } else { 0 } };
    let writers = Writers::start(round, manner, &sentinels);
    set.wait_until("clients write", |_| writers.acknowledged() >= WRITES);
    let watches: Vec<(u16, RoleWatch)> =
        set.nodes.iter().filter(|node| node.port != set.nodes[old].port).map(watch).collect();
    let begun = Instant::now();
    bring_about(set, old, target, cause);
    set.wait_until("the Sentinels agree on another primary", |set| {
        set.agreed_primary().is_some_and(|primary| primary != old)
    });
    let new = set.agreed_primary().expect("they agreed");
    let (before, more) = (writers.acknowledged(), if cause == Cause::Kill { WRITES / 10 } else { WRITES });
    set.wait_until("clients go on", |_| writers.acknowledged() >= before + more);
    let full = set.nodes[new].number("sync_full");
    match cause {
        Cause::Kill => set.nodes[old].restart(),
        Cause::Pause => set.nodes[old].signal("CONT"),
        Cause::Handover | Cause::Order => {}
    }
    set.settled_primary();
    let written = writers.stop();
    let promoted: BTreeMap<u16, Instant> =
        watches.into_iter().map(|(port, watch)| (port, watch.last_replica())).collect();
    let (settled, lost) = look_for(set, &written);
    let is_disturbed = settled != new || cause == Cause::Handover && new != target;
    let (promoted, new_port) = (promoted[&set.nodes[new].port], set.nodes[new].port);
    judge(if is_disturbed { Cause::Kill } else { cause }, &lost, begun, promoted);
    let first = written.iter().filter(|one| one.port == new_port).map(|one| one.at).min();
    Outcome {
        cause,
        written: written.len(),
        promised: written.iter().filter(|one| one.replicas >= 2).count(),
        lost_after: lost.iter().filter(|one| one.at >= promoted).count(),
        lost,
        is_partial: set.nodes[new].number("sync_full") == full,
        is_disturbed,
        away: first.map_or(Duration::ZERO, |first| first.saturating_duration_since(begun)),
    }
}

fn watch(node: &Node) -> (u16, RoleWatch) {
    (node.port, RoleWatch::start(node.port))
}

fn bring_about(set: &mut WatchedSet, old: usize, target: usize, cause: Cause) {
    match cause {
        Cause::Kill => set.nodes[old].kill(),
        Cause::Pause => set.nodes[old].signal("STOP"),
        Cause::Order => order(set),
        Cause::Handover => {
            let port = set.nodes[target].port.to_string();
            let words = ["FAILOVER", "TO", "127.0.0.1", &port, "TIMEOUT", "20000"];
            let () = set.nodes[old].ask(&words).expect("it can be handed over");
            set.wait_until("the replica has taken over", |set| set.nodes[target].field("role") == "master");
            order(set);
        }
    }
}

/// Tells a Sentinel to promote a replica.
fn order(set: &WatchedSet) {
    set.wait_until("a Sentinel takes the order", |set| {
        set.sentinels[0].ask::<()>(&["SENTINEL", "FAILOVER", NAME]).is_ok()
    });
}

/// Whether only that was lost which may be lost.
fn judge(cause: Cause, lost: &[Written], begun: Instant, promoted: Instant) {
    let forbidden: Vec<&Written> = match cause {
        Cause::Kill => lost.iter().filter(|one| one.replicas >= 2).collect(),
        Cause::Handover => lost.iter().collect(),
        // All that came before the server stopped has long been there when another one takes its place.
        Cause::Pause => {
            let is_on_its_way = |one: &&Written| one.at + ON_ITS_WAY >= begun && one.at <= begun + ON_ITS_WAY;
            lost.iter().filter(|one| one.at < promoted && !is_on_its_way(one)).collect()
        }
        Cause::Order => lost.iter().filter(|one| one.at + ON_ITS_WAY < promoted).collect(),
    };
    let times: Vec<String> = forbidden
        .iter()
        .map(|one| {
            let ahead = promoted.saturating_duration_since(one.at);
            format!("{}:{} of {}, {ahead:?} before the promotion", one.client, one.number, one.port)
        })
        .collect();
    assert!(times.is_empty(), "{cause}: lost: {times:#?}");
}

/// The server that is the primary in the end, and which of the writes it does not have; the others have the same data.
fn look_for(set: &WatchedSet, written: &[Written]) -> (usize, Vec<Written>) {
    loop {
        let settled = set.settled_primary();
        set.wait_for_same_offsets(settled);
        let lost = connect(set.nodes[settled].port, PATIENCE).and_then(|mut primary| missing(written, &mut primary));
        let digests: Result<Vec<String>, _> = set.nodes.iter().map(Node::digest).collect();
        // On a busy machine another failover may come meanwhile.
        if let (Ok(lost), Ok(digests), Some(primary)) = (lost, digests, set.agreed_primary())
            && primary == settled
        {
            assert!(digests.iter().all(|digest| *digest == digests[0]), "the data differ: {digests:?}");
            return (settled, lost);
        }
    }
}

fn show(round: usize, old: &str, new: &str, outcome: &Outcome) {
    println!(
        "{round:>3}  {:<18} {old:<9} → {new:<9} {:>5} ms  {:>5} written, {:>4} promised, {:>4} lost, {:>4} of them \
         acknowledged after the promotion; the old primary came back {}",
        outcome.cause,
        outcome.away.as_millis(),
        outcome.written,
        outcome.promised,
        outcome.lost.len(),
        outcome.lost_after,
        match (outcome.is_disturbed, outcome.is_partial) {
            (true, _) => "while another failover came (not counted)",
            (false, true) => "by a partial resync",
            (false, false) => "by a full resync",
        },
    );
}

fn sum_up(outcomes: &[Outcome]) {
    for cause in CAUSES {
        let of_cause = || outcomes.iter().filter(|outcome| outcome.cause == cause);
        let sum = |figure: fn(&Outcome) -> usize| of_cause().map(figure).sum::<usize>();
        println!(
            "{cause}: {} failovers, {} writes acknowledged, {} promised by WAIT, {} lost ({} of them acknowledged by the \
             old primary after the promotion); {} partial resyncs of the old primary",
            of_cause().count(),
            sum(|outcome| outcome.written),
            sum(|outcome| outcome.promised),
            sum(|outcome| outcome.lost.len()),
            sum(|outcome| outcome.lost_after),
            of_cause().filter(|outcome| outcome.is_partial).count(),
        );
    }
}

#[test]
fn a_set_is_failed_over_again_and_again() {
    let failovers: usize = std::env::var("SENTINEL_FAILOVERS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let programs = [("Oneloop A", our_program()), ("Oneloop B", our_program()), ("genuine", "redis-server".into())];
    let options = [
        "save \"\"",
        "appendonly yes",
        "enable-debug-command yes",
        "repl-diskless-sync-delay 0",
        "repl-backlog-size 64mb",
    ];
    let Some(mut set) = WatchedSet::start(&programs, &options) else { return };
    let (mut outcomes, mut disturbed) = (Vec::new(), 0);
    while outcomes.len() < failovers {
        let round = outcomes.len() + disturbed;
        let old = set.settled_primary();
        let outcome = fail_over(&mut set, round as u64, CAUSES[outcomes.len() % CAUSES.len()]);
        let new = set.settled_primary();
        show(round, &set.nodes[old].name, &set.nodes[new].name, &outcome);
        match outcome.is_disturbed {
            true => disturbed += 1,
            false => outcomes.push(outcome),
        }
        assert!(disturbed <= failovers, "this machine is too busy: the Sentinels take live servers for dead");
    }
    sum_up(&outcomes);
    let is_partial = |outcome: &Outcome| outcome.cause != Cause::Handover || outcome.is_partial;
    assert!(outcomes.iter().all(is_partial), "after FAILOVER the old primary goes on where it was");
}
