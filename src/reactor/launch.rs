//! From the command line to the running loop, and out again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::REDIS_VERSION;
use crate::base::crash;
use crate::base::crash::CrashSettings;
use crate::base::entropy::Entropy;
use crate::base::logging;
use crate::base::logging::{LogLevel, LogSettings};
use crate::base::sys::allocator;
use crate::base::sys::process;
use crate::base::sys::process::ProcessTitle;
use crate::base::tape::{self, Kind};
use crate::config::{Config, ConfigError, Named, StartInfo, system_reason};
use crate::drive::cluster;
use crate::drive::settings;
use crate::engine::enforcement;
use crate::engine::state::ServerState;
use crate::net::listener::Transport;
use crate::observe::crash_context;

use super::declared::{Declared, declared};
use super::door::Door;
use super::event_loop::EventLoop;
use super::hints;
use super::recording;
use super::startup::{self, Banner, ConfigurationSource};
use super::supervision::{Supervisor, SupervisorEnvironment};
use super::tools::{self, TOOLS, Tool};
use super::training;
use super::watching::Watcher;
use crate::base::clock::Clock;
use crate::engine::title::TitleBar;

/// What stands in the usage behind the forms of the command line.
const USAGE_REST: &str = "\
       oneloop -v | --version
       oneloop -h | --help

FILE is a configuration file in the format of redis.conf; - reads it from standard input.
Directives on the command line come after those of the file, and win.

Examples:
       oneloop                                 on port 6379, with the defaults
       oneloop /etc/oneloop.conf
       oneloop --port 7777 --databases 4
       echo 'maxclients 100' | oneloop - --loglevel verbose
";

/// What `--help` prints.
pub fn usage() -> String {
    let mut text = "Usage: oneloop [FILE | -] [--DIRECTIVE VALUE ...]\n".to_string();
    text.push_str("       oneloop --record RECORDING [FILE | -] [--DIRECTIVE VALUE ...]\n");
    for form in TOOLS.iter().flat_map(Tool::forms) {
        text.push_str(&format!("       {form}\n"));
    }
    text + USAGE_REST
}

