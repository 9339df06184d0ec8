//! Links that break at every byte of the handshake and of a small snapshot, in both directions and in every form: the
//! old data stay until all of the new ones are there, and the next attempt succeeds.

use oneloop::config::{Config, ReplicaDisklessLoad};

use super::cluster::Cluster;
use super::data;
use super::network::Cut;
use super::node::host;

const PRIMARY: usize = 0;
const REPLICA: usize = 1;

/// How the data are sent and loaded.
#[derive(Clone, Copy, Debug)]
struct Form {
    is_diskless: bool,
    load: ReplicaDisklessLoad,
    /// Whether the replica has data of its own before.
    has_old: bool,
}

fn forms() -> Vec<Form> {
    let loads =
        [ReplicaDisklessLoad::Disabled, ReplicaDisklessLoad::OnEmptyDatabase, ReplicaDisklessLoad::SwapDatabase];
    let mut forms = Vec::new();
    for is_diskless in [true, false] {
        for load in loads {
            forms.push(Form { is_diskless, load, has_old: true });
        }
        forms.push(Form { is_diskless, load: ReplicaDisklessLoad::OnEmptyDatabase, has_old: false });
    }
    forms
}

struct Scene {
    form: Form,
    cluster: Cluster,
}

/// What one attempt takes.
#[derive(Clone, Copy, Debug)]
struct Lengths {
    /// Bytes of the replica, and of the primary, until the stream flows.
    whole: [u64; 2],
    /// With this byte of the primary all data are there.
    data_end: u64,
}

impl Scene {
    fn new(form: Form) -> Scene {
        let mut config = Config { hz: 10, repl_timeout: 3, repl_ping_replica_period: 1, ..Config::default() };
        config.save.clear();
        config.repl_diskless_sync = form.is_diskless;
        config.repl_diskless_load = form.load;
        let mut cluster = Cluster::new(7, vec![config.clone(), config], true);
        cluster.start(PRIMARY).expect("it starts");
        cluster.start(REPLICA).expect("it starts");
        let requests = [vec!["SET", "key", "new"], vec!["RPUSH", "list", "a", "b"], vec!["HSET", "hash", "f", "v"]];
        cluster.ask(PRIMARY, &requests).expect("it answers");
        Scene { form, cluster }
    }

    /// The replica is a server of its own again, with its own data.
    fn begin(&mut self) {
        let mut requests = vec![vec!["REPLICAOF", "NO", "ONE"], vec!["FLUSHALL"]];
        if self.form.has_old {
            requests.extend([vec!["SET", "key", "old"], vec!["SET", "other", "old"]]);
        }
        self.cluster.ask(REPLICA, &requests).expect("it answers");
        let is_alone = |cluster: &mut Cluster| {
            cluster.view(PRIMARY).is_some_and(|state| !state.replication.primary.has_replicas())
        };
        assert!(self.cluster.run_until(10_000, is_alone).expect("all holds"), "the primary has lost its replica");
    }

    fn follow(&mut self) {
        self.cluster.nodes[REPLICA].order(&["REPLICAOF", &host(PRIMARY), "6379"]);
    }

    fn data(&self, node: usize) -> Vec<String> {
        self.cluster.view(node).map(data::all).unwrap_or_default()
    }

    /// Waits until the replica has all.
    fn await_sync(&mut self, what: &str) {
        let is_there = |cluster: &mut Cluster| {
            let primary = cluster.view(PRIMARY).and_then(|state| state.place_in_history());
            let side = cluster.view(REPLICA).and_then(|state| state.replication.replica.as_ref());
            let is_streaming = side.is_some_and(|side| side.link.is_streaming());
            let replica = cluster.view(REPLICA).and_then(|state| state.place_in_history());
            let replicas = cluster.view(PRIMARY).map(|state| &state.replication.primary.replicas);
            is_streaming
                && primary == replica
                && replicas.is_some_and(|replicas| replicas.len() == 1 && replicas.online().count() == 1)
        };
        let outcome = self.cluster.run_until(20_000, is_there);
        let is_in_sync = outcome.unwrap_or_else(|reason| panic!("{:?}, {what}: {reason}", self.form));
        assert!(is_in_sync, "{:?}, {what}: no attempt succeeds:\n{}", self.form, self.cluster.told.join("\n"));
        assert_eq!(self.data(REPLICA), self.data(PRIMARY), "{:?}, {what}", self.form);
        let primary = &self.cluster.view(PRIMARY).expect("it is up").replication.primary;
        assert!(primary.syncs.iter().all(|sync| sync.members.len() <= 1), "{:?}, {what}", self.form);
    }

    /// One attempt that nothing breaks.
    fn measure(&mut self) -> Lengths {
        self.begin();
        let old = self.data(REPLICA);
        self.follow();
        self.await_sync("uncut");
        assert_ne!(self.data(REPLICA), old);
        let wire = self.cluster.network.wire_of(REPLICA).expect("it stands");
        let [up, down] = wire.delivered();
        Lengths { whole: [up, down], data_end: wire.tap.data_end }
    }

    /// The link breaks after so many bytes of one side.
    fn cut(&mut self, side: usize, at: u64, cut: Cut, lengths: Lengths) {
        self.begin();
        let what = format!("{cut:?} after byte {at} of {}", if side == 0 { "the replica" } else { "the primary" });
        let old = self.data(REPLICA);
        self.cluster.told.clear();
        self.cluster.network.cut = cut;
        self.cluster.network.next_cut[side] = Some(at);
        self.follow();
        let number = |cluster: &Cluster| cluster.network.wire_of(REPLICA).map(|wire| wire.number);
        let mut first = None;
        let is_broken = |cluster: &mut Cluster| {
            first = first.or(number(cluster));
            first.is_some() && number(cluster) != first
        };
        assert!(self.cluster.run_until(10_000, is_broken).expect("all holds"), "{:?}, {what}", self.form);
        if side == 1 && at < lengths.data_end {
            // However long it takes until the next attempt, the old data are served.
            let is_next = |cluster: &mut Cluster| number(cluster).is_some();
            assert!(self.cluster.run_until(10_000, is_next).expect("all holds"), "{:?}, {what}: no attempt", self.form);
            assert_eq!(self.data(REPLICA), old, "{:?}, {what}", self.form);
        }
        self.await_sync(&what);
    }
}

fn cut_everywhere(form: Form, every: &[Cut]) {
    let mut scene = Scene::new(form);
    let lengths = scene.measure();
    for side in 0..2 {
        for at in 1..=lengths.whole[side] {
            match every {
                [] => scene.cut(side, at, [Cut::Reset, Cut::Finish, Cut::Silence][at as usize % 3], lengths),
                every => every.iter().for_each(|cut| scene.cut(side, at, *cut, lengths)),
            }
        }
    }
}

/// Each byte is cut in one way, and in the long form (`ONELOOP_NODES_CUTS=all`) in all.
#[test]
fn a_link_may_break_at_any_byte_of_a_full_synchronization() {
    let is_long = std::env::var("ONELOOP_NODES_CUTS").is_ok_and(|word| word == "all");
    let every: &[Cut] = if is_long { &[Cut::Reset, Cut::Finish, Cut::Silence] } else { &[] };
    for form in forms() {
        cut_everywhere(form, every);
    }
}
