//! The steps of starting and ending a server that tools watch for: log lines, banner, limits, pid file.
//!
//! The order of a start: [`log_starting`], go into the background, [`admit_clients`], [`write_pid_file`], the title,
//! [`log_banner`], [`check_backlog`], listen, [`log_initialized`], load the data, [`log_ready`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::clock::MONOTONIC_CLOCK_NAME;
use crate::base::logging;
use crate::base::logging::system_text;
use crate::base::sys::host::{Advice, Host};
use crate::base::sys::lock::NameInUse;
use crate::base::sys::signals::Signal;
use crate::base::sys::{process, resources};
use crate::config::Config;

/// Descriptors kept for what is not a client: listeners, files, the poll itself.
pub const RESERVED_DESCRIPTORS: u64 = 32;

/// Where the pid file goes when the server is in the background and directive `pidfile` is empty.
pub const DEFAULT_PID_FILE: &str = "/var/run/redis.pid";

/// Where the configuration came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigurationSource<'a> {
    /// Neither file nor arguments were given to this program.
    Defaults {
        /// The program as it was called.
        program: &'a str,
    },
    /// A file, arguments or both.
    Given,
}

/// Logs the lines that open every start. `version` is the Redis version that Oneloop stands for.
pub fn log_starting(version: &str, source: ConfigurationSource<'_>) {
    let own_version = env!("CARGO_PKG_VERSION");
    log::info!("oO0OoO0OoO0Oo Oneloop {own_version} is starting oO0OoO0OoO0Oo");
    log::info!(
        "Redis version={version}, bits={}, commit=00000000, modified=0, pid={}, just started",
        usize::BITS,
        std::process::id()
    );
    match source {
        ConfigurationSource::Given => log::info!("Configuration loaded"),
        ConfigurationSource::Defaults { program } => log::warn!(
            "Warning: no config file specified, using the default config. In order to specify a config file use \
             {program} /path/to/redis.conf"
        ),
    }
}

/// Makes room for `wanted` clients by raising the limit on open files; gives how many there is room for, and logs
/// what changed.
///
/// Errors: the limit leaves room for no client at all; the text says so for the log.
pub fn admit_clients(wanted: u64) -> Result<u64, String> {
    let wanted_files = wanted.saturating_add(RESERVED_DESCRIPTORS);
    let limit = resources::raise_open_files(wanted_files)
        .map_err(|error| format!("Unable to obtain the current NOFILE limit ({}).", system_text(&error)))?;
    let admitted = admitted(wanted, limit.now).ok_or_else(|| {
        format!(
            "Your current 'ulimit -n' of {} is not enough for the server to start. Please increase your open file \
             limit to at least {wanted_files}. Exiting.",
            limit.now
        )
    })?;
    if admitted < wanted {
        let reason = limit
            .refusal
            .map_or_else(|| String::from("unknown"), |number| system_text(&io::Error::from_raw_os_error(number)));
        log::warn!("You requested maxclients of {wanted} requiring at least {wanted_files} max file descriptors.");
        log::warn!("Server can't set maximum open files to {wanted_files} because of OS error: {reason}.");
        log::warn!(
            "Current maximum open files is {}. maxclients has been reduced to {admitted} to compensate for low \
             ulimit. If you need higher maxclients increase 'ulimit -n'.",
            limit.now
        );
    } else if limit.now > limit.before {
        log::info!(
            "Increased maximum number of open files to {} (it was originally set to {}).",
            limit.now,
            limit.before
        );
    }
    log::info!("monotonic clock: {MONOTONIC_CLOCK_NAME}");
    Ok(admitted)
}

fn admitted(wanted: u64, open_files: u64) -> Option<u64> {
    match open_files.saturating_sub(RESERVED_DESCRIPTORS) {
        0 => None,
        room => Some(room.min(wanted)),
    }
}

/// What the banner says, and whether it is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Banner<'a> {
    /// The Redis version that Oneloop stands for.
    pub version: &'a str,
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: &'a str,
    /// The port, or the TLS port if that is the only one.
    pub port: u16,
    /// Directive `always-show-logo`.
    pub always_draw: bool,
    /// Whether the log goes to standard output and nowhere else; the banner is then drawn on a terminal.
    pub log_is_stdout_only: bool,
}

/// Draws the banner, or logs one line in its place.
pub fn log_banner(banner: &Banner<'_>) {
    if banner.always_draw || banner.log_is_stdout_only && process::stdout_is_terminal() {
        logging::raw(&drawn(banner, std::process::id()));
    } else {
        log::info!("Running mode={}, port={}.", banner.mode, banner.port);
    }
}

/// A ring with a single arrow head: one loop. Tools look for ` PID: ` and the number.
fn drawn(banner: &Banner<'_>, process: u32) -> String {
    let Banner { version, mode, port, .. } = banner;
    format!(
        "
         .-''''''''-.
      .-'   ____     '-.
    .'    .'    '.      '.      Oneloop {} (Redis {version}) {} bit
   /     /        \\       \\
  |     |          |       |    Running in {mode} mode
  |     |          |       |    Port: {port}
   \\     \\        /       /     PID: {process}
    '.    '-.  .-'      .'
      '-.    >>      .-'
         '-........-'

",
        env!("CARGO_PKG_VERSION"),
        usize::BITS,
    )
}

/// Warns of what costs latency on this host.
pub fn log_host_advice() {
    for Advice { finding, remedy } in Host::of_process().latency() {
        log::warn!("WARNING: {finding}: {remedy}.");
    }
}

