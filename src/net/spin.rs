//! Spinning: the loop asks again for a while before it sleeps, so that a lone request finds it awake.
//!
//! To be woken takes longer than to answer a GET. A loop that has its core to itself loses nothing by staying awake for
//! the time that a client needs to ask again; on a core that it shares it takes the time of others, perhaps of the very
//! client that it waits for. The governor tells the two apart by what it sees: how often spinning has paid, and how
//! long the loop could have run and had to wait for its core. (The number of involuntary context switches tells less:
//! kernel threads that need the core for some microseconds cause as many as a program that wants half of it.)
//!
//! A state machine without I/O: the poll tells it what became of each spin, the housekeeping calls `tick`.

use std::ops::AddAssign;
use std::time::Duration;

use crate::base::tape::{Entry, Input};
use crate::config::SpinLimit;

/// How long the loop spins at most with `auto`: a client on the same machine asks again within this time.
const AUTO_LIMIT: Duration = Duration::from_micros(100);
/// So many spins in a row that brought nothing end spinning until the next tick.
const MISSES_MAX: u32 = 16;
/// Spins of a period below which it says nothing.
const SPINS_MIN: u64 = 16;
/// Spinning goes on while at least one spin of so many pays.
const SPINS_PER_HIT_MAX: u64 = 4;
/// The loop may wait for its core for one part in so many of the time.
const WAIT_PART: u32 = 8;
/// With more clients than this, there is no lone request: those that come while the loop is being woken are answered
/// together, which costs both sides less.
const CLIENTS_MAX: usize = 4;
/// How long spinning rests after a period that did not pay, in ticks; twice as long after each further one.
const REST_TICKS_MIN: u32 = 2;
const REST_TICKS_MAX: u32 = 32;

/// How long a limit allows to spin.
fn duration(limit: SpinLimit) -> Duration {
    match limit {
        SpinLimit::Auto => AUTO_LIMIT,
        SpinLimit::Micros(limit_us) => Duration::from_micros(limit_us.into()),
    }
}

/// What was counted in a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpinCounts {
    /// Spins before a sleep.
    pub spins: u64,
    /// Those in which something became ready.
    pub hits: u64,
    /// Periods after which spinning was given up for a while.
    pub rests: u64,
}

impl AddAssign for SpinCounts {
    fn add_assign(&mut self, other: SpinCounts) {
        self.spins += other.spins;
        self.hits += other.hits;
        self.rests += other.rests;
    }
}

impl Entry for SpinCounts {
    fn write(&self, out: &mut Vec<u8>) {
        [self.spins, self.hits, self.rests].iter().for_each(|count| count.write(out));
    }

    fn read(input: &mut Input<'_>) -> Option<SpinCounts> {
        Some(SpinCounts { spins: u64::read(input)?, hits: u64::read(input)?, rests: u64::read(input)? })
    }
}

/// What the governor sees of the core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreTime {
    /// The time, since any moment.
    pub now: Duration,
    /// How long the loop could have run so far and had to wait, since others had its core.
    pub waited: Duration,
}

/// Decides whether the loop spins before it sleeps.
#[derive(Debug, Default)]
pub struct Governor {
    /// How long the loop spins now.
    budget: Duration,
    /// Spins in a row that brought nothing.
    misses: u32,
    /// This period's.
    counts: SpinCounts,
    /// When the period began, and how long the loop had waited for its core then; unknown before the first tick.
    began: Option<CoreTime>,
    /// Ticks for which spinning still rests.
    rest_left: u32,
    /// How long it rested last; 0 after a period that paid.
    last_rest: u32,
}

impl Governor {
    /// How long to spin before the next sleep.
    #[inline]
    pub fn budget(&self) -> Duration {
        self.budget
    }

    /// A spin has ended: `hit` if something became ready.
    #[inline]
    pub fn note(&mut self, hit: bool) {
        self.counts.spins += 1;
        if hit {
            self.counts.hits += 1;
            self.misses = 0;
            return;
        }
        self.misses += 1;
        if self.misses >= MISSES_MAX {
            self.budget = Duration::ZERO;
        }
    }

