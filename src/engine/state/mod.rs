//! Everything that one server process knows, but for the sockets: what commands work on. Never runs a command or serves
//! a connection.

mod books;
mod guard;
mod history;
pub mod program;
mod scopes;

use crate::acl::AclContext;
use std::io;
use std::rc::Rc;

use crate::acl::{AclLog, PasswordSource, User, Users};
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::sys::machine::Machine;
use crate::base::sys::oom_score::Adjustment;
use crate::base::tape::{self, Kind};
use crate::base::wake::Wake;
use crate::collections::hash::HashSeed;
use crate::collections::heap;
use crate::collections::key_hash::KeyHasher;
use crate::command::databases::Selection;
use crate::command::registry::Registry;
use crate::config::{Config, OomScoreAdjust};
use crate::engine::blocking::{BlockedState, Blocking};
use crate::engine::clients::Clients;
use crate::engine::cluster::Cluster;
use crate::engine::guard::Guard;
use crate::engine::loading::Replay;
use crate::engine::loading::{Loading, LoadingStats};
use crate::engine::loop_request::LoopRequest;
use crate::engine::memory::Memory;
use crate::engine::nesting::Nesting;
use crate::engine::origin::Origin;
use crate::engine::pause::{Pause, PauseReason};
use crate::engine::prefix_jobs::PrefixJobs;
use crate::engine::process_facts::{DebugSwitches, ProcessFacts};
use crate::engine::pubsub::PubSub;
use crate::engine::replication::Replication;
use crate::engine::saving::Saving;
use crate::engine::scripts::Scripting;
use crate::engine::session::{Mode, Session, Token};
use crate::engine::stats::{LogTimes, Stats};
use crate::engine::title::TitleBar;
use crate::engine::tracking::Tracking;
use crate::engine::transactions::Transactions;
use crate::engine::unflushed_keys::UnflushedKeys;
use crate::keyspace::Keyspace;
use crate::migrate::Migrations;
use crate::net::address::Address;
use crate::net::listener::Listeners;
use crate::net::outbound::Outbounds;
use crate::observe::command_log::CommandLogs;
use crate::observe::command_stats::{CommandStats, ErrorStats};
use crate::observe::latency::LatencyMonitor;
use crate::observe::loop_stats::LoopStats;
use crate::observe::recorder::LoopRecorder;
use crate::replication::ReplicationId;
use crate::storage::aof::append_only::AppendOnly;
use crate::storage::file::operations::Disk;
use crate::storage::values::Serialization;

use program::{Program, Runs};

/// The state of the server.
pub struct ServerState {
    pub program: &'static Program,
    /// How the commands of the registry are run.
    pub runs: Runs,
    pub commands: Registry,
    pub keyspace: Keyspace,
    pub config: Config,
    pub clock: Clock,
    pub random: fastrand::Rng,
    pub clients: Clients,
    pub memory: Memory,
    pub migrations: Migrations,
    /// Connections to other servers.
    pub outbounds: Outbounds,
    pub users: Users,
    pub acl_log: AclLog,
    /// Where ACL GENPASS takes passwords from.
    pub new_passwords: PasswordSource,
    pub stats: Stats,
    pub command_stats: CommandStats,
    pub error_stats: ErrorStats,
    pub command_logs: CommandLogs,
    pub latency: LatencyMonitor,
    pub pause: Pause,
    pub serialization: Serialization,
    pub blocking: Blocking,
    pub aof: AppendOnly,
    /// What was changed and cannot be written at present.
    pub(crate) unflushed: Option<UnflushedKeys>,
    /// The append-only file that is being loaded.
    pub replay: Option<Box<Replay>>,
    pub saving: Saving,
    /// The data set that is being loaded.
    pub loading: Option<Box<Loading>>,
    /// Jobs over all keys with a prefix.
    pub prefix_jobs: PrefixJobs,
    /// How helper threads wake the loop.
    pub wake: Wake,
    /// Where files are.
    pub disk: Disk,
    /// What is read of the process and the machine.
    pub machine: Machine,
    /// A signal asks for the end, which the cron brings about (SHUTDOWN ABORT).
    pub shutdown_scheduled: bool,
    /// Until when the end waits for the replicas, in ms since the epoch, if it does.
    pub shutdown_due_ms: Option<i64>,
    /// Whether the gate looks at requests more closely than otherwise.
    pub guard: Guard,
    pub transactions: Transactions,
    pub pubsub: PubSub,
    pub tracking: Tracking,
    pub scripting: Scripting,
    /// The units of work that the present command is part of.
    pub nesting: Nesting,
    /// Whether the changes of what runs now are discarded and not published.
    pub is_sandboxed: bool,
    /// What the loop is asked to do once the present command is over.
    pub requests: Vec<LoopRequest>,
    /// The stopwatch's counter at the end of the last command of a batch, or at its start.
    lap_started: u64,
    /// Time in ticks from which on a command is looked at by slow log and latency monitor, or
    /// others go before its client's next one.
    pub slow_ticks: u64,
    /// Whether the client that is served has its next request run in another turn: a command took `SLOW_US` or more, or
    /// it has become a replica.
    pub yields: bool,
    /// What is known of the process.
    pub process: ProcessFacts,
    pub loop_stats: LoopStats,
    pub recorder: LoopRecorder,
    /// What `ps` shows, if this process may set it.
    pub title: Option<TitleBar>,
    /// What clients connect to; none when driven in-process.
    pub listeners: Option<Listeners>,
    /// The replicas of this server, and its primary.
    pub replication: Replication,
    /// This server's place in a cluster; none without cluster mode.
    pub cluster: Option<Box<Cluster>>,
    pub log_times: LogTimes,
    /// What DEBUG has switched.
    pub debug: DebugSwitches,
    /// Whether the replies of ordinary clients are limited.
    pub(crate) output_limited: bool,
}

