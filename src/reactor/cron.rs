//! Housekeeping, `hz` times a second: clients, rates, and asking the jobs to look for work.

use crate::drive::aof::rewrite;
use crate::drive::save::save_points;
use crate::engine::output_limits;
use crate::engine::propagation;
use std::collections::VecDeque;

use log::debug;

use crate::collections::heap;
use crate::drive::certificates;
use crate::drive::info;
use crate::drive::replication::primary;
use crate::drive::replication::replica;
use crate::engine::session::{Mode, Session, Token};
use crate::engine::state::ServerState;
use crate::observe::crash_context;
use crate::observe::loop_stats::Job;

use super::jobs::Jobs;
use super::reserves::Reserves;

/// Keys too many in the table of tracked keys that one tick forgets.
const TRACKED_KEYS_STEP: usize = 1000;
/// Clients looked at in one tick at least.
const CLIENTS_MIN: usize = 5;
/// How long a client may take to agree on how to encrypt, in ms.
const HANDSHAKE_TIMEOUT_MS: i64 = 10_000;
/// Time between two texts left for a crash report, in µs.
const REMEMBER_PERIOD_US: u64 = 1_000_000;
/// Time between two rounds of giving unused memory back, in µs.
const TRIM_PERIOD_US: u64 = 1_000_000;
/// Time between two rounds of looking after the replicas, in µs.
const ROUND_PERIOD_US: u64 = 1_000_000;
/// Samples of which the rates in INFO are the mean.
const RATE_SAMPLES: usize = 16;
/// Time between two samples, in µs.
const RATE_PERIOD_US: u64 = 100_000;

/// The state of the housekeeping.
pub struct Cron {
    due_us: u64,
    next_slot: usize,
    rates: Rates,
    peaks: Peaks,
    remember_due_us: u64,
    trim_due_us: u64,
    /// When the replicas are looked after next.
    round_due_us: u64,
    /// When the files of TLS were looked at last.
    certificates_us: u64,
    reserves: Reserves,
    /// What the removal of expired keys had taken in all when the tick before ended.
    expiry_ns: u64,
}

impl Cron {
    /// The first tick is due at once.
    pub fn new(state: &ServerState) -> Cron {
        let due_us = state.clock.monotonic_us();
        Cron {
            due_us,
            next_slot: 0,
            rates: Rates::default(),
            peaks: Peaks::default(),
            remember_due_us: due_us,
            trim_due_us: due_us,
            round_due_us: due_us + ROUND_PERIOD_US,
            certificates_us: due_us,
            reserves: Reserves::default(),
            expiry_ns: 0,
        }
    }

    /// When the next tick is due, on the monotonic clock.
    pub fn due_us(&self) -> u64 {
        self.due_us
    }

    /// Whether a tick is due.
    #[inline]
    pub fn is_due(&self, now_us: u64) -> bool {
        now_us >= self.due_us
    }

    /// Does one tick's work; gives the clients that are to be closed.
    pub fn tick(&mut self, state: &mut ServerState, jobs: &mut Jobs) -> Vec<Token> {
        let now_us = state.clock.monotonic_us();
        self.due_us = now_us + 1_000_000 / u64::from(state.effective_hz());
        if state.debug.cron_paused {
            return Vec::new();
        }
        let started = state.clock.ticks();
        self.rates.sample(state, now_us);
        self.note_expiry(state);
        state.stats.resident_bytes = state.machine.resident_bytes() as usize;
        state.note_peak();
        if !state.keyspace_paused() {
            jobs.wake();
        }
        jobs.begin_digest_if_due(state);
        save_points::save_if_due(state);
        rewrite::rewrite_if_due(state);
        let now_ms = state.now_ms();
        state.outbounds.close_idle_parked(now_ms);
        if now_us >= self.trim_due_us {
            self.trim_due_us = now_us + TRIM_PERIOD_US;
            heap::retire_empty_spans();
            if !state.process.is_embedded {
                self.reserves.give_back_if_due(state);
            }
        }
        state.limit_tracking(TRACKED_KEYS_STEP);
        replica::tick(state);
        propagation::mark_history(state, true);
        if now_us >= self.round_due_us {
            self.round_due_us = now_us + ROUND_PERIOD_US;
            primary::each_second(state);
        }
        self.look_after_certificates(state, now_us);
        let overdue = self.look_after_clients(state);
        self.remember_for_crash(state, now_us);
        let elapsed = state.clock.ticks().saturating_sub(started);
        state.loop_stats.cron_ns += state.clock.ticks_as_nanos(elapsed);
        overdue
    }

