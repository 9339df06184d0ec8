//! Time: the one place that reads it, and the virtual clock that stands in for it under test.
//!
//! The loop calls [`Clock::refresh`] once per turn and everything it runs sees that one instant. Commands are timed
//! with [`Ticks`], which cost a few nanoseconds to read.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::sys::time::unix_us;

/// The time since the Unix epoch, read from the system now. For what lies outside the core, such as log lines.
pub fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What INFO's `monotonic_clock` field says.
pub const MONOTONIC_CLOCK_NAME: &str = "POSIX clock_gettime";

/// The server's clock: the system's, or a virtual one that moves only when told to.
#[derive(Clone, Debug)]
pub struct Clock {
    now_us: u64,
    ticks: Ticks,
    started: u64,
}

impl Clock {
    /// A clock that follows the system's.
    pub fn system() -> Clock {
        let ticks = Ticks { source: Source::System(quanta::Clock::new()) };
        let mut clock = Clock { now_us: 0, started: ticks.now(), ticks };
        clock.refresh();
        clock
    }

    /// A clock that stands at `unix_ms` until [`Clock::advance_virtual`] moves it.
    pub fn virtual_at(unix_ms: u64) -> Clock {
        let ticks = Ticks { source: Source::Virtual(Rc::new(Cell::new(0))) };
        Clock { now_us: unix_ms * 1000, started: 0, ticks }
    }

    /// Milliseconds since the Unix epoch, as of the last refresh.
    pub fn now_ms(&self) -> u64 {
        self.now_us / 1000
    }

    /// Microseconds since the Unix epoch, as of the last refresh.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Reads the system's clock; does nothing to a virtual one.
    pub fn refresh(&mut self) {
        if let Source::System(_) = self.ticks.source {
            self.now_us = unix_us();
        }
    }

    /// Moves a virtual clock on by `duration_ms`, its ticks included; does nothing to the system's.
    pub fn advance_virtual(&mut self, duration_ms: u64) {
        if let Source::Virtual(elapsed_ns) = &self.ticks.source {
            elapsed_ns.set(elapsed_ns.get() + duration_ms * 1_000_000);
            self.now_us += duration_ms * 1000;
        }
    }

    /// Microseconds since this clock was made, read now; never goes back, whatever happens to the system's date.
    pub fn monotonic_us(&self) -> u64 {
        self.monotonic_us_at(self.ticks.now())
    }

    /// The same as of a reading of the stopwatch.
    #[inline]
    pub fn monotonic_us_at(&self, ticks: u64) -> u64 {
        self.nanos_at(ticks) / 1000
    }

    /// Waits: the thread sleeps under the system's clock, while a virtual clock just moves on.
    pub fn sleep(&mut self, duration: Duration) {
        match &self.ticks.source {
            Source::System(_) => std::thread::sleep(duration),
            Source::Virtual(elapsed_ns) => {
                let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
                elapsed_ns.set(elapsed_ns.get().saturating_add(nanos));
                self.now_us = self.now_us.saturating_add(nanos / 1000);
            }
        }
        self.refresh();
    }

    /// A stopwatch for timing commands, moving with this clock.
    pub fn stopwatch(&self) -> Ticks {
        self.ticks.clone()
    }

    /// Nanoseconds from when this clock was made until a reading of the stopwatch.
    #[inline]
    pub fn nanos_at(&self, ticks: u64) -> u64 {
        self.ticks.nanos_between(self.started, ticks)
    }

    /// The date, in microseconds since the Unix epoch, so many nanoseconds after this clock was made: by the system's
    /// date now.
    pub fn unix_us_of(&self, nanos: u64) -> u64 {
        let ago_us = self.nanos_at(self.ticks()).saturating_sub(nanos) / 1000;
        self.now_us.saturating_sub(ago_us)
    }

    /// The stopwatch's counter now.
    #[inline]
    pub fn ticks(&self) -> u64 {
        self.ticks.now()
    }

    /// How long so many ticks are, in ns.
    #[inline]
    pub fn ticks_as_nanos(&self, ticks: u64) -> u64 {
        self.ticks.nanos_between(0, ticks)
    }

    /// How long a tick is, in ns: to convert many times at the cost of a multiplication each.
    pub fn nanos_per_tick(&self) -> f64 {
        const SAMPLE_TICKS: u64 = 1 << 40;
        self.ticks_as_nanos(SAMPLE_TICKS) as f64 / SAMPLE_TICKS as f64
    }

    /// How many ticks so many ns are.
    pub fn nanos_as_ticks(&self, nanos: u64) -> u64 {
        const SAMPLE_TICKS: u64 = 1 << 32;
        let sample_ns = self.ticks_as_nanos(SAMPLE_TICKS).max(1);
        let ticks = u128::from(nanos) * u128::from(SAMPLE_TICKS) / u128::from(sample_ns);
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }
}

/// A cheap stopwatch: the processor's time-stamp counter where it is reliable, else the monotonic clock.
#[derive(Clone, Debug)]
pub struct Ticks {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    System(quanta::Clock),
    /// Nanoseconds that the virtual clock has moved, shared with the [`Clock`] that moves them.
    Virtual(Rc<Cell<u64>>),
}

impl Ticks {
    /// The counter now, in units of its own; see [`Ticks::nanos_between`].
    #[inline]
    pub fn now(&self) -> u64 {
        match &self.source {
            Source::System(clock) => clock.raw(),
            Source::Virtual(elapsed_ns) => elapsed_ns.get(),
        }
    }

    /// Nanoseconds between two readings, zero when they are in the wrong order.
    #[inline]
    pub fn nanos_between(&self, start: u64, end: u64) -> u64 {
        match &self.source {
            Source::System(clock) => clock.delta_as_nanos(start, end),
            Source::Virtual(_) => end.saturating_sub(start),
        }
    }

    /// Microseconds from a reading until now.
    #[inline]
    pub fn micros_since(&self, start: u64) -> u64 {
        self.nanos_between(start, self.now()) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_clock_moves_only_when_told() {
        let mut clock = Clock::virtual_at(5000);
        let ticks = clock.stopwatch();
        let start = ticks.now();
        clock.refresh();
        assert_eq!((clock.now_ms(), clock.monotonic_us()), (5000, 0));
        clock.advance_virtual(7);
        assert_eq!((clock.now_ms(), clock.now_us(), clock.monotonic_us()), (5007, 5_007_000, 7000));
        assert_eq!(ticks.micros_since(start), 7000);
        clock.sleep(Duration::from_micros(1500));
        assert_eq!((clock.now_us(), clock.monotonic_us()), (5_008_500, 8500));
    }

    #[test]
    fn the_system_clock_is_cached_until_refreshed_and_cannot_be_advanced() {
        let mut clock = Clock::system();
        let before = clock.now_us();
        assert!(before > 1_600_000_000_000_000);
        clock.sleep(Duration::from_millis(2));
        assert!(clock.now_us() >= before + 1000);
        assert!(clock.monotonic_us() >= 2000);
        let cached = clock.now_us();
        clock.advance_virtual(1_000_000);
        assert_eq!(clock.now_us(), cached);
    }

    #[test]
    fn ticks_measure_real_time() {
        let ticks = Clock::system().stopwatch();
        let start = ticks.now();
        std::thread::sleep(Duration::from_millis(3));
        let micros = ticks.micros_since(start);
        assert!((2900..3_000_000).contains(&micros), "{micros}");
        assert_eq!(ticks.nanos_between(ticks.now(), start), 0);
    }
}
