//! The system's date, straight from the C library: the loop asks in every turn.

/// Microseconds since the Unix epoch; zero before it.
#[inline]
pub fn unix_us() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call only writes to the structure that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000) + now.tv_nsec as u64 / 1000
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn it_is_the_date_of_the_standard_library() {
        let date_us = || SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_micros() as u64;
        let (before_us, now_us, after_us) = (date_us(), unix_us(), date_us());
        assert!((before_us..=after_us).contains(&now_us), "{before_us} {now_us} {after_us}");
    }
}
