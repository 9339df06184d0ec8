//! Time: the one place that reads it, and the virtual clock that stands in for it under test.
//!
//! The loop calls [`Clock::refresh`] once per turn and everything it runs sees that one instant. Commands are timed
//! with [`Ticks`], which cost a few nanoseconds to read.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::sys::time::unix_us;
use super::tape::{self, Kind};

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

    /// The system's clock, whose readings are passed through the thread's tape (`base::tape`).
    pub fn taped() -> Clock {
        let real = (!tape::is_replaying()).then(quanta::Clock::new);
        let length = |real: &quanta::Clock| real.delta_as_nanos(0, LENGTH_TICKS);
        let nanos = tape::pass(Kind::TickLength, || real.as_ref().map_or(0, length));
        let ticks = Ticks { source: Source::Taped(TapedTime { real, nanos, resumed: Rc::default() }) };
        let mut clock = Clock { now_us: 0, started: ticks.now(), ticks };
        tape::begin_clock(clock.started, nanos);
        clock.refresh();
        clock
    }

    /// Has the ticks of a clock whose tape is off go on from the last recorded reading. The date stands still.
    pub fn resume(&mut self, last_ticks: u64) {
        if let Source::Taped(time) = &self.ticks.source {
            let real = quanta::Clock::new();
            // A clock that has gone on already goes on.
            let _ = time.resumed.set(Resumed { began: real.raw(), real, last_ticks });
        }
    }

    /// A clock that stands at `unix_ms` until [`Clock::advance_virtual`] moves it. Its clones move with it.
    pub fn virtual_at(unix_ms: u64) -> Clock {
        let time = VirtualTime { began_us: unix_ms * 1000, ..VirtualTime::default() };
        let ticks = Ticks { source: Source::Virtual(Rc::new(time)) };
        Clock { now_us: unix_ms * 1000, started: 0, ticks }
    }

    /// A clock whose date stands at `unix_ms` until [`Clock::advance_virtual`] moves it, while its ticks go on as the
    /// system's do: slices and budgets end, and what waits for a date does not. Its clones move with it.
    pub fn held_at(unix_ms: u64) -> Clock {
        let real = quanta::Clock::new();
        let date_us = Cell::new(unix_ms * 1000);
        let held = HeldDate { began: real.raw(), real, date_us, moved_ns: Cell::new(0) };
        let ticks = Ticks { source: Source::Held(Rc::new(held)) };
        Clock { now_us: unix_ms * 1000, started: ticks.now(), ticks }
    }

    /// Milliseconds since the Unix epoch, as of the last refresh.
    pub fn now_ms(&self) -> u64 {
        self.now_us / 1000
    }

    /// Microseconds since the Unix epoch, as of the last refresh.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Reads the time, which stays the same until the next refresh.
    pub fn refresh(&mut self) {
        self.now_us = match &self.ticks.source {
            Source::System(_) => unix_us(),
            Source::Virtual(time) => time.now_us(),
            Source::Held(held) => held.date_us.get(),
            Source::Taped(time) if time.resumed.get().is_some() => self.now_us,
            // How far it has moved is a smaller number.
            Source::Taped(_) => {
                let before_us = self.now_us;
                before_us.wrapping_add(tape::pass(Kind::Date, || unix_us().wrapping_sub(before_us)))
            }
        };
    }

    /// Moves a virtual clock on by `duration_ms`, its ticks included; does nothing to the system's.
    pub fn advance_virtual(&mut self, duration_ms: u64) {
        self.advance_virtual_by(Duration::from_millis(duration_ms));
    }

    /// Moves a virtual clock on by any duration, its ticks included; does nothing to the system's.
    pub fn advance_virtual_by(&mut self, duration: Duration) {
        match &self.ticks.source {
            Source::Virtual(time) => {
                time.advance(duration);
                self.now_us = time.now_us();
            }
            Source::Held(held) => self.now_us = held.advance(duration),
            Source::System(_) | Source::Taped(_) => {}
        }
    }

    /// Has each reading of a virtual clock's ticks move it on by so many ns: what is limited by time then ends after so
    /// many readings. Does nothing to the system's.
    pub fn set_virtual_step(&self, step_ns: u64) {
        if let Source::Virtual(time) = &self.ticks.source {
            time.step_ns.set(step_ns);
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
            Source::Taped(time) if tape::is_replaying() || time.resumed.get().is_some() => {}
            Source::System(_) | Source::Taped(_) | Source::Held(_) => std::thread::sleep(duration),
            Source::Virtual(time) => time.advance(duration),
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
    /// Shared with the [`Clock`] that moves it.
    Virtual(Rc<VirtualTime>),
    /// The same.
    Held(Rc<HeldDate>),
    Taped(TapedTime),
}

/// The system's ticks under a date that is moved by hand.
#[derive(Debug)]
struct HeldDate {
    real: quanta::Clock,
    /// What `real` was at the beginning.
    began: u64,
    date_us: Cell<u64>,
    /// How far the date has been moved: the ticks have moved on with it.
    moved_ns: Cell<u64>,
}

impl HeldDate {
    /// In ns since the beginning.
    fn ticks(&self) -> u64 {
        self.real.delta_as_nanos(self.began, self.real.raw()).saturating_add(self.moved_ns.get())
    }

    /// Moves the date; gives what it is then, in µs since the Unix epoch.
    fn advance(&self, duration: Duration) -> u64 {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.moved_ns.set(self.moved_ns.get().saturating_add(nanos));
        self.date_us.set(self.date_us.get().saturating_add(nanos / 1000));
        self.date_us.get()
    }
}

/// The system's time as it goes to a tape, or comes from one.
#[derive(Clone, Debug)]
struct TapedTime {
    /// Nothing while a tape is replayed.
    real: Option<quanta::Clock>,
    /// How long `LENGTH_TICKS` are.
    nanos: u64,
    /// Set once the time goes on after a replay, for all that measure it.
    resumed: Rc<OnceCell<Resumed>>,
}

/// Ticks that go on from a reading.
#[derive(Clone, Debug)]
struct Resumed {
    real: quanta::Clock,
    /// What `real` was at the beginning.
    began: u64,
    last_ticks: u64,
}

impl TapedTime {
    /// A reading beside the tape.
    fn now(&self) -> u64 {
        match (self.resumed.get(), &self.real) {
            (Some(resumed), _) => {
                let elapsed_ns = u128::from(resumed.real.delta_as_nanos(resumed.began, resumed.real.raw()));
                let ticks = elapsed_ns * u128::from(LENGTH_TICKS) / u128::from(self.nanos.max(1));
                resumed.last_ticks.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX))
            }
            (None, Some(real)) => real.raw(),
            (None, None) => 0,
        }
    }
}