/// With more clients than this for each tick of a second, `dynamic-hz` makes the ticks more frequent.
const CLIENTS_PER_TICK_MAX: usize = 200;
/// A command that takes so long, in µs, is its client's last in this turn.
pub const SLOW_US: u64 = 100;
/// Most ticks a second.
const HZ_MAX: u32 = 500;

/// A generator, and empty databases, in a node of a cluster by slot; everything random follows from the entropy.
fn seeded(config: &Config, entropy: &Entropy) -> (fastrand::Rng, Keyspace, HashSeed) {
    let mut random = entropy.generator();
    let drawn = random.u64(..);
    let hash_seed = HashSeed::from_seed(match config.hash_seed.as_bytes() {
        b"" => drawn,
        text => xxhash_rust::xxh3::xxh3_64(text),
    });
    let by_slot = config.cluster_enabled.then(|| KeyHasher::by_slot(hash_seed.clone()));
    let hasher = by_slot.unwrap_or_else(|| KeyHasher::from(hash_seed.clone()));
    let mut keyspace = Keyspace::new(config.database_count(), hasher);
    keyspace.access.seed(random.u64(..));
    keyspace.seed_eviction(random.u64(..));
    (random, keyspace, hash_seed)
}

impl ServerState {
    /// A server with these settings, without clients. Everything random follows from the entropy given.
    pub fn new(program: &'static Program, config: Config, clock: Clock, entropy: &Entropy) -> ServerState {
        let ((mut random, keyspace, hash_seed), commands) = (seeded(&config, entropy), Registry::new(program.families));
        ServerState {
            program,
            runs: Runs::new(program.families),
            command_stats: CommandStats::new(commands.len()),
            users: first_users(&commands, &config),
            commands,
            keyspace,
            new_passwords: PasswordSource::new(entropy.secret()),
            process: ProcessFacts::new(random_digits(&mut random), unix_ms(&clock)),
            config,
            clock,
            replication: Replication::new(ReplicationId::from_entropy(std::array::from_fn(|_| random.u8(..)))),
            cluster: None,
            random,
            clients: Clients::default(),
            memory: Memory::default(),
            migrations: Migrations::new(&hash_seed),
            outbounds: Outbounds::default(),
            acl_log: AclLog::default(),
            stats: Stats::default(),
            error_stats: ErrorStats::default(),
            command_logs: CommandLogs::default(),
            latency: LatencyMonitor::default(),
            pause: Pause::default(),
            serialization: Serialization::default(),
            blocking: Blocking::default(),
            unflushed: None,
            aof: AppendOnly::default(),
            replay: None,
            saving: Saving::default(),
            loading: None,
            prefix_jobs: PrefixJobs::default(),
            wake: Wake::default(),
            disk: Disk::default(),
            machine: Machine::default(),
            shutdown_scheduled: false,
            shutdown_due_ms: None,
            guard: Guard::default(),
            transactions: Transactions::default(),
            pubsub: PubSub::new(&hash_seed),
            tracking: Tracking::new(&hash_seed),
            scripting: Scripting::new(&hash_seed),
            nesting: Nesting::default(),
            is_sandboxed: false,
            requests: Vec::new(),
            lap_started: 0,
            slow_ticks: u64::MAX,
            yields: false,
            loop_stats: LoopStats::default(),
            recorder: LoopRecorder::default(),
            listeners: None,
            title: None,
            log_times: LogTimes::default(),
            debug: DebugSwitches::default(),
            output_limited: false,
        }
        .begin()
    }

