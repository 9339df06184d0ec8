//! What a changed setting brings about in the running server, and how it is undone when that fails.
//!
//! Most settings are read where they matter, so that they need nothing here.

use crate::base::crash;
use crate::base::logging;
use crate::base::logging::LogLevel;
use crate::base::sys::resources;
use crate::config::{Config, Named, SetContext, SetError, system_reason};
use crate::drive::aof::rewrite;
use crate::drive::aof::switching;
use crate::engine::state::ServerState;
use crate::net::listener::{Transport, check_exposure};

/// Brings about what changed settings ask for; gets the settings of before. Errors: the reason, in Redis's words.
type Apply = fn(&mut ServerState, &Config) -> Result<(), String>;

/// Descriptors kept for what is not a client.
const RESERVED_DESCRIPTORS: u64 = 32;
const PORT_REFUSAL: &str = "Unable to listen on this port. Check server logs.";

/// The settings that need something done, with what.
static APPLIERS: &[(&str, Apply)] = &[
    ("port", |state, _| listen_anew(state, &[Transport::Plain], PORT_REFUSAL)),
    ("bind", |state, _| listen_anew(state, &Transport::OF_CLIENTS, "Failed to bind to specified addresses.")),
    ("tls-port", |state, _| {
        configure_tls(state)?;
        listen_anew(state, &[Transport::Tls], PORT_REFUSAL)
    }),
    ("http-port", |state, _| listen_to_http(state, PORT_REFUSAL)),
    ("http-bind", |state, _| listen_to_http(state, "Failed to bind to specified addresses.")),
    ("http-token", |state, _| check_exposure(&state.config)),
    ("tls-cert-file", |state, _| configure_tls(state)),
    ("tls-key-file", |state, _| configure_tls(state)),
    ("tls-key-file-pass", |state, _| configure_tls(state)),
    ("tls-dh-params-file", |state, _| configure_tls(state)),
    ("tls-ca-cert-file", |state, _| configure_tls(state)),
    ("tls-ca-cert-dir", |state, _| configure_tls(state)),
    ("tls-auth-clients", |state, _| configure_tls(state)),
    ("tls-protocols", |state, _| configure_tls(state)),
    ("tls-ciphers", |state, _| configure_tls(state)),
    ("tls-ciphersuites", |state, _| configure_tls(state)),
    ("tls-prefer-server-ciphers", |state, _| configure_tls(state)),
    ("tls-session-caching", |state, _| configure_tls(state)),
    ("tls-session-cache-size", |state, _| configure_tls(state)),
    ("tls-session-cache-timeout", |state, _| configure_tls(state)),
    ("maxclients", |state, before| make_room_for_clients(state, before)),
    ("dir", |state, _| enter_folder(state)),
    ("aof-disable-auto-gc", |state, _| {
        if !state.config.aof_disable_auto_gc {
            rewrite::remove_history(state);
        }
        Ok(())
    }),
    ("appendonly", |state, _| switch_append_only(state)),
    ("loglevel", |state, _| set_log_level(state)),
    ("crash-log-enabled", |state, _| {
        crash::set_enabled(state.config.crash_log_enabled).map_err(|error| system_reason(&error))
    }),
    ("use-exit-on-panic", |state, _| {
        crash::set_exit_on_panic(state.config.use_exit_on_panic);
        Ok(())
    }),
    ("latency-tracking", |state, _| {
        if !state.config.latency_tracking {
            state.command_stats.reset_latencies();
        }
        Ok(())
    }),
    ("proc-title-template", |state, _| {
        state.show_title();
        Ok(())
    }),
    ("requirepass", |state, _| {
        let password = &state.config.requirepass;
        state.users.set_default_password(password);
        Ok(())
    }),
    ("oom-score-adj", |state, _| adjust_oom_score(state)),
    ("oom-score-adj-values", |state, _| adjust_oom_score(state)),
    ("maxmemory", |state, _| {
        warn_of_small_limit(state);
        Ok(())
    }),
];

/// CONFIG SET: changes the settings and applies them, all or nothing.
///
/// Errors: why nothing was changed.
pub fn set(state: &mut ServerState, pairs: &[(&[u8], &[u8])], asked: SetContext) -> Result<(), SetError> {
    let before = state.config.clone();
    let changed = state.config.set(pairs, asked)?;
    state.apply_config();
    for (index, directive) in changed.iter().enumerate() {
        let Err(reason) = apply(state, directive.name, &before) else {
            continue;
        };
        log::warn!(
            "Failed applying new configuration. Possibly related to new {} setting. Restoring previous settings.",
            directive.name
        );
        let failed = std::mem::replace(&mut state.config, before);
        state.apply_config();
        for undone in &changed[..index] {
            if let Err(reason) = apply(state, undone.name, &failed) {
                log::warn!("Failed restoring the {} setting: {reason}", undone.name);
            }
        }
        return Err(SetError::refused(directive.name, reason));
    }
    Ok(())
}

fn apply(state: &mut ServerState, name: &str, before: &Config) -> Result<(), String> {
    match APPLIERS.iter().find(|(known, _)| *known == name) {
        Some((_, apply)) => apply(state, before),
        None => Ok(()),
    }
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
    })
}

fn make_room_for_clients(state: &mut ServerState, before: &Config) -> Result<(), String> {
    let wanted = state.config.maxclients;
    if wanted <= before.maxclients {
        return Ok(());
    }
    let limit =
        resources::raise_open_files(u64::from(wanted) + RESERVED_DESCRIPTORS).map_err(|error| system_reason(&error))?;
    let room = limit.now.saturating_sub(RESERVED_DESCRIPTORS);
    if room < u64::from(wanted) {
        return Err(format!(
            "The operating system is not able to handle the specified number of clients, try with {room}"
        ));
    }
    Ok(())
}

fn adjust_oom_score(state: &mut ServerState) -> Result<(), String> {
    state.adjust_oom_score().map_err(|error| {
        log::warn!("Unable to write oom_score_adj: {}", system_reason(&error));
        "Failed to set current oom_score_adj. Check server logs.".to_string()
    })
}

fn enter_folder(state: &ServerState) -> Result<(), String> {
    std::env::set_current_dir(&state.config.dir).map_err(|error| system_reason(&error))
}

fn switch_append_only(state: &mut ServerState) -> Result<(), String> {
    if !state.config.appendonly {
        switching::turn_off_append_only(state);
        return Ok(());
    }
    switching::turn_on_append_only(state)
}

fn set_log_level(state: &ServerState) -> Result<(), String> {
    let name = state.config.loglevel.name();
    logging::set_level(LogLevel::from_name(name).unwrap_or(LogLevel::Notice));
    Ok(())
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
