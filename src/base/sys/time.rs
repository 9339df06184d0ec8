//! The system's date, straight from the C library: the loop asks in every turn. And the time that a thread has used.

/// Microseconds since the Unix epoch; zero before it.
#[inline]
pub fn unix_us() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call only writes to the structure that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000) + now.tv_nsec as u64 / 1000
}

/// Processor time that this thread has used, in ns.
pub fn thread_time_ns() -> u64 {
    let mut used = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call only writes to the structure that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut used) };
    u64::try_from(used.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000) + used.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_thread_uses_time_while_it_works() {
        let before_ns = thread_time_ns();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let slept_ns = thread_time_ns() - before_ns;
        let mut sum = 0_u64;
        while thread_time_ns() - before_ns < slept_ns + 1_000_000 {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(slept_ns < 15_000_000 && sum > 0, "{slept_ns}");
    }

    #[test]
    fn it_is_the_date_of_the_standard_library() {
        let date_us = || SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_micros() as u64;
        let (before_us, now_us, after_us) = (date_us(), unix_us(), date_us());
        assert!((before_us..=after_us).contains(&now_us), "{before_us} {now_us} {after_us}");
    }
}
