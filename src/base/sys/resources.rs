//! What the operating system says of this process and machine: memory, processor time, limits, names.

use std::fs;
use std::io;
use std::time::Duration;

/// Whose processor time is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// All threads of this process.
    Process,
    /// The children that have ended and been waited for.
    Children,
    /// The calling thread alone.
    Thread,
}

/// Processor time used, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessorTime {
    /// Time spent in the program.
    pub user_us: u64,
    /// Time spent in the kernel for the program.
    pub system_us: u64,
}

/// The outcome of asking for more open files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFileLimit {
    /// The limit that was in force before.
    pub before: u64,
    /// The limit in force now.
    pub now: u64,
    /// Number of the system's error, when it refused what was wanted.
    pub refusal: Option<i32>,
}

/// The size of a memory page in bytes.
pub fn page_size() -> usize {
    // SAFETY: sysconf takes a number and returns a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// The physical memory of the machine in bytes, zero when the system does not tell.
pub fn total_memory_bytes() -> u64 {
    // SAFETY: sysconf takes a number and returns a number.
    let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
    u64::try_from(pages).unwrap_or(0) * page_size() as u64
}

/// The memory of this process that is in RAM, in bytes; zero where `/proc` is missing.
pub fn resident_bytes() -> u64 {
    let resident_pages = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|line| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
    resident_pages.unwrap_or(0) * page_size() as u64
}

/// The processor time used so far; zeros when the system does not tell.
pub fn processor_time(whose: Whose) -> ProcessorTime {
    let selector = match whose {
        Whose::Process => libc::RUSAGE_SELF,
        Whose::Children => libc::RUSAGE_CHILDREN,
        Whose::Thread => libc::RUSAGE_THREAD,
    };
    // SAFETY: `rusage` is plain data for which all-zero bytes are a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid for the call.
    if unsafe { libc::getrusage(selector, &mut usage) } != 0 {
        return ProcessorTime::default();
    }
    ProcessorTime { user_us: microseconds(usage.ru_utime), system_us: microseconds(usage.ru_stime) }
}

/// How long the calling thread could have run so far and had to wait, since others had its core; zero where the system
/// does not tell (`/proc/thread-self/schedstat`).
pub fn waited_for_core() -> Duration {
    let numbers = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = numbers.and_then(|line| line.split_ascii_whitespace().nth(1)?.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

fn microseconds(time: libc::timeval) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_usec).unwrap_or(0)
}

/// Raises the limit on open files to `wanted`, or as near to it as the system allows; never lowers it.
///
/// Errors: the limit cannot be read.
pub fn raise_open_files(wanted: u64) -> io::Result<OpenFileLimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is valid for the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let before = limit.rlim_cur;
    if before >= wanted {
        return Ok(OpenFileLimit { before, now: before, refusal: None });
    }
    // A privileged process may raise the hard limit too; any other gets what the hard limit leaves.
    let hard_limit = limit.rlim_max;
    let Err(refusal) = set_open_files(wanted, hard_limit.max(wanted)) else {
        return Ok(OpenFileLimit { before, now: wanted, refusal: None });
    };
    let now = match set_open_files(hard_limit, hard_limit) {
        Ok(()) => hard_limit,
        Err(_) => before,
    };
    Ok(OpenFileLimit { before, now, refusal: refusal.raw_os_error() })
}

fn set_open_files(soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the pointer is valid for the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// The system's name, release and machine, as INFO's `os` field shows them: `Linux 6.1.0 x86_64`.
pub fn operating_system() -> String {
    // SAFETY: `utsname` is plain data for which all-zero bytes are a valid value.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid for the call.
    if unsafe { libc::uname(&mut name) } != 0 {
        return String::from("unknown");
    }
    format!("{} {} {}", text(&name.sysname), text(&name.release), text(&name.machine))
}

fn text(field: &[libc::c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|&unit| unit as u8).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_figures_are_plausible() {
        let resident = resident_bytes();
        assert!(resident > page_size() as u64);
        assert!(total_memory_bytes() > resident);
    }

    #[test]
    fn processor_time_of_the_process_covers_the_thread() {
        let thread = processor_time(Whose::Thread);
        let process = processor_time(Whose::Process);
        assert!(process.user_us + process.system_us >= thread.user_us + thread.system_us);
    }

    #[test]
    fn open_file_limit_is_never_lowered() {
        let before = raise_open_files(0).unwrap().now;
        assert!(before > 0);
        assert_eq!(raise_open_files(1).unwrap(), OpenFileLimit { before, now: before, refusal: None });
        assert!(raise_open_files(before + 1).unwrap().now >= before);
    }

    #[test]
    fn operating_system_has_three_words() {
        let name = operating_system();
        assert_eq!(name.split(' ').count(), 3, "{name}");
        assert!(name.starts_with("Linux "));
    }
}
