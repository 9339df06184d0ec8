//! What a changed setting brings about in the running server, and how it is undone when that fails.
//!
//! Most settings are read where they matter, so that they need nothing here.

use crate::config::{Config, Named, SetContext, SetError, system_reason};
use crate::crash;
use crate::instance::{Instance, LoopRequest};
use crate::logging::{self, LogLevel};
use crate::net::listener::Transport;
use crate::sys::resources;

/// Brings about what changed settings ask for; gets the settings of before. Errors: the reason, in Redis's words.
type Apply = fn(&mut Instance, &Config) -> Result<(), String>;

/// Descriptors kept for what is not a client.
const RESERVED_DESCRIPTORS: u64 = 32;
const PORT_REFUSAL: &str = "Unable to listen on this port. Check server logs.";

/// The settings that need something done, with what.
static APPLIERS: &[(&str, Apply)] = &[
    ("port", |instance, _| {
        listen_anew(instance, &[Transport::Plain], PORT_REFUSAL)
    }),
    ("bind", |instance, _| {
        listen_anew(
            instance,
            &Transport::OF_CLIENTS,
            "Failed to bind to specified addresses.",
        )
    }),
    ("tls-port", |instance, _| {
        configure_tls(instance)?;
        listen_anew(instance, &[Transport::Tls], PORT_REFUSAL)
    }),
    ("metrics-port", |instance, _| {
        listen_anew(instance, &[Transport::Metrics], PORT_REFUSAL)
    }),
    ("metrics-bind", |instance, _| {
        listen_anew(
            instance,
            &[Transport::Metrics],
            "Failed to bind to specified addresses.",
        )
    }),
    ("tls-cert-file", |instance, _| configure_tls(instance)),
    ("tls-key-file", |instance, _| configure_tls(instance)),
    ("tls-key-file-pass", |instance, _| configure_tls(instance)),
    ("tls-dh-params-file", |instance, _| configure_tls(instance)),
    ("tls-ca-cert-file", |instance, _| configure_tls(instance)),
    ("tls-ca-cert-dir", |instance, _| configure_tls(instance)),
    ("tls-auth-clients", |instance, _| configure_tls(instance)),
    ("tls-protocols", |instance, _| configure_tls(instance)),
    ("tls-ciphers", |instance, _| configure_tls(instance)),
    ("tls-ciphersuites", |instance, _| configure_tls(instance)),
    ("tls-prefer-server-ciphers", |instance, _| {
        configure_tls(instance)
    }),
    ("tls-session-caching", |instance, _| configure_tls(instance)),
    ("tls-session-cache-size", |instance, _| {
        configure_tls(instance)
    }),
    ("tls-session-cache-timeout", |instance, _| {
        configure_tls(instance)
    }),
    ("maxclients", |instance, before| {
        make_room_for_clients(instance, before)
    }),
    ("dir", |instance, _| enter_folder(instance)),
    ("aof-disable-auto-gc", |instance, _| {
        if !instance.config.aof_disable_auto_gc {
            instance.remove_history();
        }
        Ok(())
    }),
    ("appendonly", |instance, _| switch_append_only(instance)),
    ("loglevel", |instance, _| set_log_level(instance)),
    ("crash-log-enabled", |instance, _| {
        crash::set_enabled(instance.config.crash_log_enabled).map_err(|error| system_reason(&error))
    }),
    ("use-exit-on-panic", |instance, _| {
        crash::set_exit_on_panic(instance.config.use_exit_on_panic);
        Ok(())
    }),
    ("latency-tracking", |instance, _| {
        if !instance.config.latency_tracking {
            instance.command_stats.reset_latencies();
        }
        Ok(())
    }),
    ("proc-title-template", |instance, _| {
        instance.requests.push(LoopRequest::ShowTitle);
        Ok(())
    }),
    ("requirepass", |instance, _| {
        let password = &instance.config.requirepass;
        instance.users.set_default_password(password);
        Ok(())
    }),
    ("oom-score-adj", |instance, _| adjust_oom_score(instance)),
    ("oom-score-adj-values", |instance, _| {
        adjust_oom_score(instance)
    }),
    ("maxmemory", |instance, _| {
        warn_of_small_limit(instance);
        Ok(())
    }),
];

