//! The process itself: into the background, its title in `ps`, stopping itself for a supervisor.

use std::ffi::{CStr, c_char};
use std::fs::{self, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

unsafe extern "C" {
    /// The C library's table of `NAME=value` strings, ended by a null pointer.
    static mut environ: *mut *mut c_char;
}

/// The number of this process.
pub fn own_id() -> u32 {
    std::process::id()
}

/// Goes on as a child in a session of its own with the standard streams on `/dev/null`, while the parent exits with
/// status 0. To be called before any thread is started.
///
/// Errors: the fork fails. A missing `/dev/null` is no error: the streams then stay as they are.
pub fn daemonize() -> io::Result<()> {
    // SAFETY: the caller promises that there is but one thread, so the child is a full copy of a consistent process.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Err(io::Error::last_os_error());
    }
    if child > 0 {
        std::process::exit(0);
    }
    // SAFETY: setsid takes nothing; a fresh child is never a group leader, so it cannot fail.
    unsafe { libc::setsid() };
    if let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
        for stream in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
            // SAFETY: both descriptors are open, and the standard streams have no owner in this process.
            unsafe { libc::dup2(null.as_raw_fd(), stream) };
        }
    }
    Ok(())
}

/// Stops this process with SIGSTOP until upstart continues it: its protocol for readiness.
pub fn stop_self() {
    // SAFETY: raising a signal whose disposition cannot be changed.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Whether standard output is a terminal.
pub fn stdout_is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stdout())
}

/// The memory that the kernel shows as this process's command line: the program's arguments and, after them, the
/// environment, which is moved elsewhere to make room.
#[derive(Debug)]
pub struct ProcessTitle {
    start: *mut u8,
    capacity: usize,
}

impl ProcessTitle {
    /// Takes the area over. To be called once, before any thread is started and after the arguments were read, for
    /// `std::env::args` answers nonsense once a title is set. `None` where the area cannot be found.
    pub fn claim() -> Option<ProcessTitle> {
        let (arguments, environment) = areas(&fs::read_to_string("/proc/self/stat").ok()?)?;
        let mut end = arguments.end;
        if environment.start == arguments.end && environment.end > environment.start {
            // SAFETY: there is but one thread (the caller's promise), and the range is what the kernel handed over.
            unsafe { move_environment(&environment) };
            end = environment.end;
        }
        Some(ProcessTitle { start: arguments.start as *mut u8, capacity: end - arguments.start })
    }

    /// Shows `title`, cut to the room there is.
    pub fn set(&mut self, title: &str) {
        // The last byte stays NUL, since the kernel and tools that read the arguments look for one.
        let length = title.len().min(self.capacity - 1);
        // SAFETY: `start..start + capacity` is the process's own writable stack memory, which nothing borrows: the
        // arguments are read through raw pointers alone, and the environment was moved away.
        unsafe {
            std::ptr::copy_nonoverlapping(title.as_ptr(), self.start, length);
            std::ptr::write_bytes(self.start.add(length), 0, self.capacity - length);
        }
    }
}

/// The address ranges of arguments and environment, from a line in the format of `/proc/PID/stat` (fields 48 to 51).
fn areas(stat_line: &str) -> Option<(Range<usize>, Range<usize>)> {
    // The name in field two may hold blanks and brackets, so count from the last bracket.
    let after_name = &stat_line[stat_line.rfind(')')? + 1..];
    let mut fields = after_name.split_ascii_whitespace().skip(45).map(|field| field.parse::<usize>().ok());
    let arguments = fields.next()??..fields.next()??;
    let environment = fields.next()??..fields.next()??;
    (arguments.start > 0 && arguments.end > arguments.start).then_some((arguments, environment))
}

/// Replaces each string of the environment that lies in `range` by a copy on the heap.
///
/// # Safety
/// No other thread may run.
unsafe fn move_environment(range: &Range<usize>) {
    // SAFETY: the table is ended by a null pointer and its strings by NUL; with one thread nothing changes either.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            if range.contains(&(*entry as usize)) {
                *entry = CStr::from_ptr(*entry).to_owned().into_raw();
            }
            entry = entry.add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_found_after_a_name_with_blanks_and_brackets() {
        let mut line = String::from("7 (a) b) S");
        for field in 4..=52 {
            line.push_str(&format!(" {}", field * 10));
        }
        assert_eq!(areas(&line), Some((480..490, 500..510)));
        assert_eq!(areas("7 (a) S 1 2"), None);
    }

    #[test]
    fn this_process_has_its_areas() {
        let (arguments, _) = areas(&fs::read_to_string("/proc/self/stat").unwrap()).unwrap();
        // SAFETY: the range is readable memory that ends with NUL, and nothing in this test process rewrites it.
        let first = unsafe { CStr::from_ptr(arguments.start as *const c_char) };
        assert_eq!(first.to_string_lossy(), std::env::args().next().unwrap());
    }
}
