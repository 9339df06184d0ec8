//! What the requests about each key cost, while HOTKEYS asks for it: the keys with the most time and the most bytes.
//! Never decides which requests are looked at, but for the sampling.

use std::ops::RangeInclusive;

use super::sketch::{HotKey, Sketch};
use crate::base::sys::resources::ProcessorTime;

/// Places of a sketch for each key that is shown.
const PLACES_PER_KEY: usize = 10;
/// Where the random draws begin.
const SEED: u64 = 0x686f_746b;

/// What a tracking session is to do.
#[derive(Clone, Debug)]
pub struct TrackingWishes {
    /// Whether time is tracked.
    pub cpu: bool,
    /// Whether bytes are tracked.
    pub net: bool,
    /// Keys that are shown of each.
    pub keys: usize,
    /// When it ends by itself, in ms after its start.
    pub duration_ms: Option<i64>,
    /// One of so many requests is looked at.
    pub ratio: u32,
    /// The slots whose keys are looked at; none: all.
    pub slots: Option<Vec<RangeInclusive<u16>>>,
}

/// Sums over requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    pub cpu_ns: u64,
    pub net_bytes: u64,
}

impl Costs {
    fn add(&mut self, other: Costs) {
        self.cpu_ns += other.cpu_ns;
        self.net_bytes += other.net_bytes;
    }
}

/// A key of a request, with its hash.
pub type HashedKey<'a> = (u64, &'a [u8]);

/// A tracking session, and what it has found.
#[derive(Debug)]
pub struct KeyCosts {
    pub wishes: TrackingWishes,
    pub started_ms: i64,
    /// The processor time of the process when it began.
    pub processor_before: ProcessorTime,
    /// How long it took; none while it goes on.
    stopped_after_ms: Option<i64>,
    random: fastrand::Rng,
    cpu: Sketch,
    net: Sketch,
    /// All requests with keys.
    pub all: Costs,
    /// Those about the slots that are tracked.
    pub selected: Costs,
    /// Those of them that were looked at.
    pub sampled: Costs,
    /// Bytes of replies that were there before that of the present request.
    pub reply_start: usize,
}

impl KeyCosts {
    /// A session that begins now.
    pub fn new(wishes: TrackingWishes, now_ms: i64, processor: ProcessorTime) -> KeyCosts {
        let sketch = Sketch::new(wishes.keys * PLACES_PER_KEY);
        KeyCosts {
            wishes,
            started_ms: now_ms,
            processor_before: processor,
            stopped_after_ms: None,
            random: fastrand::Rng::with_seed(SEED),
            cpu: sketch.clone(),
            net: sketch,
            all: Costs::default(),
            selected: Costs::default(),
            sampled: Costs::default(),
            reply_start: 0,
        }
    }

    /// Whether requests are counted.
    pub fn is_active(&self) -> bool {
        self.stopped_after_ms.is_none()
    }

    /// How long it has taken, in ms.
    pub fn duration_ms(&self, now_ms: i64) -> i64 {
        self.stopped_after_ms.unwrap_or(now_ms - self.started_ms)
    }

    /// Ends it; what it has found stays.
    pub fn stop(&mut self, now_ms: i64) {
        self.stopped_after_ms = Some(self.duration_ms(now_ms));
    }

    /// Ends it if its time is over; says whether it did.
    pub fn stop_if_due(&mut self, now_ms: i64) -> bool {
        let due_ms = self.wishes.duration_ms.filter(|wanted_ms| now_ms - self.started_ms >= *wanted_ms);
        if self.is_active() && due_ms.is_some() {
            self.stopped_after_ms = due_ms;
            return true;
        }
        false
    }

    /// Counts a request about these keys, of which there is one at least. Each has its share of the costs; the first
    /// ones have what is left over. O(keys · places).
    pub fn count(&mut self, slot: Option<u16>, keys: &[HashedKey<'_>], costs: Costs) {
        self.all.add(costs);
        let is_selected = self
            .wishes
            .slots
            .as_ref()
            .is_none_or(|slots| slot.is_some_and(|slot| slots.iter().any(|range| range.contains(&slot))));
        if !is_selected {
            return;
        }
        self.selected.add(costs);
        if self.wishes.ratio > 1 && self.random.u32(..self.wishes.ratio) > 0 {
            return;
        }
        self.sampled.add(costs);
        if self.wishes.cpu {
            share(&mut self.cpu, keys, costs.cpu_ns);
        }
        if self.wishes.net {
            share(&mut self.net, keys, costs.net_bytes);
        }
    }

    /// The keys with the most time, in ns, if that is tracked.
    pub fn by_cpu(&self) -> Option<Vec<&HotKey>> {
        self.wishes.cpu.then(|| self.cpu.heaviest(self.wishes.keys))
    }

    /// The keys with the most bytes, if they are tracked.
    pub fn by_net(&self) -> Option<Vec<&HotKey>> {
        self.wishes.net.then(|| self.net.heaviest(self.wishes.keys))
    }
}

fn share(sketch: &mut Sketch, keys: &[HashedKey<'_>], cost: u64) {
    let count = keys.len() as u64;
    for (place, (hash, key)) in (0..).zip(keys) {
        let weight = cost / count + u64::from(place < cost % count);
        if weight > 0 {
            sketch.add(*hash, 0, key, weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes() -> TrackingWishes {
        TrackingWishes { cpu: true, net: true, keys: 3, duration_ms: None, ratio: 1, slots: None }
    }

    fn counts(found: Option<Vec<&HotKey>>) -> Vec<(&[u8], u64)> {
        found.expect("it is tracked").into_iter().map(|hot| (&*hot.key, hot.count)).collect()
    }

    #[test]
    fn costs_are_shared_among_the_keys_of_a_request() {
        let mut costs = KeyCosts::new(wishes(), 0, ProcessorTime::default());
        costs.count(None, &[(1, b"a"), (2, b"b"), (3, b"c")], Costs { cpu_ns: 11, net_bytes: 2 });
        assert_eq!(counts(costs.by_cpu()), [(&b"a"[..], 4), (b"b", 4), (b"c", 3)]);
        assert_eq!(counts(costs.by_net()), [(&b"a"[..], 1), (b"b", 1)]);
        assert_eq!(costs.all, Costs { cpu_ns: 11, net_bytes: 2 });
    }

    #[test]
    fn one_of_so_many_requests_is_looked_at() {
        let mut costs = KeyCosts::new(TrackingWishes { ratio: 10, ..wishes() }, 0, ProcessorTime::default());
        (0..10_000).for_each(|_| costs.count(None, &[(1, b"a")], Costs { cpu_ns: 1, net_bytes: 1 }));
        assert_eq!(costs.all.cpu_ns, 10_000);
        assert!((900..1100).contains(&costs.sampled.cpu_ns), "{}", costs.sampled.cpu_ns);
        assert_eq!(counts(costs.by_net()), [(&b"a"[..], costs.sampled.net_bytes)]);
    }

    #[test]
    fn slots_that_are_not_selected_count_in_the_whole_alone() {
        let slots = Some(vec![3..=5]);
        let mut costs = KeyCosts::new(TrackingWishes { slots, ..wishes() }, 0, ProcessorTime::default());
        for (slot, hash) in [(Some(3), 1), (Some(6), 2), (None, 3), (Some(5), 4)] {
            costs.count(slot, &[(hash, b"x")], Costs { cpu_ns: 10, net_bytes: 1 });
        }
        assert_eq!((costs.all.cpu_ns, costs.selected.cpu_ns), (40, 20));
        assert_eq!(costs.by_cpu().map(|found| found.len()), Some(2));
    }
}
