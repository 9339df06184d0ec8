//! The system's groups of users.

use std::ffi::CString;
use std::io;

/// The number of a group.
///
/// Errors: there is no such group, or it cannot be looked up.
pub fn id_of(name: &str) -> io::Result<u32> {
    let text = CString::new(name)?;
    // SAFETY: the text ends with a zero. The result lies in memory of the C library until the next such call; it is
    // read at once, on the only thread that makes such calls.
    let id = unsafe { libc::getgrnam(text.as_ptr()).as_ref().map(|group| group.gr_gid) };
    id.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no group '{name}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_a_number() {
        assert_eq!(id_of("root").expect("a group that all systems have"), 0);
        assert_eq!(id_of("no such group").map_err(|error| error.kind()), Err(io::ErrorKind::NotFound));
    }
}