    /// What the check of a request has to know of databases, for a client that has selected this one.
    #[inline]
    pub fn selection(&self, database: usize) -> Selection {
        Selection { database, count: self.keyspace.count() }
    }

    /// Notes what follows from the start, and from the settings.
    fn begin(mut self) -> ServerState {
        self.process.startup_memory_bytes = self.used_memory();
        self.recorder.set_clock(&self.clock);
        self.refresh_clock();
        self.saving.stats.last_save_seconds = self.process.started_ms / 1000;
        (self.program.apply_settings)(&mut self);
        self
    }

    /// Reads the clock and tells the keyspace.
    #[inline]
    pub fn refresh_clock(&mut self) {
        self.clock.refresh();
        let now_ms = unix_ms(&self.clock);
        if now_ms != self.keyspace.now_ms {
            self.keyspace.now_ms = now_ms;
            self.keyspace.access.set_now(now_ms);
            // Nothing can become due while the time stands still, so this is early enough.
            self.update_expiry_mode();
        }
    }

    /// Shows the process title, if this process has one.
    pub fn show_title(&mut self) {
        if let Some(title) = &mut self.title {
            title.show(&self.config, self.process.config_file.as_deref());
        }
    }

    /// Has the kernel judge the process as the settings say when memory runs out.
    ///
    /// Errors: the system's; a score below that of the parent needs a right of its own.
    pub fn adjust_oom_score(&mut self) -> io::Result<()> {
        let [primary, ..] = self.config.oom_score_adj_values;
        self.memory.oom_score.adjust(match self.config.oom_score_adj {
            OomScoreAdjust::No => Adjustment::Undone,
            OomScoreAdjust::Relative => Adjustment::Relative(primary),
            OomScoreAdjust::Absolute => Adjustment::Absolute(primary),
        })
    }

    /// Takes the memory limit over from the settings, as far as it holds in the present role.
    pub fn configure_memory(&mut self) {
        self.memory.configure(&self.config, self.replication.is_replica(), &self.clock);
    }

    /// Changes since the data set was last saved.
    pub fn unsaved_changes(&self) -> u64 {
        let total = self.keyspace.changes.total();
        total.saturating_sub(self.saving.stats.saved_changes)
    }

    /// Whether a test slows saving or loading down, so that there is something to do every moment.
    pub fn is_paced(&self) -> bool {
        self.config.rdb_key_save_delay > 0 && self.saves_any()
            || self.loading.as_ref().is_some_and(|loading| loading.is_paced())
            || self.replication.replica.as_ref().is_some_and(|replica| replica.is_paced())
    }

    /// Whether data are being written, to a file or to another server.
    fn saves_any(&self) -> bool {
        self.saving.is_active()
            || self.aof.is_rewriting()
            || self.replication.primary.is_syncing()
            || self.cluster.as_ref().is_some_and(|cluster| cluster.slot_migrations.gathers())
    }

    /// Notes how the last save ended, which decides whether writes are taken.
    pub fn set_save_failed(&mut self, failed: bool) {
        self.saving.stats.last_failed = failed;
        self.update_restrictions();
    }

    /// Whether writes are refused because saving fails.
    pub fn refuses_writes_for_failed_save(&self) -> bool {
        let config = &self.config;
        self.saving.stats.last_failed && config.stop_writes_on_bgsave_error && !config.save.is_empty()
    }

    /// Whether writes are refused because the disk fails.
    pub fn denies_writes(&self) -> bool {
        self.refuses_writes_for_failed_save() || self.aof.denial().is_some()
    }

    /// Whether another data set is being loaded while the present one is served.
    pub fn is_loading_beside(&self) -> bool {
        self.replication.replica.as_ref().is_some_and(|replica| replica.loads_beside())
    }

    /// Whether the data set is being loaded from files.
    pub fn loads_files(&self) -> bool {
        self.loading.is_some() || self.replay.is_some()
    }

