//! Owns the question which locales the system has. Never changes the process's locale.

use std::ffi::CString;
use std::ptr;

/// Whether strings could be compared by the rules of this locale.
pub fn can_collate(name: &str) -> bool {
    let Ok(name) = CString::new(name) else {
        return false;
    };
    // SAFETY: the name ends with NUL; without a base a new locale is made, which no other code knows.
    let locale = unsafe { libc::newlocale(libc::LC_COLLATE_MASK, name.as_ptr(), ptr::null_mut()) };
    if locale.is_null() {
        return false;
    }
    // SAFETY: the locale was just made and is not in use.
    unsafe { libc::freelocale(locale) };
    true
}

#[cfg(test)]
mod tests {
    use super::can_collate;

    #[test]
    fn the_standard_locales_are_there_and_inventions_are_not() {
        assert!(can_collate("C"));
        assert!(can_collate("POSIX"));
        assert!(!can_collate("xx"));
        assert!(!can_collate("C\0"));
    }
}
