//! What a record remembers: the clock of its last use (LRU) or change (LRM), or how often it is used (LFU).
//!
//! LFU as Redis defines it: 16 bits of minutes since the last decrement, 8 bits of a counter that grows logarithmically
//! (Morris 1978). Both clocks have four bits more here, for sixteenths: of keys that are used as seldom the one that
//! has not been used for longer is told apart.

use super::record::Record;

/// The LRU clock counts sixteenths of seconds and wraps at 28 bits: 194 days, as in Redis, whose clock counts seconds.
const CLOCK_MASK: u32 = 0x0fff_ffff;
const FRACTION_BITS: u32 = 4;
const MINUTES_MASK: u32 = 0x000f_ffff;
/// A new key's counter, so that it is not evicted before it had a chance.
const LFU_INITIAL: u32 = 5;

/// What records remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// When it was used last.
    LastUse,
    /// When it was changed last.
    LastChange,
    /// How often it is used.
    Frequency,
}

/// What records remember, and with what parameters.
pub struct AccessPolicy {
    pub kept: Kept,
    pub log_factor: u32,
    pub decay_minutes: u32,
    /// Sixteenths of seconds since the epoch.
    now: u64,
    /// The same, 28 bits.
    clock: u32,
    /// Sixteenths of minutes since the epoch, 20 bits.
    minutes: u32,
    random: fastrand::Rng,
}

impl Default for AccessPolicy {
    fn default() -> AccessPolicy {
        AccessPolicy {
            kept: Kept::LastUse,
            log_factor: 10,
            decay_minutes: 1,
            now: 0,
            clock: 0,
            minutes: 0,
            random: fastrand::Rng::with_seed(0),
        }
    }
}

impl AccessPolicy {
    /// Sets the clock.
    pub fn set_now(&mut self, now_ms: i64) {
        self.now = ((now_ms.max(0) as u64) << FRACTION_BITS) / 1000;
        self.clock = self.now as u32 & CLOCK_MASK;
        self.minutes = (((now_ms.max(0) as u64) << FRACTION_BITS) / 60_000) as u32 & MINUTES_MASK;
    }

    /// The same as of now, for who looks at records of now later.
    pub fn copy(&self) -> AccessPolicy {
        AccessPolicy { random: self.random.clone(), ..*self }
    }

    /// Seeds the logarithmic counter's coin.
    pub fn seed(&mut self, seed: u64) {
        self.random = fastrand::Rng::with_seed(seed);
    }

    /// Whether uses are counted (LFU).
    #[inline]
    pub fn counts_uses(&self) -> bool {
        self.kept == Kept::Frequency
    }

    /// What a record starts with.
    #[inline]
    pub fn of_new(&self) -> u32 {
        if self.counts_uses() { self.minutes << 8 | LFU_INITIAL } else { self.clock }
    }

    /// What a record gets that was last used so many seconds ago: like a new one under LFU, which keeps no times.
    pub fn of_idle(&self, seconds: i64) -> u32 {
        if self.counts_uses() {
            self.of_new()
        } else {
            self.clock.wrapping_sub((seconds as u32) << FRACTION_BITS) & CLOCK_MASK
        }
    }

    /// What a record gets whose uses amount to this counter: like a new one under LRU, which keeps no counter.
    pub fn of_frequency(&self, counter: u8) -> u32 {
        if self.counts_uses() { self.minutes << 8 | u32::from(counter) } else { self.of_new() }
    }

    /// Notes a use of the record.
    #[inline]
    pub fn touch(&mut self, record: &Record) {
        let before = record.access();
        let after = match self.kept {
            Kept::LastUse => self.clock,
            Kept::LastChange => return,
            Kept::Frequency => self.counted(before),
        };
        if after != before {
            record.set_access(after);
        }
    }

    /// Seconds since the last use, or change, by the calendar's seconds, as Redis counts, under LRU or LRM.
    pub fn idle_seconds(&self, record: &Record) -> u32 {
        let whole = |clock: u32| clock >> FRACTION_BITS;
        whole(self.clock).wrapping_sub(whole(record.access())) & whole(CLOCK_MASK)
    }

    /// When what remembers this was used last, or changed, in sixteenths of seconds since the epoch, under LRU or LRM.
    pub fn last_use(&self, access: u32) -> u64 {
        let idle = self.clock.wrapping_sub(access) & CLOCK_MASK;
        self.now.saturating_sub(u64::from(idle))
    }

    /// What Redis would remember of the record's use, in 24 bits.
    pub fn shown(&self, record: &Record) -> u32 {
        let access = record.access();
        if self.counts_uses() { access >> 8 >> FRACTION_BITS << 8 | access & 0xff } else { access >> FRACTION_BITS }
    }

    /// The counter of what remembers this as it is now, and the sixteenths of minutes since its last use, under LFU.
    pub fn frequency_and_age(&self, access: u32) -> (u8, u32) {
        let idle = self.minutes.wrapping_sub(access >> 8) & MINUTES_MASK;
        (self.decayed(access) as u8, idle)
    }

    /// The counter as it is now, under LFU.
    pub fn frequency_of(&self, record: &Record) -> u32 {
        self.decayed(record.access())
    }

    fn decayed(&self, access: u32) -> u32 {
        let (minutes, counter) = (access >> 8, access & 0xff);
        let whole = |minutes: u32| minutes >> FRACTION_BITS;
        let elapsed = whole(self.minutes).wrapping_sub(whole(minutes)) & whole(MINUTES_MASK);
        match elapsed.checked_div(self.decay_minutes) {
            Some(periods) => counter.saturating_sub(periods),
            None => counter,
        }
    }

    fn counted(&mut self, access: u32) -> u32 {
        let counter = self.decayed(access);
        let base = f64::from(counter.saturating_sub(LFU_INITIAL));
        let chance = 1.0 / (base * f64::from(self.log_factor) + 1.0);
        let grows = counter < 255 && self.random.f64() < chance;
        self.minutes << 8 | (counter + u32::from(grows))
    }
}