    /// How far loading has come.
    pub fn loading_figures(&self) -> Option<LoadingStats> {
        let now_ms = self.now_ms();
        match (&self.loading, &self.replay) {
            (Some(loading), _) => Some(loading.stats(now_ms)),
            (_, Some(replay)) => Some(replay.stats(now_ms)),
            (None, None) => self.replication.replica.as_ref()?.loading_figures(now_ms),
        }
    }

    /// Notes that something took so long, if the latency monitor wants to know.
    pub fn note_latency(&mut self, event: &'static str, latency_ms: u64) {
        let threshold_ms = self.config.latency_monitor_threshold;
        if threshold_ms > 0 && latency_ms >= threshold_ms {
            self.latency.add(event, latency_ms, self.now_ms());
        }
    }

    /// Starts timing commands: before a batch, or before a lone one.
    #[inline]
    pub fn start_stopwatch(&mut self) {
        self.lap_started = self.clock.ticks();
    }

    /// Ticks since the stopwatch was started or last read: one reading ends a command and begins
    /// the next, because on short commands the reading itself is felt.
    #[inline]
    pub fn lap_ticks(&mut self) -> u64 {
        let now = self.clock.ticks();
        let elapsed = now.saturating_sub(self.lap_started);
        self.lap_started = now;
        elapsed
    }

    /// When the present command began, in ticks: for one that runs others within it.
    pub fn lap_start(&self) -> u64 {
        self.lap_started
    }

    /// Goes on timing the command that began then.
    pub fn set_lap_start(&mut self, started: u64) {
        self.lap_started = started;
    }

    /// Whether something was changed and cannot be written at present.
    #[inline]
    pub fn has_unflushed(&self) -> bool {
        self.unflushed.is_some()
    }

    /// Milliseconds since the epoch, as of the present turn of the loop.
    #[inline]
    pub fn now_ms(&self) -> i64 {
        self.keyspace.now_ms
    }

    /// Whether clients must log in.
    #[inline]
    pub fn authentication_required(&self) -> bool {
        self.users.need_login()
    }

    /// Whether a client must log in before other commands.
    pub fn must_log_in(&self, session: &Session) -> bool {
        !session.authenticated && self.authentication_required()
    }

    /// The user that clients are before they log in.
    pub fn default_user(&self) -> Rc<User> {
        Rc::clone(self.users.default_user())
    }

    /// Whether protected mode keeps such a client out: it comes from elsewhere, and nothing else protects the data.
    pub fn protects_from(&self, address: &Address) -> bool {
        let open = self.users.default_is_open();
        self.config.protected_mode && open && !address.is_local()
    }

    /// Whether there is a user of that name.
    pub fn knows_user(&self, name: &[u8]) -> bool {
        self.users.get(name).is_some()
    }

    /// Takes a new client in.
    pub fn add_client(&mut self, address: Address) -> Token {
        let now_ms = self.now_ms();
        let token = self.clients.add(address, now_ms, self.default_user());
        let open = !self.authentication_required();
        if let Some(session) = self.clients.get_mut(token) {
            session.authenticated = open;
        }
        token
    }

    /// Forgets a client.
    pub fn remove_client(&mut self, token: Token) {
        if let Some(mut session) = self.clients.remove(token) {
            self.stop_waiting(&mut session);
            self.abandon_transaction(&mut session);
            self.pubsub.remove(&mut session);
            self.stop_tracking(&mut session);
            if session.mode == Mode::Replica {
                self.lose_replica(&session);
            }
            if session.mode == Mode::Debugging {
                (self.program.debugger_left)(self, token);
            }
            if let Some(cluster) = self.cluster.as_mut().filter(|_| session.origin == Origin::SlotSource) {
                cluster.slot_migrations.lost_sources.push(token);
            }
        }
    }

    /// Forgets what a client has queued, if it has begun a transaction, and what it watches.
    pub fn abandon_transaction(&mut self, session: &mut Session) {
        if let Some(transaction) = session.transaction.take() {
            self.transactions.end(transaction);
        }
        self.forget_watches(session);
    }

    /// A client's reads are no longer tracked.
    pub fn stop_tracking(&mut self, session: &mut Session) {
        session.tracking_bytes = 0;
        if std::mem::take(&mut session.is_tracking) {
            self.tracking.disable(session.id);
            self.observe_changes();
        }
    }

