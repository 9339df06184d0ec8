//! The crash report: what the log says when the server dies of a fatal signal or of a panic.
//!
//! It has the shape of Redis's, so that tools and people find their way. The most valuable part comes first (cause
//! and stack trace); each section is written out before the next one is asked for, since a lost process may fault
//! again at any point, and then it just ends. The process ends by the signal that it got, after a panic by SIGABRT
//! (or with status 1, as directive `use-exit-on-panic` asks).

use std::backtrace::Backtrace;
use std::fs;
use std::io;
use std::panic::{self, PanicHookInfo};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::SIGABRT;

use crate::base::logging::{crash_line, crash_raw};
use crate::base::sys::faults;
use crate::base::sys::faults::Fault;

/// How crashes are reported.
#[derive(Clone, Debug)]
pub struct CrashSettings {
    /// The Redis version that Oneloop stands for.
    pub version: &'static str,
    /// Directive `crash-log-enabled`.
    pub enabled: bool,
    /// Directive `use-exit-on-panic`: a panic ends in exit status 1 rather than in SIGABRT.
    pub exit_on_panic: bool,
    /// The pid file to remove, if the server is in the background.
    pub pid_file: Option<PathBuf>,
}

/// A part of the report that only the server can supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashSection {
    /// The text of INFO.
    Info,
    /// The text of CLIENT LIST.
    ClientList,
    /// The command that was running; empty if none was. Never its arguments, which may be secret.
    CurrentClient,
}

static SETTINGS: OnceLock<CrashSettings> = OnceLock::new();
static CONTEXT: OnceLock<fn(CrashSection) -> String> = OnceLock::new();
static ENABLED: AtomicBool = AtomicBool::new(false);
static EXIT_ON_PANIC: AtomicBool = AtomicBool::new(false);
static REPORTING: AtomicBool = AtomicBool::new(false);

/// Installs the panic hook and, if reports are enabled, the signal handlers. To be called once, after the log is set
/// up, by the thread that runs the server. A panic in any thread then ends the process.
///
/// Errors: a handler cannot be installed.
pub fn install(settings: CrashSettings) -> io::Result<()> {
    let settings = SETTINGS.get_or_init(|| settings);
    set_exit_on_panic(settings.exit_on_panic);
    panic::set_hook(Box::new(on_panic));
    set_enabled(settings.enabled)
}

/// Follows directive `crash-log-enabled`.
///
/// Errors: a handler cannot be installed.
pub fn set_enabled(enabled: bool) -> io::Result<()> {
    ENABLED.store(enabled, Ordering::SeqCst);
    if enabled {
        return faults::install(on_fault);
    }
    faults::remove();
    Ok(())
}

/// Follows directive `use-exit-on-panic`.
pub fn set_exit_on_panic(exit_on_panic: bool) {
    EXIT_ON_PANIC.store(exit_on_panic, Ordering::SeqCst);
}

/// Names the function that supplies the server's part of the report. It runs in a lost process, possibly in the midst
/// of any operation: it must read only, and not wait for anything. The first one named stays.
pub fn set_context_provider(provider: fn(CrashSection) -> String) {
    CONTEXT.get_or_init(|| provider);
}

fn on_fault(fault: &Fault) {
    if REPORTING.swap(true, Ordering::SeqCst) {
        return;
    }
    open_report();
    let version = SETTINGS.get().map_or("", |settings| settings.version);
    crash_line(&format!("Redis {version} crashed by signal: {}, si_code: {}", fault.signal, fault.code));
    match fault.sender {
        Some((process, user)) => crash_line(&format!("Killed by PID: {process}, UID: {user}")),
        None => crash_line(&format!("Accessing address: {:#x}", fault.address)),
    }
    if let Some(instruction) = fault.instruction {
        crash_line(&format!("Crashed running the instruction at: {instruction:#x}"));
    }
    write_sections();
    close_report();
}

fn on_panic(panic: &PanicHookInfo<'_>) {
    if REPORTING.swap(true, Ordering::SeqCst) {
        faults::die_by(SIGABRT);
    }
    // From here on a fault just ends the process, and so does whatever takes too long.
    faults::remove();
    faults::limit_remaining_time();
    open_report();
    let payload = panic.payload();
    let literal = payload.downcast_ref::<&str>().copied();
    let message = literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown cause");
    let place = panic.location().map_or_else(String::new, |place| format!(" #{}:{}", place.file(), place.line()));
    crash_line("------------------------------------------------");
    crash_line("!!! Software Failure. Press left mouse button to continue");
    crash_line(&format!("Guru Meditation: {message}{place}"));
    crash_line("------------------------------------------------");
    if ENABLED.load(Ordering::SeqCst) {
        write_sections();
    }
    close_report();
    if EXIT_ON_PANIC.load(Ordering::SeqCst) {
        signal_hook::low_level::exit(1);
    }
    faults::die_by(SIGABRT);
}

fn open_report() {
    crash_raw("\n\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\n");
}

fn write_sections() {
    crash_raw(&format!("\n------ STACK TRACE ------\n\nBacktrace:\n{}\n", Backtrace::force_capture()));
    let Some(provider) = CONTEXT.get() else {
        return;
    };
    crash_raw("\n------ INFO OUTPUT ------\n");
    crash_raw(&provider(CrashSection::Info));
    crash_raw("\n------ CLIENT LIST OUTPUT ------\n");
    crash_raw(&provider(CrashSection::ClientList));
    let current = provider(CrashSection::CurrentClient);
    if !current.is_empty() {
        crash_raw("\n------ CURRENT CLIENT INFO ------\n");
        crash_raw(&current);
    }
}

fn close_report() {
    crash_raw("\n=== REDIS BUG REPORT END. Make sure to include from START to END. ===\n\n");
    if let Some(path) = SETTINGS.get().and_then(|settings| settings.pid_file.as_ref()) {
        // The process is ending: there is nowhere left to report that this failed.
        let _ = fs::remove_file(path);
    }
}