    /// A period is over; gives its counts. `clients`: how many are connected.
    pub fn tick(&mut self, limit: SpinLimit, core: CoreTime, clients: usize) -> SpinCounts {
        let mut counts = std::mem::take(&mut self.counts);
        let began = self.began.replace(core).unwrap_or(core);
        let waited = core.waited.saturating_sub(began.waited);
        let is_shared = waited * WAIT_PART > core.now.saturating_sub(began.now);
        self.misses = 0;
        let tells = counts.spins >= SPINS_MIN;
        let pays = counts.hits * SPINS_PER_HIT_MAX >= counts.spins && !is_shared;
        if self.rest_left > 0 {
            self.rest_left -= 1;
        } else if tells && pays {
            self.last_rest = 0;
        } else if tells {
            self.last_rest = (2 * self.last_rest).clamp(REST_TICKS_MIN, REST_TICKS_MAX);
            self.rest_left = self.last_rest;
            counts.rests = 1;
        }
        let may_spin = self.rest_left == 0 && clients <= CLIENTS_MAX;
        self.budget = if may_spin { duration(limit) } else { Duration::ZERO };
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: SpinLimit = SpinLimit::Micros(50);
    const BUDGET: Duration = Duration::from_micros(50);
    /// The core is the loop's own.
    const FREE: CoreTime = CoreTime { now: Duration::ZERO, waited: Duration::ZERO };

    /// A time at which the loop had waited for its core so long.
    fn at_ms(now: u64, waited: u64) -> CoreTime {
        CoreTime { now: Duration::from_millis(now), waited: Duration::from_millis(waited) }
    }

    fn spinning() -> Governor {
        let mut governor = Governor::default();
        governor.tick(LIMIT, FREE, 1);
        assert_eq!(governor.budget(), BUDGET);
        governor
    }

    fn spin(governor: &mut Governor, hits: u32, misses: u32) {
        (0..misses).for_each(|_| governor.note(false));
        (0..hits).for_each(|_| governor.note(true));
    }

    #[test]
    fn nothing_spins_unless_it_is_asked_for() {
        let mut governor = Governor::default();
        assert_eq!(governor.budget(), Duration::ZERO);
        governor.tick(SpinLimit::Micros(0), FREE, 1);
        assert_eq!(governor.budget(), Duration::ZERO);
        governor.tick(SpinLimit::Auto, FREE, 1);
        assert_eq!(governor.budget(), AUTO_LIMIT);
        governor.tick(SpinLimit::Micros(0), FREE, 1);
        assert_eq!(governor.budget(), Duration::ZERO);
    }

    #[test]
    fn spinning_that_pays_goes_on() {
        let mut governor = spinning();
        for _ in 0..100 {
            spin(&mut governor, 30, 10);
            assert_eq!(governor.tick(LIMIT, FREE, 1), SpinCounts { spins: 40, hits: 30, rests: 0 });
            assert_eq!(governor.budget(), BUDGET);
        }
    }

    #[test]
    fn misses_in_a_row_end_it_within_the_period() {
        let mut governor = spinning();
        spin(&mut governor, 0, MISSES_MAX - 1);
        assert_eq!(governor.budget(), BUDGET);
        spin(&mut governor, 0, 1);
        assert_eq!(governor.budget(), Duration::ZERO);
    }

    #[test]
    fn periods_that_do_not_pay_are_followed_by_longer_rests() {
        let mut governor = spinning();
        let mut rests = Vec::new();
        for _ in 0..10 {
            spin(&mut governor, 0, MISSES_MAX);
            let mut ticks = 0;
            loop {
                governor.tick(LIMIT, FREE, 1);
                if governor.budget() > Duration::ZERO {
                    break;
                }
                ticks += 1;
            }
            rests.push(ticks);
        }
        assert_eq!(rests, [2, 4, 8, 16, 32, 32, 32, 32, 32, 32]);
        // One that pays makes the next rest short again.
        spin(&mut governor, 100, 0);
        governor.tick(LIMIT, FREE, 1);
        spin(&mut governor, 0, MISSES_MAX);
        for _ in 0..REST_TICKS_MIN + 1 {
            governor.tick(LIMIT, FREE, 1);
        }
        assert_eq!(governor.budget(), BUDGET);
    }

    #[test]
    fn few_spins_say_nothing() {
        let mut governor = spinning();
        spin(&mut governor, 0, SPINS_MIN as u32 - 1);
        governor.tick(LIMIT, at_ms(100, 100), 1);
        assert_eq!(governor.budget(), BUDGET);
    }

    #[test]
    fn a_core_that_others_want_is_left_to_them() {
        let mut governor = spinning();
        spin(&mut governor, 100, 0);
        governor.tick(LIMIT, at_ms(160, 20), 1);
        assert_eq!(governor.budget(), BUDGET);
        spin(&mut governor, 100, 0);
        let counts = governor.tick(LIMIT, at_ms(320, 41), 1);
        assert_eq!(governor.budget(), Duration::ZERO);
        assert_eq!(counts.rests, 1);
    }

    #[test]
    fn many_clients_are_not_waited_for() {
        let mut governor = spinning();
        governor.tick(LIMIT, FREE, CLIENTS_MAX + 1);
        assert_eq!(governor.budget(), Duration::ZERO);
        governor.tick(LIMIT, FREE, CLIENTS_MAX);
        assert_eq!(governor.budget(), BUDGET);
    }
}
