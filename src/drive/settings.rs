//! Applying settings: what their directives' effects do to the server, at the start and by CONFIG SET, and how a change
//! is undone that fails. Never knows a directive by name.

use crate::base::crash;
use crate::base::logging;
use crate::base::logging::LogLevel;
use crate::base::tape::{self, Kind};
use crate::config::{
    Config, Directive, Effect, MaxmemoryPolicy, Named, SetContext, SetError, Stage, directives, system_reason,
};
use crate::drive::aof::rewrite;
use crate::drive::aof::switching;
use crate::drive::cluster;
use crate::drive::replication::primary;
use crate::engine::state::ServerState;
use crate::keyspace::{EventClass, Kept};
use crate::net::listener::{Transport, check_exposure};

/// Descriptors kept for what is not a client.
const RESERVED_DESCRIPTORS: u64 = 32;
const PORT_REFUSAL: &str = "Unable to listen on this port. Check server logs.";
const EMBEDDED_REFUSAL: &str = "It would change the process, which this server shares with the program it is part of.";
const BIND_REFUSAL: &str = "Failed to bind to specified addresses.";

/// Brings about what one effect stands for, from the settings as they are now; `before` are those of before.
///
/// Errors: the reason, in Redis's words.
fn apply(state: &mut ServerState, effect: Effect, before: &Config) -> Result<(), String> {
    let config = &state.config;
    match effect {
        Effect::LogSecrecy => logging::set_user_data_hidden(config.hide_user_data_from_log),
        Effect::AppendOnlySettings => state.aof.configure(config),
        Effect::DeletionForm => {
            let propagation = &mut state.keyspace.changes.propagation;
            propagation.set_lazy(config.lazyfree_lazy_expire, config.lazyfree_lazy_server_del);
        }
        Effect::SlowThreshold => state.update_slow_threshold(),
        Effect::SlotStats => state.update_slot_stats(),
        Effect::ImportMode => configure_import_mode(state),
        Effect::CommandLogs => configure_command_logs(state),
        Effect::LoopRecorder => state.recorder.set_size(config.loop_recorder_size, config.database_count()),
        Effect::KeyspaceEvents => {
            let classes = EventClass::logged(config.notify_keyspace_events);
            state.keyspace.changes.set_event_classes(classes);
        }
        Effect::Eviction => configure_eviction(state),
        Effect::OutputLimits => {
            let limit = config.client_output_buffer_limit.normal;
            state.output_limited = limit.hard_bytes > 0 || limit.soft_bytes > 0;
        }
        Effect::MemoryLimit => state.configure_memory(),
        Effect::ClientMemoryLimit => {
            let limit_bytes = config.maxmemory_clients.bytes(config.maxmemory);
            state.clients.set_memory_limit(usize::try_from(limit_bytes).unwrap_or(usize::MAX));
        }
        Effect::WriteRestrictions => state.update_restrictions(),
        Effect::SourceAddress => state.outbounds.set_source(&config.bind_source_addr),
        Effect::Backlog => primary::resize_backlog(state),
        Effect::DefaultPassword => state.users.set_default_password(&config.requirepass),
        Effect::LogLevel => {
            logging::set_level(LogLevel::from_name(config.loglevel.name()).unwrap_or(LogLevel::Notice));
        }
        Effect::CrashReports => return configure_crash_reports(config),
        Effect::LogFormat => logging::set_format(config.log_format, config.log_timestamp_format),
        Effect::OomScore => return adjust_oom_score(state),
        Effect::ProcessTitle => state.show_title(),
        Effect::ListenPlain => return listen_anew(state, &[Transport::Plain], PORT_REFUSAL),
        Effect::ListenForClients => return listen_anew(state, &Transport::OF_CLIENTS, BIND_REFUSAL),
        Effect::ListenTls => return listen_anew(state, &[Transport::Tls], PORT_REFUSAL),
        Effect::ListenHttp => return listen_to_http(state, PORT_REFUSAL),
        Effect::BindHttp => return listen_to_http(state, BIND_REFUSAL),
        Effect::HttpGuard => return check_exposure(config),
        Effect::HttpTls if !config.http_tls && !before.http_tls => {}
        Effect::HttpTls | Effect::Tls => return configure_tls(state),
        Effect::OpenFiles => return make_room_for_clients(state, before),
        Effect::WorkingFolder => return enter_folder(state),
        Effect::AppendOnly => return switch_append_only(state),
        Effect::AppendOnlyHistory if !config.aof_disable_auto_gc => rewrite::remove_history(state),
        Effect::CommandLatencies if !config.latency_tracking => state.command_stats.reset_latencies(),
        Effect::AppendOnlyHistory | Effect::CommandLatencies => {}
        Effect::SmallLimitWarning => warn_of_small_limit(state),
        Effect::ClusterMember => cluster::configure(state),
    }
    Ok(())
}

