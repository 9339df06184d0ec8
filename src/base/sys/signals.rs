//! Requests to end: SIGTERM and SIGINT are noted and wake the loop; SIGHUP, SIGPIPE and SIGXFSZ are ignored.
//!
//! A handler may do next to nothing, so it sets a flag and writes one byte into a socket pair whose other end the
//! poll loop watches. Everything else happens in the loop, when it calls [`Signals::drain`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::CString;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::base::tape::{self, Kind};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level;

/// The name of the file that is removed when a second signal forces the end, or null.
static DOOMED_FILE: AtomicPtr<libc::c_char> = AtomicPtr::new(ptr::null_mut());

/// Has a file removed when a second SIGINT ends the process at once. For the last file of a process: the name stays in
/// memory.
pub fn remove_when_insisted(path: &Path) {
    if let Ok(name) = CString::new(path.as_os_str().as_bytes()) {
        DOOMED_FILE.store(name.into_raw(), Ordering::SeqCst);
    }
}

fn remove_doomed_file() {
    let name = DOOMED_FILE.load(Ordering::SeqCst);
    if !name.is_null() {
        // SAFETY: the name ends with a zero and is never freed; `unlink` is safe in a signal handler.
        unsafe { libc::unlink(name) };
    }
}

/// A request to end that came as a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT, the interrupt key.
    Interrupt,
}

/// Where requests to end come from.
#[derive(Debug)]
pub enum Signals {
    /// The process's signals.
    Installed(Installed),
    /// A test.
    Scripted(ScriptedSignals),
}

/// The installed handlers and the receiving end of the pair that they write to.
#[derive(Debug)]
pub struct Installed {
    receiver: UnixStream,
    terminate: Arc<AtomicBool>,
    interrupt: Arc<AtomicBool>,
    ending: Arc<AtomicBool>,
}

/// Signals that a test sends. A clone is another end of the same.
#[derive(Clone, Debug, Default)]
pub struct ScriptedSignals(Rc<RefCell<VecDeque<Signal>>>);

impl ScriptedSignals {
    /// Sends a signal; the loop has yet to be told that there is one.
    pub fn send(&self, signal: Signal) {
        self.0.borrow_mut().push_back(signal);
    }
}

impl Signals {
    /// Installs the handlers. `insist` runs inside the signal handler, just before the process exits with status 1,
    /// when SIGINT arrives while an earlier request to end still stands; it may do only what is safe in a handler.
    ///
    /// Errors: the socket pair cannot be made or a handler cannot be installed.
    pub fn install(insist: fn()) -> io::Result<Signals> {
        let (receiver, sender) = UnixStream::pair()?;
        receiver.set_nonblocking(true)?;
        let ending = Arc::new(AtomicBool::new(false));
        let terminate = note(SIGTERM, &sender)?;
        let interrupt = note_or_insist(&sender, &ending, insist)?;
        ignore(libc::SIGHUP);
        ignore(libc::SIGPIPE);
        // A limit on the size of files is met as a full disk is: the write fails.
        ignore(libc::SIGXFSZ);
        Ok(Signals::Installed(Installed { receiver, terminate, interrupt, ending }))
    }

    /// The descriptor to watch for readability (`mio::unix::SourceFd`), if there is one.
    pub fn source_fd(&self) -> Option<RawFd> {
        match self {
            Signals::Installed(installed) => Some(installed.receiver.as_raw_fd()),
            Signals::Scripted(_) => None,
        }
    }

    /// The request that arrived since the last call, if any; call again until there is none. From the first request
    /// until [`Signals::forget_request`], a further SIGINT ends the process at once.
    pub fn drain(&mut self) -> Option<Signal> {
        let number = tape::pass(Kind::Signal, || {
            let signal = match self {
                Signals::Installed(installed) => installed.drain(),
                Signals::Scripted(signals) => signals.0.borrow_mut().pop_front(),
            };
            signal.map(|signal| signal as u8)
        });
        number.map(|number| if number == Signal::Terminate as u8 { Signal::Terminate } else { Signal::Interrupt })
    }

    /// The shutdown was given up: the next SIGINT is a fresh request.
    pub fn forget_request(&self) {
        if let Signals::Installed(installed) = self {
            installed.ending.store(false, Ordering::SeqCst);
        }
    }
}

impl Installed {
    fn drain(&mut self) -> Option<Signal> {
        let mut bytes = [0_u8; 64];
        // The bytes first, the flags second: a signal that comes in between has its byte left, and wakes the loop
        // again.
        while matches!(self.receiver.read(&mut bytes), Ok(count) if count > 0) {}
        let signal = if self.terminate.swap(false, Ordering::SeqCst) {
            Signal::Terminate
        } else if self.interrupt.swap(false, Ordering::SeqCst) {
            Signal::Interrupt
        } else {
            return None;
        };
        self.ending.store(true, Ordering::SeqCst);
        Some(signal)
    }
}

fn note(signal: i32, sender: &UnixStream) -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    // The flag first, the wake-up second: the loop must find the flag set when it wakes.
    signal_hook::flag::register(signal, Arc::clone(&flag))?;
    low_level::pipe::register(signal, sender.try_clone()?)?;
    Ok(flag)
}

fn note_or_insist(sender: &UnixStream, ending: &Arc<AtomicBool>, insist: fn()) -> io::Result<Arc<AtomicBool>> {
    let guard = Arc::clone(ending);
    let action = move || {
        if guard.load(Ordering::SeqCst) {
            insist();
            remove_doomed_file();
            low_level::exit(1);
        }
    };
    // SAFETY: the action loads an atomic, calls `insist`, whose contract is to be signal-safe, and `_exit`s.
    unsafe { low_level::register(SIGINT, action) }?;
    note(SIGINT, sender)
}

fn ignore(signal: i32) {
    // SAFETY: SIG_IGN is a valid disposition, and nothing else in the process handles these signals.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_seen_once_and_wakes_the_source() {
        let mut signals = Signals::install(|| {}).unwrap();
        assert_eq!(signals.drain(), None);
        low_level::raise(libc::SIGHUP).unwrap();
        low_level::raise(SIGTERM).unwrap();
        assert!(is_readable(signals.source_fd().unwrap()));
        assert_eq!(signals.drain(), Some(Signal::Terminate));
        assert_eq!(signals.drain(), None);
        assert!(!is_readable(signals.source_fd().unwrap()));
        signals.forget_request();
        low_level::raise(SIGINT).unwrap();
        assert_eq!(signals.drain(), Some(Signal::Interrupt));
        signals.forget_request();
    }

    fn is_readable(descriptor: RawFd) -> bool {
        let mut poll = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid entry, and a zero timeout.
        unsafe { libc::poll(&mut poll, 1, 0) == 1 }
    }
}
