//! The offset of local time from UTC, as the C library knows it.

/// Seconds to add to UTC to get local time at `unix_seconds`; zero when the C library cannot tell.
///
/// Takes the C library's time-zone lock, so never call it from a signal handler.
pub fn utc_offset_seconds(unix_seconds: i64) -> i64 {
    // SAFETY: `tm` is plain data for which all-zero bytes are a valid value.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call, and localtime_r writes to nothing but `local`.
    let filled = unsafe { libc::localtime_r(&unix_seconds, &mut local) };
    if filled.is_null() {
        return 0;
    }
    local.tm_gmtoff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_is_within_a_day_and_in_whole_minutes() {
        let offset = utc_offset_seconds(1_700_000_000);
        assert!(offset.abs() <= 14 * 3600);
        assert_eq!(offset % 60, 0);
    }
}