    /// Notes what the removal of expired keys took since the tick before, as one event. It is done in slices, none of
    /// which takes long: but a user wants to see when so many keys expire that their removal takes a large part of the
    /// time.
    fn note_expiry(&mut self, state: &mut ServerState) {
        let expiry_ns = state.loop_stats.job(Job::Expiry).sum_ns;
        let since_ns = expiry_ns.checked_sub(std::mem::replace(&mut self.expiry_ns, expiry_ns));
        // CONFIG RESETSTAT begins anew.
        state.note_latency("expire-cycle", since_ns.unwrap_or(expiry_ns) / 1_000_000);
    }

    fn look_after_certificates(&mut self, state: &mut ServerState, now_us: u64) {
        let period_us = u64::from(state.config.tls_auto_reload_interval) * 1_000_000;
        if period_us > 0 && now_us >= self.certificates_us + period_us {
            self.certificates_us = now_us;
            certificates::reload_if_changed(state);
        }
    }

    fn remember_for_crash(&mut self, state: &ServerState, now_us: u64) {
        if state.config.crash_log_enabled && now_us >= self.remember_due_us {
            self.remember_due_us = now_us + REMEMBER_PERIOD_US;
            crash_context::remember(info::everything(state), state.clients.len());
        }
    }

    /// Closes idle clients, gives back buffers and keeps the figures of recent ones; a share of the
    /// clients each tick, so that all have been seen once a second.
    fn look_after_clients(&mut self, state: &mut ServerState) -> Vec<Token> {
        let hz = state.effective_hz() as usize;
        let count = (state.clients.len() / hz).max(CLIENTS_MIN).min(state.clients.len());
        let now_ms = state.now_ms();
        let timeout_ms = i64::from(state.config.timeout) * 1000;
        let mut overdue = Vec::new();
        self.peaks.begin_tick(now_ms);
        for _ in 0..count {
            let Some(token) = state.clients.next_after(&mut self.next_slot) else {
                break;
            };
            let Some(mut session) = state.clients.checkout(token) else {
                continue;
            };
            let pending_bytes = output_limits::pending_bytes(state, &session);
            session.reply_peak_bytes = session.reply.len();
            self.peaks.note(&session);
            if output_limits::output_limit_reached(state, &mut session, pending_bytes) {
                overdue.push(token);
            }
            if session.handshaking && now_ms - session.created_ms > HANDSHAKE_TIMEOUT_MS {
                debug!("Closing client that does not finish its TLS handshake");
                overdue.push(token);
            }
            let idle_ms = now_ms - session.last_interaction_ms;
            let may_idle = matches!(session.mode, Mode::Monitor | Mode::Replica)
                || session.blocked.is_some()
                || session.subscriptions.is_some();
            if timeout_ms > 0 && idle_ms > timeout_ms && !may_idle {
                debug!("Closing idle client");
                overdue.push(token);
            }
            state.clients.checkin(session);
        }
        let (input_bytes, output_bytes) = self.peaks.largest();
        state.stats.recent_input_bytes = input_bytes;
        state.stats.recent_output_bytes = output_bytes;
        overdue
    }
}

/// Seconds that the largest buffers are remembered.
const PEAK_SECONDS: usize = 8;

/// The largest input and output buffers that a client was seen with in each of the last seconds, in bytes.
#[derive(Default)]
struct Peaks {
    seconds: [(usize, usize); PEAK_SECONDS],
    now_s: i64,
}

impl Peaks {
    /// Forgets what is older than that.
    fn begin_tick(&mut self, now_ms: i64) {
        let now_s = now_ms / 1000;
        let gone = (now_s - self.now_s).clamp(0, PEAK_SECONDS as i64);
        for second in now_s - gone..now_s {
            self.seconds[place(second + 1)] = (0, 0);
        }
        self.now_s = now_s;
    }

    fn note(&mut self, session: &Session) {
        let traffic = &session.traffic;
        let input_bytes = traffic.query_bytes + traffic.query_free_bytes + traffic.argument_bytes;
        let peak = &mut self.seconds[place(self.now_s)];
        *peak = (peak.0.max(input_bytes), peak.1.max(session.reply.len()));
    }

    fn largest(&self) -> (usize, usize) {
        let largest = |sum: (usize, usize), next: &(usize, usize)| (sum.0.max(next.0), sum.1.max(next.1));
        self.seconds.iter().fold((0, 0), largest)
    }
}

fn place(second: i64) -> usize {
    second.rem_euclid(PEAK_SECONDS as i64) as usize
}

#[derive(Clone, Copy, Default)]
struct Totals {
    at_us: u64,
    commands: u64,
    input_bytes: u64,
    output_bytes: u64,
    replication_input_bytes: u64,
    replication_output_bytes: u64,
    turns: u64,
    busy_ns: u64,
}

/// Totals of the last second and a half: the rates follow from the oldest and the newest.
#[derive(Default)]
struct Rates {
    samples: VecDeque<Totals>,
}