/// CONFIG SET: changes the settings and applies them, all or nothing.
///
/// Errors: why nothing was changed.
pub fn set(
    instance: &mut Instance,
    pairs: &[(&[u8], &[u8])],
    asked: SetContext,
) -> Result<(), SetError> {
    let before = instance.config.clone();
    let changed = instance.config.set(pairs, asked)?;
    instance.apply_config();
    for (index, directive) in changed.iter().enumerate() {
        let Err(reason) = apply(instance, directive.name, &before) else {
            continue;
        };
        log::warn!(
            "Failed applying new configuration. Possibly related to new {} setting. Restoring previous settings.",
            directive.name
        );
        let failed = std::mem::replace(&mut instance.config, before);
        instance.apply_config();
        for undone in &changed[..index] {
            if let Err(reason) = apply(instance, undone.name, &failed) {
                log::warn!("Failed restoring the {} setting: {reason}", undone.name);
            }
        }
        return Err(SetError::refused(directive.name, reason));
    }
    Ok(())
}

fn apply(instance: &mut Instance, name: &str, before: &Config) -> Result<(), String> {
    match APPLIERS.iter().find(|(known, _)| *known == name) {
        Some((_, apply)) => apply(instance, before),
        None => Ok(()),
    }
}

fn listen_anew(
    instance: &mut Instance,
    transports: &[Transport],
    refusal: &str,
) -> Result<(), String> {
    let Some(listeners) = &mut instance.listeners else {
        return Ok(());
    };
    listeners
        .rebind(&instance.config, transports)
        .map_err(|reason| {
            log::warn!("{reason}");
            refusal.to_string()
        })
}

/// Reads certificates, keys and all else of TLS anew, for the connections to come.
fn configure_tls(instance: &mut Instance) -> Result<(), String> {
    let Some(listeners) = &mut instance.listeners else {
        return Ok(());
    };
    listeners.configure_tls(&instance.config).map_err(|reason| {
        log::warn!("{reason}");
        "Unable to update TLS configuration. Check server logs.".to_string()
    })
}

fn make_room_for_clients(instance: &mut Instance, before: &Config) -> Result<(), String> {
    let wanted = instance.config.maxclients;
    if wanted <= before.maxclients {
        return Ok(());
    }
    let limit = resources::raise_open_files(u64::from(wanted) + RESERVED_DESCRIPTORS)
        .map_err(|error| system_reason(&error))?;
    let room = limit.now.saturating_sub(RESERVED_DESCRIPTORS);
    if room < u64::from(wanted) {
        return Err(format!(
            "The operating system is not able to handle the specified number of clients, try with {room}"
        ));
    }
    Ok(())
}

fn adjust_oom_score(instance: &mut Instance) -> Result<(), String> {
    instance.adjust_oom_score().map_err(|error| {
        log::warn!("Unable to write oom_score_adj: {}", system_reason(&error));
        "Failed to apply new oom_score_adj configuration, check server logs.".to_string()
    })
}

fn enter_folder(instance: &Instance) -> Result<(), String> {
    std::env::set_current_dir(&instance.config.dir).map_err(|error| system_reason(&error))
}

fn switch_append_only(instance: &mut Instance) -> Result<(), String> {
    if !instance.config.appendonly {
        instance.turn_off_append_only();
        return Ok(());
    }
    instance.turn_on_append_only()
}

fn set_log_level(instance: &Instance) -> Result<(), String> {
    let name = instance.config.loglevel.name();
    logging::set_level(LogLevel::from_name(name).unwrap_or(LogLevel::Notice));
    Ok(())
}

fn warn_of_small_limit(instance: &Instance) {
    let limit = instance.config.maxmemory;
    let used = instance.used_memory() as u64;
    if limit > 0 && limit < used {
        log::warn!(
            "WARNING: maxmemory was set to {limit} bytes, which is less than the {used} bytes in use. Keys will be \
             evicted or writes refused, as maxmemory-policy says."
        );
    }
}