    /// Forgets tracked keys beyond `tracking-table-max-keys`, so many at most.
    pub fn limit_tracking(&mut self, effort: usize) {
        let most = self.config.tracking_table_max_keys;
        self.tracking.limit(&mut self.clients, &mut self.random, most, effort);
    }

    /// Has all changes of keys logged while any client tracks.
    pub fn observe_changes(&mut self) {
        let observed = !self.tracking.is_empty();
        self.keyspace.changes.set_observed(observed);
    }

    /// A client no longer watches any key.
    pub fn forget_watches(&mut self, session: &mut Session) {
        if session.watcher.is_some() {
            let changes = &mut self.keyspace.changes;
            self.transactions.watches.remove(changes, session);
        }
    }

    /// A client no longer waits for keys; gives what it waited with, if it did.
    pub fn stop_waiting(&mut self, session: &mut Session) -> Option<Box<BlockedState>> {
        let waiting = self.blocking.remove(&mut self.keyspace.changes, session)?;
        session.blocked = None;
        Some(waiting)
    }

    /// Whether the last command has left something to be published or to be done.
    #[inline]
    pub fn has_effects(&self) -> bool {
        !self.keyspace.changes.is_empty() || self.blocking.has_ready() || self.clients.has_over_output_limit()
    }

    /// Begins CLIENT PAUSE. One that is on already is at most made longer and stricter.
    pub fn pause_clients(&mut self, until_ms: i64, all: bool) {
        let now_ms = self.now_ms();
        self.pause.ask(until_ms, all, now_ms);
    }

    /// Ends CLIENT PAUSE and has the clients served that it held back.
    pub fn unpause(&mut self) {
        self.pause.end_asked();
        self.update_expiry_mode();
        self.requests.push(LoopRequest::ServePaused);
    }

    /// Holds writes back for a reason of the server's own, or does so no longer.
    pub fn hold_writes(&mut self, reason: PauseReason, is_on: bool) {
        self.pause.set_reason(reason, is_on);
        self.update_expiry_mode();
        if !is_on {
            self.requests.push(LoopRequest::ServePaused);
        }
    }

    /// Whether nothing may change behind the clients' backs: a pause is on, a script is suspended or debugged
    /// while all wait, or the data are not complete yet.
    pub fn keyspace_paused(&self) -> bool {
        self.pause.is_active()
            || self.scripting.busy().is_some()
            || self.scripting.debugged.is_exclusive()
            || self.is_loading()
    }

    /// Whether a client's output has a limit that `output_limit_reached` should look at.
    #[inline]
    pub fn output_limited(&self) -> bool {
        self.output_limited
    }

    /// 40 random hexadecimal digits.
    pub fn random_id(&mut self) -> String {
        random_digits(&mut self.random)
    }

    /// Ticks of the cron a second: `hz`, and more with very many clients under `dynamic-hz`.
    pub fn effective_hz(&self) -> u32 {
        let mut hz = self.config.hz.max(1);
        if self.config.dynamic_hz {
            while self.clients.len() / hz as usize > CLIENTS_PER_TICK_MAX && hz < HZ_MAX {
                hz = (hz * 2).min(HZ_MAX);
            }
        }
        hz
    }

    /// Notes how much memory is in use, for the peak.
    #[inline]
    pub fn note_peak(&mut self) {
        let used_bytes = self.used_memory();
        self.stats.peak_memory_bytes = self.stats.peak_memory_bytes.max(used_bytes);
    }

    /// Bytes allocated by the process, but for the record of the loop, which grows by itself: a limit that is set a
    /// little above what is used now must not be reached by turns that change nothing. Large blocks of the heap come
    /// from the allocator, and count there. O(1).
    pub fn used_memory(&self) -> usize {
        // A replay takes other memory than the run that was recorded.
        tape::pass(Kind::Memory, || {
            let records = heap::allocated_bytes() - heap::large_bytes();
            let allocated = crate::base::sys::allocator::allocated_bytes() + records;
            allocated.saturating_sub(self.recorder.memory_bytes())
        })
    }
}

/// The default user alone.
fn first_users(commands: &Registry, config: &Config) -> Users {
    Users::new(AclContext::new(commands, config))
}

fn random_digits(random: &mut fastrand::Rng) -> String {
    (0..40).map(|_| char::from_digit(random.u32(..16), 16).unwrap_or('0')).collect()
}

fn unix_ms(clock: &Clock) -> i64 {
    i64::try_from(clock.now_ms()).unwrap_or(i64::MAX)
}