/// Brings about what the settings ask of a state that has just been made.
pub fn apply_to_state(state: &mut ServerState) {
    apply_stage(state, Stage::State);
}

/// Brings about what the settings ask of the process. Where the system refuses, the log says so.
pub fn apply_to_process(state: &mut ServerState) {
    apply_stage(state, Stage::Process);
}

/// CONFIG SET: changes the settings and applies them, all or nothing.
///
/// Errors: why nothing was changed.
pub fn set(state: &mut ServerState, pairs: &[(&[u8], &[u8])], asked: SetContext) -> Result<(), SetError> {
    let before = state.config.clone();
    let changed = state.config.set(pairs, asked)?;
    if let Some(directive) = changed.iter().find(|directive| state.process.is_embedded && directive.is_of_process()) {
        state.config = before;
        return Err(SetError::refused(directive.name, EMBEDDED_REFUSAL));
    }
    let (first, then) = steps(&changed);
    apply_all(state, &first, &before);
    for (index, (effect, directive)) in then.iter().enumerate() {
        let Err(reason) = apply(state, *effect, &before) else {
            continue;
        };
        log::warn!(
            "Failed applying new configuration. Possibly related to new {} setting. Restoring previous settings.",
            directive.name
        );
        let failed = std::mem::replace(&mut state.config, before);
        apply_all(state, &first, &failed);
        // What another effect of the same directive did is undone with it.
        apply_all(state, &then[..index], &failed);
        return Err(SetError::refused(directive.name, reason));
    }
    Ok(())
}

/// An effect to bring about, with the directive to blame if that fails.
type Step = (Effect, &'static Directive);

/// The effects of these directives, each once: those on the state, and the others.
fn steps<'d>(directives: impl IntoIterator<Item = &'d &'static Directive>) -> (Vec<Step>, Vec<Step>) {
    let mut steps: Vec<Step> = Vec::new();
    for directive in directives {
        for effect in directive.effects {
            if !steps.iter().any(|(known, _)| known == effect) {
                steps.push((*effect, directive));
            }
        }
    }
    steps.into_iter().partition(|(effect, _)| effect.stage() == Stage::State)
}

fn apply_stage(state: &mut ServerState, stage: Stage) {
    let all: Vec<&'static Directive> = directives().collect();
    let (first, then) = steps(&all);
    let due: Vec<Step> = first.into_iter().chain(then).filter(|(effect, _)| effect.stage() == stage).collect();
    let config = state.config.clone();
    apply_all(state, &due, &config);
}

fn apply_all(state: &mut ServerState, steps: &[Step], before: &Config) {
    for (effect, directive) in steps {
        if let Err(reason) = apply(state, *effect, before) {
            log::warn!("Failed to apply the {} setting: {reason}", directive.name);
        }
    }
}

fn configure_crash_reports(config: &Config) -> Result<(), String> {
    crash::set_exit_on_panic(config.use_exit_on_panic);
    let enabled = tape::pass(Kind::Process, || crash::set_enabled(config.crash_log_enabled));
    enabled.map_err(|error| system_reason(&error))
}

fn configure_import_mode(state: &mut ServerState) {
    state.update_expiry_mode();
    state.update_restrictions();
}