impl Rates {
    fn sample(&mut self, state: &mut ServerState, now_us: u64) {
        if self.samples.back().is_some_and(|last| now_us < last.at_us + RATE_PERIOD_US) {
            return;
        }
        let newest = Totals {
            at_us: now_us,
            commands: state.stats.commands,
            input_bytes: state.stats.input_bytes,
            output_bytes: state.stats.output_bytes,
            replication_input_bytes: state.stats.replication_input_bytes,
            replication_output_bytes: state.stats.replication_output_bytes,
            turns: state.loop_stats.turns,
            busy_ns: state.loop_stats.busy_ns,
        };
        self.samples.push_back(newest);
        if self.samples.len() > RATE_SAMPLES {
            self.samples.pop_front();
        }
        let oldest = self.samples[0];
        let elapsed_us = newest.at_us - oldest.at_us;
        let rate =
            |new: u64, old: u64| new.saturating_sub(old).saturating_mul(1_000_000).checked_div(elapsed_us).unwrap_or(0);
        // CONFIG RESETSTAT may have come in between.
        let turns = newest.turns.saturating_sub(oldest.turns);
        let busy_us = newest.busy_ns.saturating_sub(oldest.busy_ns) / 1000;
        let recent = &mut state.loop_stats.recent;
        recent.commands = rate(newest.commands, oldest.commands);
        recent.input_bytes = rate(newest.input_bytes, oldest.input_bytes);
        recent.output_bytes = rate(newest.output_bytes, oldest.output_bytes);
        recent.replication_input_bytes = rate(newest.replication_input_bytes, oldest.replication_input_bytes);
        recent.replication_output_bytes = rate(newest.replication_output_bytes, oldest.replication_output_bytes);
        recent.turns = rate(newest.turns, oldest.turns);
        recent.turn_us = busy_us.checked_div(turns).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::base::entropy::Entropy;
    use crate::config::Config;
    use crate::net::address::Address;

    #[test]
    fn large_buffers_are_remembered_for_some_seconds() {
        let mut state = ServerState::new(
            &crate::commands::PROGRAM,
            Config::default(),
            Clock::virtual_at(1_000_000),
            &Entropy::Seeded(1),
        );
        let token = state.add_client(Address::default());
        let (mut cron, mut jobs) = (Cron::new(&state), Jobs::default());
        let mut seen = Vec::new();
        for second in 0..12 {
            if let Some(session) = state.clients.get_mut(token) {
                session.traffic.query_bytes = if second == 2 { 5000 } else { 10 };
            }
            cron.tick(&mut state, &mut jobs);
            seen.push(state.stats.recent_input_bytes);
            state.clock.advance_virtual(1000);
            state.refresh_clock();
        }
        let expected = [&[10; 2][..], &[5000; PEAK_SECONDS], &[10; 2]].concat();
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_expiry_took_since_the_last_tick_is_one_event() {
        let config = Config { latency_monitor_threshold: 20, ..Config::default() };
        let mut state =
            ServerState::new(&crate::commands::PROGRAM, config, Clock::virtual_at(1_000_000), &Entropy::Seeded(1));
        let (mut cron, mut jobs) = (Cron::new(&state), Jobs::default());
        let mut tick = |state: &mut ServerState, slices: usize| {
            for _ in 0..slices {
                state.loop_stats.note_step(Job::Expiry, 500_000);
            }
            // One second has one sample.
            state.clock.advance_virtual(1000);
            state.refresh_clock();
            cron.tick(state, &mut jobs);
            let series = state.latency.events.get("expire-cycle");
            series.and_then(|series| series.samples.back()).map(|sample| sample.latency_ms)
        };
        assert_eq!(tick(&mut state, 39), None);
        assert_eq!(tick(&mut state, 39), None);
        assert_eq!(tick(&mut state, 50), Some(25));
        state.reset_stats();
        assert_eq!(tick(&mut state, 44), Some(22));
    }

    #[test]
    fn a_handshake_that_takes_too_long_is_given_up() {
        let mut state = ServerState::new(
            &crate::commands::PROGRAM,
            Config::default(),
            Clock::virtual_at(1_000_000),
            &Entropy::Seeded(1),
        );
        let [slow, plain] = [true, false].map(|handshaking| {
            let token = state.add_client(Address::default());
            if let Some(session) = state.clients.get_mut(token) {
                session.handshaking = handshaking;
            }
            token
        });
        let (mut cron, mut jobs) = (Cron::new(&state), Jobs::default());
        let mut overdue_after = |duration_ms| {
            state.clock.advance_virtual(duration_ms);
            state.refresh_clock();
            // What it sends byte by byte does not help it.
            if let Some(session) = state.clients.get_mut(slow) {
                session.last_interaction_ms = state.keyspace.now_ms;
            }
            let overdue = cron.tick(&mut state, &mut jobs);
            assert!(!overdue.contains(&plain));
            overdue.contains(&slow)
        };
        assert!(!overdue_after(5000));
        assert!(!overdue_after(5000));
        assert!(overdue_after(1));
    }
}