/// Warns when the kernel caps the queue of connections waiting to be accepted below `backlog`.
pub fn check_backlog(backlog: u32) {
    let Ok(text) = fs::read_to_string("/proc/sys/net/core/somaxconn") else {
        return;
    };
    if let Some(warning) = backlog_warning(backlog, &text) {
        log::warn!("{warning}");
    }
}

fn backlog_warning(backlog: u32, kernel_limit: &str) -> Option<String> {
    let limit: u32 = kernel_limit.trim().parse().ok()?;
    (limit > 0 && limit < backlog).then(|| {
        format!(
            "WARNING: The TCP backlog setting of {backlog} cannot be enforced because /proc/sys/net/core/somaxconn \
             is set to the lower value of {limit}."
        )
    })
}

/// Logs that everything but the data is in place.
pub fn log_initialized() {
    log::info!("Server initialized");
}

/// Logs that clients are served over a kind of transport: `tcp`, `tls` or `unix`. Once for each.
pub fn log_ready(kind: &str) {
    log::info!("Ready to accept connections {kind}");
}

/// Logs that a signal asked for the end, in the form that signal handlers' lines have.
pub fn log_signal(signal: Signal) {
    logging::handler_line(match signal {
        Signal::Terminate => "Received SIGTERM scheduling shutdown...",
        Signal::Interrupt => "Received SIGINT scheduling shutdown...",
    });
}

/// Logs, from within a signal handler, that a second SIGINT ends the process at once: for `Signals::install`.
pub fn log_insistence() {
    logging::handler_line("You insist... exiting now.");
}

/// Logs the last line of a server's life.
pub fn log_exit() {
    log::warn!("Oneloop is now ready to exit, bye bye...");
}

/// The pid file that a server is to have: `configured`, else the default one in the background, else none.
pub fn pid_file_path(configured: &str, in_background: bool) -> Option<PathBuf> {
    match (configured, in_background) {
        ("", false) => None,
        ("", true) => Some(PathBuf::from(DEFAULT_PID_FILE)),
        (path, _) => Some(PathBuf::from(path)),
    }
}

/// Warns if another server in this folder saves to the same file. What is given back keeps the file noted as in use.
pub fn note_dump_in_use(name: &str) -> Option<NameInUse> {
    // A file system without locks cannot tell.
    let (dump, is_used) = NameInUse::note(Path::new("."), name).ok()?;
    if is_used {
        log::warn!(
            "WARNING: another running server in this directory uses the same dbfilename '{name}': each save of one replaces the \
             other's."
        );
    }
    Some(dump)
}

/// Looks whether files can be made in the folder of the data, where the settings ask for any.
///
/// Errors: why not, and what to do.
pub fn check_data_folder(config: &Config, folder: &Path) -> Result<(), String> {
    if config.save.is_empty() && !config.appendonly && !config.cluster_enabled {
        return Ok(());
    }
    let probe = folder.join(format!("temp-{}.probe", std::process::id()));
    fs::File::create_new(&probe).and_then(|_| fs::remove_file(&probe)).map_err(|error| {
        let (folder, reason) = (logging::whole_path(folder), system_text(&error));
        format!("Can't write to the working directory {folder}: {reason}. Set dir, or keep nothing: --save '' --appendonly no")
    })
}

/// Writes this process's id to the file; a failure is logged, and the server goes on.
pub fn write_pid_file(path: &Path) {
    if let Err(error) = fs::write(path, format!("{}\n", std::process::id())) {
        let (path, reason) = (logging::whole_path(path), system_text(&error));
        log::warn!("Failed to write PID file {path}: {reason}");
    }
}

/// Removes the pid file at the end; one that is gone already is passed over.
pub fn remove_pid_file(path: &Path) {
    log::info!("Removing the pid file.");
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        let (path, reason) = (logging::whole_path(path), system_text(&error));
        log::warn!("Failed to remove PID file {path}: {reason}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BANNER: Banner<'static> =
        Banner { version: "7.2.6", mode: "standalone", port: 6379, always_draw: true, log_is_stdout_only: true };

    #[test]
    fn the_banner_names_process_port_and_mode() {
        let text = drawn(&BANNER, 4711);
        for wanted in [" PID: 4711\n", "Port: 6379\n", "Running in standalone mode\n", "7.2.6"] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
    }

    #[test]
    fn clients_are_admitted_within_the_limit() {
        assert_eq!(admitted(10_000, 10_032), Some(10_000));
        assert_eq!(admitted(10_000, 1024), Some(992));
        assert_eq!(admitted(1, 33), Some(1));
        assert_eq!(admitted(10, 32), None);
        assert_eq!(admit_clients(1), Ok(1));
    }

    #[test]
    fn a_backlog_beyond_the_kernels_is_warned_of() {
        assert_eq!(backlog_warning(511, "4096\n"), None);
        assert!(backlog_warning(511, "128\n").is_some_and(|text| text.ends_with("lower value of 128.")));
        assert_eq!(backlog_warning(511, "?"), None);
    }

    #[test]
    fn pid_file_is_written_and_removed_where_it_is_due() {
        assert_eq!(pid_file_path("", false), None);
        assert_eq!(pid_file_path("", true), Some(PathBuf::from(DEFAULT_PID_FILE)));
        let path = std::env::temp_dir().join(format!("oneloop-pid-{}", std::process::id()));
        let due = pid_file_path(path.to_str().unwrap(), false).unwrap();
        write_pid_file(&due);
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        remove_pid_file(&due);
        assert!(!path.exists());
        remove_pid_file(&due);
    }
}
