//! How long something took: count, sum, longest, and how many times fell into each power of two.

/// Times that are told apart: class `c` holds those of less than 2^`c` ns (and not of less than half of that).
pub const CLASSES: usize = 40;

/// Times in ns, each with a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distribution {
    pub count: u64,
    pub sum_ns: u64,
    pub longest_ns: u64,
    pub classes: [u64; CLASSES],
}

impl Default for Distribution {
    fn default() -> Distribution {
        Distribution { count: 0, sum_ns: 0, longest_ns: 0, classes: [0; CLASSES] }
    }
}

impl Distribution {
    /// Notes `weight` events that took so long each.
    #[inline]
    pub fn record(&mut self, nanos: u64, weight: u64) {
        self.count += weight;
        self.sum_ns += nanos * weight;
        self.longest_ns = self.longest_ns.max(nanos);
        let class = u64::BITS - nanos.leading_zeros();
        self.classes[(class as usize).min(CLASSES - 1)] += weight;
    }

    /// The time that `per_mille` of 1000 events did not exceed, as the upper bound of its class; at most the longest
    /// time.
    pub fn quantile_ns(&self, per_mille: u64) -> u64 {
        let wanted = (self.count * per_mille).div_ceil(1000);
        let mut seen = 0;
        for (class, count) in self.classes.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return (1u64 << class).min(self.longest_ns);
            }
        }
        self.longest_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_bound_the_sorted_times() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let count = random.usize(1..300);
            let mut time = || {
                let most = 1 << random.u32(1..38);
                random.u64(0..most)
            };
            let mut times: Vec<u64> = (0..count).map(|_| time()).collect();
            let mut distribution = Distribution::default();
            times.iter().for_each(|nanos| distribution.record(*nanos, 1));
            times.sort_unstable();
            for per_mille in [500, 900, 990, 999, 1000] {
                let exact = times[(times.len() * per_mille).div_ceil(1000) - 1];
                let told = distribution.quantile_ns(per_mille as u64);
                assert!(told >= exact && told <= (2 * exact).max(1), "{told} for {exact}");
            }
            assert_eq!(distribution.sum_ns, times.iter().sum::<u64>());
            assert_eq!(distribution.classes.iter().sum::<u64>(), times.len() as u64);
        }
        assert_eq!(Distribution::default().quantile_ns(990), 0);
    }

    #[test]
    fn a_weight_counts_as_so_many_events() {
        let (mut weighted, mut single) = (Distribution::default(), Distribution::default());
        weighted.record(1000, 16);
        (0..16).for_each(|_| single.record(1000, 1));
        assert_eq!(weighted, single);
        weighted.record(u64::MAX >> 8, 1);
        assert_eq!(weighted.classes[CLASSES - 1], 1);
    }
}