fn configure_command_logs(state: &mut ServerState) {
    let (config, logs) = (&state.config, &mut state.command_logs);
    logs.slow.capacity = config.slowlog_max_len as usize;
    logs.large_requests.capacity = config.commandlog_large_request_max_len as usize;
    logs.large_replies.capacity = config.commandlog_large_reply_max_len as usize;
    logs.request_bytes_min = u64::try_from(config.commandlog_request_larger_than).unwrap_or(u64::MAX);
    logs.reply_bytes_min = u64::try_from(config.commandlog_reply_larger_than).unwrap_or(u64::MAX);
}

fn configure_eviction(state: &mut ServerState) {
    let config = &state.config;
    let access = &mut state.keyspace.access;
    access.kept = match config.maxmemory_policy {
        policy if policy.is_lfu() => Kept::Frequency,
        policy if policy.is_lrm() => Kept::LastChange,
        _ => Kept::LastUse,
    };
    access.log_factor = config.lfu_log_factor;
    access.decay_minutes = config.lfu_decay_time;
    let policy = if config.import_mode { MaxmemoryPolicy::Noeviction } else { config.maxmemory_policy };
    state.keyspace.set_eviction(policy, config.maxmemory_samples as usize);
}

fn listen_anew(state: &mut ServerState, transports: &[Transport], refusal: &str) -> Result<(), String> {
    let Some(listeners) = &mut state.listeners else {
        return Ok(());
    };
    listeners.rebind(&state.config, transports).map_err(|reason| {
        log::warn!("{reason}");
        refusal.to_string()
    })
}

fn listen_to_http(state: &mut ServerState, refusal: &str) -> Result<(), String> {
    check_exposure(&state.config)?;
    listen_anew(state, &[Transport::Http], refusal)
}

/// Reads certificates, keys and all else of TLS anew, for the connections to come.
fn configure_tls(state: &mut ServerState) -> Result<(), String> {
    let Some(listeners) = &mut state.listeners else {
        return Ok(());
    };
    listeners.configure_tls(&state.config).map_err(|reason| {
        log::warn!("{reason}");
        "Unable to update TLS configuration. Check server logs.".to_string()
    })?;
    cluster::configure(state);
    Ok(())
}

fn make_room_for_clients(state: &mut ServerState, before: &Config) -> Result<(), String> {
    let wanted = state.config.maxclients;
    // Descriptors are limited for the process as a whole.
    if wanted <= before.maxclients || state.process.is_embedded {
        return Ok(());
    }
    let limit = state
        .machine
        .raise_open_files(u64::from(wanted) + RESERVED_DESCRIPTORS)
        .map_err(|error| system_reason(&error))?;
    let room = limit.now.saturating_sub(RESERVED_DESCRIPTORS);
    if room < u64::from(wanted) {
        return Err(format!(
            "The operating system is not able to handle the specified number of clients, try with {room}"
        ));
    }
    Ok(())
}

fn adjust_oom_score(state: &mut ServerState) -> Result<(), String> {
    tape::pass(Kind::Process, || state.adjust_oom_score()).map_err(|error| {
        log::warn!("Unable to write oom_score_adj: {}", system_reason(&error));
        "Failed to set current oom_score_adj. Check server logs.".to_string()
    })
}

fn enter_folder(state: &ServerState) -> Result<(), String> {
    let entered = tape::pass(Kind::Process, || std::env::set_current_dir(&state.config.dir));
    entered.map_err(|error| system_reason(&error))
}

fn switch_append_only(state: &mut ServerState) -> Result<(), String> {
    if !state.config.appendonly {
        switching::turn_off_append_only(state);
        return Ok(());
    }
    switching::turn_on_append_only(state)
}

fn warn_of_small_limit(state: &ServerState) {
    let limit = state.config.maxmemory;
    let used = state.used_memory() as u64;
    if limit > 0 && limit < used {
        log::warn!(
            "WARNING: maxmemory was set to {limit} bytes, which is less than the {used} bytes in use. Keys will be \
             evicted or writes refused, as maxmemory-policy says."
        );
    }
}