/// So many ticks are measured to know how long one is.
const LENGTH_TICKS: u64 = 1 << 40;

impl Source {
    /// A reading of a clock that is not the system's alone.
    #[cold]
    fn read(&self) -> u64 {
        match self {
            Source::System(clock) => clock.raw(),
            Source::Virtual(time) => time.read_ticks(),
            Source::Held(held) => held.ticks(),
            Source::Taped(time) => tape::pass_ticks(|| time.now()),
        }
    }

    #[cold]
    fn nanos_between(&self, start: u64, end: u64) -> u64 {
        match self {
            Source::System(clock) => clock.delta_as_nanos(start, end),
            Source::Virtual(_) | Source::Held(_) => end.saturating_sub(start),
            Source::Taped(time) => {
                let nanos = u128::from(end.saturating_sub(start)) * u128::from(time.nanos) / u128::from(LENGTH_TICKS);
                u64::try_from(nanos).unwrap_or(u64::MAX)
            }
        }
    }
}

/// The time of a virtual clock.
#[derive(Debug, Default)]
struct VirtualTime {
    /// When it began, in µs since the Unix epoch.
    began_us: u64,
    /// How far it has moved.
    elapsed_ns: Cell<u64>,
    /// How far each reading of the ticks moves it.
    step_ns: Cell<u64>,
}

impl VirtualTime {
    fn now_us(&self) -> u64 {
        self.began_us.saturating_add(self.elapsed_ns.get() / 1000)
    }

    fn advance(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.elapsed_ns.set(self.elapsed_ns.get().saturating_add(nanos));
    }

    #[cold]
    #[inline(never)]
    fn read_ticks(&self) -> u64 {
        let elapsed_ns = self.elapsed_ns.get();
        self.elapsed_ns.set(elapsed_ns.saturating_add(self.step_ns.get()));
        elapsed_ns
    }
}

impl Ticks {
    /// The counter now, in units of its own; see [`Ticks::nanos_between`].
    #[inline(always)]
    pub fn now(&self) -> u64 {
        match &self.source {
            Source::System(clock) => clock.raw(),
            other => other.read(),
        }
    }

    /// Nanoseconds between two readings, zero when they are in the wrong order.
    #[inline]
    pub fn nanos_between(&self, start: u64, end: u64) -> u64 {
        match &self.source {
            Source::System(clock) => clock.delta_as_nanos(start, end),
            other => other.nanos_between(start, end),
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
    fn a_held_date_moves_only_when_told_while_its_ticks_go_on() {
        let mut clock = Clock::held_at(5000);
        let (other, start_us) = (clock.clone(), clock.monotonic_us());
        clock.sleep(Duration::from_millis(2));
        assert_eq!(clock.now_ms(), 5000);
        let passed_us = clock.monotonic_us() - start_us;
        assert!((2000..3_000_000).contains(&passed_us), "{passed_us}");
        clock.advance_virtual(60_000);
        assert_eq!(clock.now_ms(), 65_000);
        assert!(other.monotonic_us() >= 60_002_000, "its clones move with it");
    }

    #[test]
    fn each_reading_of_the_ticks_may_move_a_virtual_clock() {
        let mut clock = Clock::virtual_at(5000);
        clock.set_virtual_step(400_000);
        assert_eq!([clock.ticks(), clock.ticks(), clock.stopwatch().now()], [0, 400_000, 800_000]);
        assert_eq!(clock.now_us(), 5_000_000, "it is not refreshed");
        let mut other = clock.clone();
        clock.refresh();
        assert_eq!(clock.now_us(), 5_001_200);
        other.advance_virtual(1);
        clock.refresh();
        assert_eq!((clock.now_us(), other.now_us()), (5_002_200, 5_002_200));
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
    fn a_replayed_clock_goes_on_with_its_date_standing_still() {
        tape::record(tape::Recorder::new(Box::new(|_| Ok(()))));
        let mut clock = Clock::taped();
        tape::stop();
        let (date_us, last_ticks) = (clock.now_us(), clock.ticks());
        clock.resume(last_ticks);
        let stopwatch = clock.stopwatch();
        std::thread::sleep(Duration::from_millis(3));
        clock.refresh();
        assert_eq!(clock.now_us(), date_us);
        let elapsed_ns = clock.ticks_as_nanos(stopwatch.now() - last_ticks);
        assert!((2_900_000..3_000_000_000).contains(&elapsed_ns), "{elapsed_ns}");
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
