//! The system log.

use std::ffi::CString;

/// How grave a line in the system log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// For developers.
    Debug,
    /// Informational.
    Info,
    /// Normal but significant.
    Notice,
    /// Something is wrong.
    Warning,
}

/// Opens the system log under `ident` with the facility of that name (`user`, `local0` to `local7`); an unknown
/// facility counts as `local0`.
pub fn open(ident: &str, facility: &str) {
    let ident: Vec<u8> = ident.bytes().filter(|&byte| byte != 0).collect();
    let Ok(ident) = CString::new(ident) else {
        return;
    };
    let options = libc::LOG_PID | libc::LOG_NDELAY | libc::LOG_NOWAIT;
    // SAFETY: openlog keeps the pointer for as long as the process lives; `into_raw` gives the string up for good.
    unsafe { libc::openlog(ident.into_raw(), options, facility_number(facility)) };
}

/// Writes one line to the system log; NUL bytes in it are left out.
pub fn write(priority: Priority, message: &str) {
    let message: Vec<u8> = message.bytes().filter(|&byte| byte != 0).collect();
    let Ok(message) = CString::new(message) else {
        return;
    };
    // SAFETY: the format takes exactly one string, and both strings outlive the call.
    unsafe { libc::syslog(priority_number(priority), c"%s".as_ptr(), message.as_ptr()) };
}

fn priority_number(priority: Priority) -> libc::c_int {
    match priority {
        Priority::Debug => libc::LOG_DEBUG,
        Priority::Info => libc::LOG_INFO,
        Priority::Notice => libc::LOG_NOTICE,
        Priority::Warning => libc::LOG_WARNING,
    }
}

fn facility_number(name: &str) -> libc::c_int {
    match name.to_ascii_lowercase().as_str() {
        "user" => libc::LOG_USER,
        "local1" => libc::LOG_LOCAL1,
        "local2" => libc::LOG_LOCAL2,
        "local3" => libc::LOG_LOCAL3,
        "local4" => libc::LOG_LOCAL4,
        "local5" => libc::LOG_LOCAL5,
        "local6" => libc::LOG_LOCAL6,
        "local7" => libc::LOG_LOCAL7,
        _ => libc::LOG_LOCAL0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facilities_are_told_apart_whatever_their_case() {
        assert_eq!(facility_number("LOCAL7"), libc::LOG_LOCAL7);
        assert_eq!(facility_number("user"), libc::LOG_USER);
        assert_eq!(facility_number("local0"), libc::LOG_LOCAL0);
    }
}
