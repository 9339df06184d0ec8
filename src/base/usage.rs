//! Sums of the loop's time: how much a client, a user or a database has used.

/// What the requests of one owner have taken. Times are in ticks of the clock, so that adding costs no conversion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub requests: u64,
    pub ticks: u64,
    /// The longest single request.
    pub longest_ticks: u64,
}

impl Usage {
    /// Adds requests that together took `ticks`, the longest of them `longest_ticks`.
    #[inline]
    pub fn add(&mut self, requests: u64, ticks: u64, longest_ticks: u64) {
        self.requests += requests;
        self.ticks += ticks;
        self.longest_ticks = self.longest_ticks.max(longest_ticks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_add_up_and_the_longest_stays() {
        let mut usage = Usage::default();
        usage.add(16, 100, 40);
        usage.add(1, 30, 30);
        assert_eq!(usage, Usage { requests: 17, ticks: 130, longest_ticks: 40 });
    }
}
