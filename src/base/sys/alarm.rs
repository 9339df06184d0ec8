//! A signal to the calling thread at short intervals, for as long as it asks for it: what looks after code that cannot look at
//! the clock itself. Elsewhere than on Linux there is none.

use std::cell::Cell;
use std::ffi::c_int;

/// Time between two signals, in ns.
const INTERVAL_NS: i64 = 4_000_000;
/// Signals in a row that nobody needed before they stop.
const IDLE_MAX: u32 = 25;

/// A thread's timer.
#[derive(Clone, Copy)]
struct Timer {
    #[cfg(target_os = "linux")]
    id: libc::timer_t,
}

thread_local! {
    static TIMER: Cell<Option<Timer>> = const { Cell::new(None) };
    static IS_ARMED: Cell<bool> = const { Cell::new(false) };
    static IDLE: Cell<u32> = const { Cell::new(0) };
}

/// What is done at each signal, on the thread that armed it, wherever that thread is: it must do nothing but what may be done
/// there. Tells whether the signal was needed.
pub type Ring = fn() -> bool;

/// Has this thread be signalled until nobody needs it any more. Costs a system call when the signals had stopped. Tells whether that is possible.
#[inline]
pub fn arm(ring: Ring) -> bool {
    IS_ARMED.get() || start(ring)
}

#[cfg(target_os = "linux")]
fn start(ring: Ring) -> bool {
    let Some(timer) = TIMER.get().or_else(|| create(ring)) else {
        return false;
    };
    TIMER.set(Some(timer));
    IDLE.set(0);
    let is_armed = set(timer, INTERVAL_NS);
    IS_ARMED.set(is_armed);
    is_armed
}

#[cfg(not(target_os = "linux"))]
fn start(_ring: Ring) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn set(timer: Timer, interval_ns: i64) -> bool {
    let interval = libc::timespec { tv_sec: 0, tv_nsec: interval_ns };
    let times = libc::itimerspec { it_interval: interval, it_value: interval };
    // SAFETY: the timer is one of this process's; the call may be made in a signal's handler.
    unsafe { libc::timer_settime(timer.id, 0, &times, std::ptr::null_mut()) == 0 }
}

#[cfg(target_os = "linux")]
static RING: std::sync::OnceLock<Ring> = std::sync::OnceLock::new();

#[cfg(target_os = "linux")]
fn create(ring: Ring) -> Option<Timer> {
    RING.get_or_init(|| ring);
    // SAFETY: the structures are filled in as the calls want them; the handler is a function of the right kind.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as extern "C" fn(c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        if libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()) != 0 {
            return None;
        }
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGALRM;
        event.sigev_notify_thread_id = libc::gettid();
        let mut id: libc::timer_t = std::ptr::null_mut();
        let status = libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut id);
        (status == 0).then_some(Timer { id })
    }
}

#[cfg(target_os = "linux")]
extern "C" fn on_signal(_signal: c_int) {
    let is_needed = RING.get().is_some_and(|ring| ring());
    if is_needed {
        IDLE.set(0);
        return;
    }
    IDLE.set(IDLE.get() + 1);
    if IDLE.get() >= IDLE_MAX
        && let Some(timer) = TIMER.get()
        && set(timer, 0)
    {
        IS_ARMED.set(false);
    }
}