/// Does what the command line asks for. `arguments` begins with the program's name.
pub fn main(arguments: &[OsString]) -> ExitCode {
    if let Some(exit) = tools::run(arguments) {
        return exit;
    }
    match arguments.get(1).and_then(|word| word.to_str()) {
        Some("-v" | "--version") => {
            println!("{}", version_line());
            return ExitCode::SUCCESS;
        }
        Some("-h" | "--help") => {
            print!("{}", usage());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let (arguments, recording) = match recording::begin(arguments) {
        Ok(begun) => begun,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::FAILURE;
        }
    };
    let exit = serve_as_asked(&arguments);
    // What was recorded last goes to the file.
    drop(recording);
    exit
}

fn serve_as_asked(arguments: &[OsString]) -> ExitCode {
    match Config::parse_command_line(arguments) {
        Ok((config, start)) => match declared(&config, &start) {
            Ok(declared) => serve(arguments, config, start, declared),
            Err(error) => report(&error),
        },
        Err(error) => {
            let exit = report(&error);
            if let Some(hint) = hints::for_arguments(arguments) {
                eprintln!("{hint}");
            }
            exit
        }
    }
}

/// Runs again what this thread's tape has recorded of a process with these arguments, until the tape is over or the
/// server has ended. The tape ends the run if it is left, or is over amid a turn.
///
/// Errors: why it did not start.
pub fn replay(arguments: &[OsString], watcher: Option<Box<dyn Watcher>>) -> Result<EventLoop, String> {
    let mut state = replayed_state(arguments)?;
    settings::apply_to_process(&mut state);
    let mut event_loop = EventLoop::new(state, Door::replayed())?;
    event_loop.watcher = watcher;
    event_loop.show(|watcher, state| watcher.begun(state));
    event_loop.load()?;
    event_loop.join_cluster();
    event_loop.begin_following();
    event_loop.show(|watcher, state| watcher.loaded(state));
    event_loop.run().map_err(|error| error.to_string())?;
    Ok(event_loop)
}

/// The state of a server with these arguments before it has loaded anything, of which this thread's tape says the rest.
///
/// Errors: why there is none.
pub fn replayed_state(arguments: &[OsString]) -> Result<ServerState, String> {
    let (mut config, start) = Config::parse_command_line(arguments).map_err(|error| error.to_string())?;
    let declared = declared(&config, &start).map_err(|error| error.to_string())?;
    config.maxclients = admitted_clients(&config)?;
    new_state(config, start, declared, None, &Supervisor::default())
}

fn admitted_clients(config: &Config) -> Result<u32, String> {
    let admitted = tape::pass(Kind::Process, || startup::admit_clients(config.maxclients.into()))?;
    Ok(u32::try_from(admitted).unwrap_or(u32::MAX))
}

fn report(error: &ConfigError) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

/// The line that `--version` prints: tools look for `v=` and the number.
fn version_line() -> String {
    format!(
        "Redis server v={REDIS_VERSION} sha=00000000:0 malloc=mimalloc bits={} build=oneloop-{}",
        usize::BITS,
        env!("CARGO_PKG_VERSION")
    )
}

fn serve(arguments: &[OsString], config: Config, start: StartInfo, declared: Declared) -> ExitCode {
    let program = arguments.first().map_or("oneloop".into(), |word| word.to_string_lossy());
    let process_title = if config.set_proc_title { ProcessTitle::claim() } else { None };
    let title = process_title.map(|process_title| TitleBar { process_title, program: program.to_string() });
    let supervisor = Supervisor::find(config.supervised, &SupervisorEnvironment::of_process());
    let in_background = config.daemonize && !supervisor.is_present();
    if in_background && tape::is_recording() {
        eprintln!("A server that is recorded cannot go to the background: leave out --record, or daemonize.");
        return ExitCode::FAILURE;
    }
    if let Err(error) = start_logging(&config) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let source = match (&start.config_file, arguments.len()) {
        (None, 1) => ConfigurationSource::Defaults { program: &program },
        _ => ConfigurationSource::Given,
    };
    allocator::keep_reserves();
    startup::log_starting(REDIS_VERSION, source);
    if in_background && let Err(error) = process::daemonize() {
        log::warn!("Can't go to the background: {error}");
        return ExitCode::FAILURE;
    }
    match run(config, start, declared, in_background, title, &supervisor) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::warn!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn start_logging(config: &Config) -> std::io::Result<()> {
    logging::init(&LogSettings {
        level: LogLevel::from_name(config.loglevel.name()).unwrap_or(LogLevel::Notice),
        format: config.log_format,
        timestamps: config.log_timestamp_format,
        file: config.logfile.clone().into(),
        syslog_enabled: config.syslog_enabled,
        syslog_ident: config.syslog_ident.clone(),
        syslog_facility: config.syslog_facility.name().to_string(),
    })
}

/// Says which settings promise what this version does not keep: a user should not find out by losing
/// data.
fn warn_of_what_is_missing(config: &Config) {
    let promises = [(
        "lua-enable-deprecated-api",
        config.lua_enable_deprecated_api,
        "scripts find no newproxy, getfenv and setfenv",
    )];
    for (name, is_set, truth) in promises {
        if is_set {
            log::warn!("Warning: '{name}' is set but has no effect in this version: {truth}.");
        }
    }
}

/// Builds the server and runs the loop to its end.
fn run(
    mut config: Config,
    start: StartInfo,
    declared: Declared,
    in_background: bool,
    title: Option<TitleBar>,
    supervisor: &Supervisor,
) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    config.maxclients = admitted_clients(&config)?;
    if !config.dir.is_empty() {
        std::env::set_current_dir(&config.dir)
            .map_err(|error| format!("Can't chdir to '{}': {}", config.dir, system_reason(&error)))?;
    }
    startup::check_data_folder(&config, Path::new("."))?;
    let _dump = startup::note_dump_in_use(&config.dbfilename);
    let pid_file = startup::pid_file_path(&config.pidfile, in_background);
    if let Some(path) = &pid_file {
        startup::write_pid_file(path);
    }
    crash::install(CrashSettings {
        version: REDIS_VERSION,
        enabled: config.crash_log_enabled,
        exit_on_panic: config.use_exit_on_panic,
        pid_file: pid_file.clone(),
    })
    .map_err(text)?;
    let door = Door::system(startup::log_insistence)?;
    startup::log_banner(&Banner {
        version: REDIS_VERSION,
        mode: if config.cluster_enabled { "cluster" } else { "standalone" },
        port: config.main_port(),
        always_draw: config.always_show_logo,
        log_is_stdout_only: config.logfile.is_empty() && !config.syslog_enabled,
    });
    startup::check_backlog(config.tcp_backlog);
    startup::log_host_advice();
    warn_of_what_is_missing(&config);
    let mut state = new_state(config, start, declared, pid_file, supervisor)?;
    logging::set_role(logging::Role::Primary);
    state.title = title;
    settings::apply_to_process(&mut state);
    let mut event_loop = EventLoop::new(state, door)?;
    event_loop.set_supervisor(supervisor.clone());
    if event_loop.state().config.training {
        begin_training(&mut event_loop)?;
    }
    startup::log_initialized();
    event_loop.load()?;
    event_loop.join_cluster();
    announce(event_loop.state());
    supervisor.tell_ready(event_loop.state().config.replicaof.is_some());
    event_loop.begin_following();
    let ended = event_loop.run().map_err(text);
    // The system takes all memory back at once; to free it key by key takes seconds.
    std::mem::forget(event_loop);
    ended
}

/// Has the HTTP port serve the lessons.
///
/// Errors: the text to log before giving up.
fn begin_training(event_loop: &mut EventLoop) -> Result<(), String> {
    if tape::is_recording() {
        return Err("A training instance cannot be recorded: leave out --record, or training.".to_string());
    }
    let port = event_loop.state().config.http_port;
    if port == 0 {
        return Err("A training instance shows its lessons on the HTTP port: set http-port.".to_string());
    }
    let entropy = Entropy::system().map_err(|error| error.to_string())?;
    event_loop.begin_training(training::training(&entropy)?);
    log::info!("Training instance: the lessons are at http://127.0.0.1:{port}/");
    Ok(())
}

/// The server's state as the configuration has it, without keys.
fn new_state(
    config: Config,
    start: StartInfo,
    declared: Declared,
    pid_file: Option<PathBuf>,
    supervisor: &Supervisor,
) -> Result<ServerState, String> {
    let entropy = Entropy::system().map_err(|error| error.to_string())?;
    let clock = if tape::is_on() { Clock::taped() } else { Clock::system() };
    let mut state = ServerState::new(&crate::commands::PROGRAM, config, clock, &entropy);
    state.process.config_file = start.config_file;
    state.process.executable = start.executable;
    state.process.pid_file = pid_file;
    state.process.supervised = Supervisor::NAMES[tape::pass(Kind::Process, || supervisor.number())];
    crash_context::remember_names(&declared.commands);
    crash::set_context_provider(crash_context::section);
    state.commands = declared.commands;
    state.users = declared.users;
    if !state.config.aclfile.is_empty() {
        enforcement::load_acl_file(&mut state)
            .map_err(|error| format!("Aborting Redis startup because of ACL errors: {error}"))?;
    }
    cluster::open(&mut state)?;
    Ok(state)
}

fn announce(state: &ServerState) {
    let Some(listeners) = &state.listeners else {
        return;
    };
    if listeners.count(Transport::Plain) > 0 {
        startup::log_ready(Transport::Plain.name());
    }
    if listeners.unix_path().is_some() {
        startup::log_ready("unix");
    }
    if listeners.count(Transport::Tls) > 0 {
        startup::log_ready(Transport::Tls.name());
    }
}
