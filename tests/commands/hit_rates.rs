//! Eviction chooses at least as well as Redis's way of sampling, which is simulated here, on the same trace with as
//! many keys.

use fastrand::Rng;
use oneloop::config::Config;

use crate::support::Harness;

const KEYS: usize = 20_000;
const ACCESSES: usize = 120_000;
/// Time between two accesses.
const STEP_MS: u64 = 4;
const SKEW: f64 = 0.9;
/// What chance may make of a rate.
const TOLERANCE: f64 = 0.003;

const SAMPLES: usize = 5;
const POOL: usize = 16;

/// Numbers of keys, few of them often: Zipf's law. Every now and then other ones are the frequent ones.
fn trace() -> Vec<usize> {
    let mut sum = 0.0;
    let steps: Vec<f64> = (1..=KEYS)
        .map(|rank| {
            sum += (rank as f64).powf(-SKEW);
            sum
        })
        .collect();
    let mut random = Rng::with_seed(7);
    (0..ACCESSES)
        .map(|number| {
            let drift = number / (ACCESSES / 8) * 50;
            let at = random.f64() * sum;
            (steps.partition_point(|step| *step < at) * 7919 + drift) % KEYS
        })
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    Lru,
    Lfu,
    Random,
}

/// Redis's way: each eviction samples five keys at random into a pool of sixteen, ordered by idle time or by how seldom
/// they are used, and takes the best that is still there.
struct Simulation {
    policy: Policy,
    capacity: usize,
    random: Rng,
    present: Vec<usize>,
    /// The place of each key in `present`.
    places: Vec<Option<usize>>,
    used_s: Vec<u64>,
    counters: Vec<(u64, u64)>,
    pool: Vec<(u64, usize)>,
}

impl Simulation {
    fn new(policy: Policy, capacity: usize) -> Simulation {
        Simulation {
            policy,
            capacity,
            random: Rng::with_seed(1),
            present: Vec::new(),
            places: vec![None; KEYS],
            used_s: vec![0; KEYS],
            counters: vec![(0, 0); KEYS],
            pool: Vec::new(),
        }
    }

    fn frequency(&self, key: usize, now_ms: u64) -> u64 {
        let (minute, counter) = self.counters[key];
        counter.saturating_sub(now_ms / 60_000 - minute)
    }

    fn rank(&self, key: usize, now_ms: u64) -> u64 {
        match self.policy {
            Policy::Lru => now_ms / 1000 - self.used_s[key],
            Policy::Lfu => 255 - self.frequency(key, now_ms),
            Policy::Random => 0,
        }
    }

    fn touch(&mut self, key: usize, now_ms: u64) {
        self.used_s[key] = now_ms / 1000;
        let counter = self.frequency(key, now_ms);
        let chance = 1.0 / (counter.saturating_sub(5) as f64 * 10.0 + 1.0);
        let grown = counter + u64::from(self.random.f64() < chance);
        self.counters[key] = (now_ms / 60_000, grown.min(255));
    }

    fn evict(&mut self, now_ms: u64) {
        let victim = loop {
            if self.policy == Policy::Random {
                break self.present[self.random.usize(..self.present.len())];
            }
            for _ in 0..SAMPLES {
                let key = self.present[self.random.usize(..self.present.len())];
                if self.pool.iter().all(|(_, known)| *known != key) {
                    self.pool.push((self.rank(key, now_ms), key));
                }
            }
            self.pool.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
            self.pool.truncate(POOL);
            let best = self.pool.iter().position(|(_, key)| self.places[*key].is_some());
            if let Some(best) = best {
                break self.pool.remove(best).1;
            }
        };
        if let Some(place) = self.places[victim].take() {
            self.present.swap_remove(place);
            if let Some(moved) = self.present.get(place) {
                self.places[*moved] = Some(place);
            }
        }
    }

    /// Reads a key, and writes it if it is missing; tells whether it was there.
    fn access(&mut self, key: usize, now_ms: u64) -> bool {
        if self.places[key].is_some() {
            self.touch(key, now_ms);
            return true;
        }
        if self.present.len() == self.capacity {
            self.evict(now_ms);
        }
        self.places[key] = Some(self.present.len());
        self.present.push(key);
        self.used_s[key] = now_ms / 1000;
        self.counters[key] = (now_ms / 60_000, 5);
        false
    }
}

/// The hit rate of the server, and how many keys it held on average once it was full.
fn measure(policy: &str, trace: &[usize]) -> (f64, usize) {
    let mut server = Harness::with_config(Config::default());
    server.run(&format!("config set maxmemory-policy {policy}"));
    let limit = server.state.used_memory() + 300_000;
    server.run(&format!("config set maxmemory {limit}"));
    let (mut hits, mut keys_sum) = (0, 0);
    for (number, key) in trace.iter().enumerate() {
        server.advance_ms(STEP_MS);
        let key = format!("key:{key:06}");
        if server.run_args(&[b"get", key.as_bytes()]).starts_with("$100") {
            hits += 1;
        } else {
            server.run_args(&[b"set", key.as_bytes(), &[b'x'; 100]]);
        }
        if number >= trace.len() / 2 {
            keys_sum += server.state.keyspace.database(0).len();
        }
    }
    assert!(server.state.keyspace.stats.evicted_keys > 10_000);
    (hits as f64 / trace.len() as f64, keys_sum / trace.len().div_ceil(2))
}

#[test]
fn hit_rates_are_at_least_those_of_redis() {
    let trace = trace();
    for (name, policy) in
        [("allkeys-lru", Policy::Lru), ("allkeys-lfu", Policy::Lfu), ("allkeys-random", Policy::Random)]
    {
        let (rate, keys) = measure(name, &trace);
        let mut simulation = Simulation::new(policy, keys);
        let mut hits = 0;
        for (number, key) in trace.iter().enumerate() {
            let now_ms = 1_700_000_000_000 + (number as u64 + 1) * STEP_MS;
            hits += u32::from(simulation.access(*key, now_ms));
        }
        let redis = f64::from(hits) / trace.len() as f64;
        eprintln!("{name}: {rate:.4}, Redis {redis:.4} with {keys} keys");
        assert!(rate >= redis - TOLERANCE, "{name}: {rate} is below {redis}");
    }
}
