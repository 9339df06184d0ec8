//! Fatal signals: SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT are handed to one function before the process dies.
//!
//! The handler runs on a stack of its own, so that a stack overflow can be reported as well. It is the last thing
//! that this process does, which is why it may take risks (memory allocation) that a handler normally must not; a
//! fault inside it, or one that gets stuck, ends the process without further words.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The signals that mean that the process is lost.
const FATAL_SIGNALS: [i32; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT];

/// Room for symbolizing a stack trace.
const HANDLER_STACK_BYTES: usize = 1 << 20;

/// A handler that is stuck (say, on a lock that the faulting code holds) is ended by SIGALRM after this long.
const HANDLER_LIMIT_SECONDS: u32 = 20;

/// What is known of a fatal signal.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The number of the signal.
    pub signal: i32,
    /// The kernel's `si_code`: why it was sent.
    pub code: i32,
    /// The address that was accessed, for a fault of memory or code.
    pub address: usize,
    /// Process and user that sent the signal, unless the kernel did.
    pub sender: Option<(i32, u32)>,
    /// The instruction that was running, where the architecture is known.
    pub instruction: Option<usize>,
}

static CALLBACK: OnceLock<fn(&Fault)> = OnceLock::new();
static HANDLING: AtomicBool = AtomicBool::new(false);

/// From now on a fatal signal runs `callback` and then ends the process as the signal would have. The first callback
/// ever installed stays the one; to be called by the thread that runs the server, whose stack overflow it can report.
///
/// Errors: the handler's stack cannot be had or a handler cannot be installed.
pub fn install(callback: fn(&Fault)) -> io::Result<()> {
    if CALLBACK.set(callback).is_ok() {
        provide_handler_stack()?;
    }
    for signal in FATAL_SIGNALS {
        // SAFETY: `sigaction` is plain data for which all-zero bytes are a valid value.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = on_fault;
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER | libc::SA_RESETHAND;
        // SAFETY: the action is fully set, and `on_fault` has the signature that SA_SIGINFO asks for.
        if unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Gives the fatal signals their default action back.
pub fn remove() {
    for signal in FATAL_SIGNALS {
        reset(signal);
    }
}

/// Ends the process by `signal`'s default action, so that its parent sees what happened.
pub fn die_by(signal: i32) -> ! {
    reset(signal);
    // SAFETY: raising a signal and aborting are always allowed.
    unsafe {
        libc::raise(signal);
        libc::abort()
    }
}

/// Has the kernel end this process by SIGALRM if it is not done in `seconds`: a bound on what a crash report may take.
pub fn limit_remaining_time() {
    reset(libc::SIGALRM);
    // SAFETY: alarm takes a number.
    unsafe { libc::alarm(HANDLER_LIMIT_SECONDS) };
}

/// Accesses memory that must not be written, for DEBUG SEGFAULT: the process gets a true SIGSEGV.
pub fn provoke_segmentation_fault() {
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh read-only page at an address of the kernel's choice touches no memory in use; the write to it
    // faults by intent, and if the page could not be had, the address is invalid and faults just as well.
    unsafe {
        let page = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, kind, -1, 0);
        std::ptr::write_volatile(page.cast::<u8>(), 1);
    }
}

/// Writes bytes straight to standard output, for the crash report: no buffer, no lock.
pub fn write_stdout(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the slice is readable for its length.
        let written = unsafe { libc::write(libc::STDOUT_FILENO, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(count) if count > 0 => bytes = &bytes[count..],
            _ => return,
        }
    }
}

fn reset(signal: i32) {
    // SAFETY: SIG_DFL is a valid disposition for every signal that is passed here.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

fn provide_handler_stack() -> io::Result<()> {
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a fresh mapping at an address of the kernel's choice; it is never unmapped, so the stack stays valid.
    unsafe {
        let base = libc::mmap(std::ptr::null_mut(), HANDLER_STACK_BYTES, access, kind, -1, 0);
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = libc::stack_t { ss_sp: base, ss_flags: 0, ss_size: HANDLER_STACK_BYTES };
        if libc::sigaltstack(&stack, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if HANDLING.swap(true, Ordering::SeqCst) {
        die_by(signal);
    }
    remove();
    limit_remaining_time();
    if let Some(callback) = CALLBACK.get() {
        // SAFETY: the kernel passes a valid record to an SA_SIGINFO handler.
        let fault = unsafe { describe(signal, &*info, context) };
        callback(&fault);
    }
    die_by(signal);
}

/// # Safety
/// `info` and `context` are what the kernel passed to the handler.
unsafe fn describe(signal: i32, info: &libc::siginfo_t, context: *mut libc::c_void) -> Fault {
    let sent_by_process = info.si_code <= 0;
    Fault {
        signal,
        code: info.si_code,
        // SAFETY: the field is plain memory of the record, whichever member of the union is in use.
        address: unsafe { info.si_addr() } as usize,
        // SAFETY: as above; it means something when a process sent the signal.
        sender: sent_by_process.then(|| unsafe { (info.si_pid(), info.si_uid()) }),
        // SAFETY: the caller passes the kernel's own context.
        instruction: unsafe { instruction(context) },
    }
}

/// # Safety
/// `context` is null or the kernel's context of the interrupted code.
unsafe fn instruction(context: *mut libc::c_void) -> Option<usize> {
    // SAFETY: by the caller's promise the pointer, unless null, is to a `ucontext_t`.
    let context = unsafe { context.cast::<libc::ucontext_t>().as_ref() }?;
    #[cfg(target_arch = "x86_64")]
    return Some(context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize);
    #[cfg(target_arch = "aarch64")]
    return Some(context.uc_mcontext.pc as usize);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let _ = context;
        None
    }
}
