//! What the state tells the recorder of the loop: batches of requests, replies that leave, slow requests. And what
//! CONFIG RESETSTAT sets to zero.

use super::ServerState;
use crate::command::keys;
use crate::command::registry::CommandId;
use crate::command::spec::FlagSet;
use crate::engine::session::Session;
use crate::engine::stats::Stats;
use crate::observe::ledger::Ledger;
use crate::observe::loop_stats::LoopStats;
use crate::resp::Args;

/// A request with more arguments is not searched for its first key, if that has no fixed place.
const SEARCHED_ARGUMENTS_MAX: usize = 64;

impl ServerState {
    /// Starts timing a batch of requests, the first of them this command.
    #[inline]
    pub fn begin_batch(&mut self, first: Option<CommandId>) {
        self.start_stopwatch();
        self.recorder.begin_batch(self.lap_started, first);
    }

    /// The requests of a batch have run; gives how long they waited since the turn's beginning, in ticks.
    #[inline]
    pub fn end_batch(&mut self, session: &mut Session, requests: usize) -> u64 {
        let times = self.recorder.end_batch(session.id, self.lap_started, requests);
        let count = requests as u64;
        session.usage.add(count, times.run, times.longest);
        session.user.note_usage(count, times.run, times.longest);
        if let Some(database) = self.recorder.databases.get_mut(session.database) {
            database.add(count, times.run, times.longest);
        }
        times.waiting
    }

    /// Keeps the key of a slow request, so that an explanation can name it.
    pub fn note_slow_request(&mut self, session: &Session, command: CommandId, args: Args<'_>, flags: FlagSet) {
        let declared = self.commands.get(command);
        let place = match usize::from(declared.first_key) {
            0 if args.len() <= SEARCHED_ARGUMENTS_MAX => keys::keys_of(declared, args).first().map(|key| key.index),
            0 => None,
            place => Some(place),
        };
        let key = place.filter(|place| !session.hides_argument(flags, *place)).and_then(|place| args.get(place));
        self.recorder.note_slow(session.actor, command, key.unwrap_or_default());
    }

    /// How long the command that ended last, after so many ticks, waited since the turn's beginning, in µs.
    pub fn waited_us(&self, ticks: u64) -> u64 {
        let began = self.lap_started.saturating_sub(ticks);
        self.clock.ticks_as_nanos(self.recorder.waited(began)) / 1000
    }

    /// Keeps the ledger and the sketch of hot keys, or ends and forgets.
    pub fn keep_ledger(&mut self, is_kept: bool) {
        if self.recorder.hot_keys.is_on() != is_kept {
            self.recorder.hot_keys.set_on(is_kept);
            self.recorder.ledger = Ledger::default();
        }
    }

    /// Sets to zero what CONFIG RESETSTAT does; figures of the present state stay.
    pub fn reset_stats(&mut self) {
        self.stats = Stats {
            recent_input_bytes: self.stats.recent_input_bytes,
            recent_output_bytes: self.stats.recent_output_bytes,
            peak_memory_bytes: self.stats.peak_memory_bytes,
            resident_bytes: self.stats.resident_bytes,
            ..Stats::default()
        };
        self.loop_stats = LoopStats::default();
        self.recorder.reset_stats();
        self.users.reset_usage();
        self.memory.reset_stats();
        self.keyspace.reset_stats();
        self.command_stats.reset();
        self.error_stats.reset();
        self.scripting.evicted = 0;
        if let Some(cluster) = &mut self.cluster {
            cluster.slot_stats.reset_all();
        }
    }
}
