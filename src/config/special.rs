//! The directives whose values have a syntax of their own. One module each, with three functions: `read` shows the
//! value, `write` parses it, `lines` gives the lines for CONFIG REWRITE.

use super::directive::{Directive, RewriteLine};
use super::fields::Config;
use super::parse;
use crate::base::tape::{self, Kind};
use crate::text::quoting::quote;

const WRONG_NUMBER: &str = "wrong number of arguments";

/// The usual single line: name and value.
fn line(directive: &Directive, value: &str, is_forced: bool) -> Vec<RewriteLine> {
    vec![RewriteLine { text: format!("{} {value}", directive.name), is_forced }]
}

/// A word as a file must hold it: quoted if it would not be read back otherwise. A line end in a host name, say, must
/// not make a line of its own.
fn file_word(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    if !word.is_empty() && word.bytes().all(is_plain) { word.to_owned() } else { quote(word.as_bytes()) }
}

/// Whether the value differs from the default.
fn is_changed(config: &Config, directive: &Directive) -> bool {
    directive.value(config) != directive.default.as_bytes()
}

/// Joins shown items by blanks.
fn join<Item: ToString>(items: impl IntoIterator<Item = Item>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(" ")
}

/// `bind`: addresses.
pub(super) mod bind {
    use super::*;

    pub fn read(config: &Config) -> String {
        config.bind.join(" ")
    }

    pub fn write(config: &mut Config, arguments: &[&[u8]]) -> Result<(), String> {
        config.bind = addresses(arguments)?;
        Ok(())
    }

    pub fn lines(config: &Config, directive: &'static Directive) -> Vec<RewriteLine> {
        address_lines(&config.bind, config, directive)
    }
}

/// `http-bind`: addresses.
pub(super) mod http_bind {
    use super::*;

    pub fn read(config: &Config) -> String {
        config.http_bind.join(" ")
    }

    pub fn write(config: &mut Config, arguments: &[&[u8]]) -> Result<(), String> {
        config.http_bind = addresses(arguments)?;
        Ok(())
    }

    pub fn lines(config: &Config, directive: &'static Directive) -> Vec<RewriteLine> {
        address_lines(&config.http_bind, config, directive)
    }
}

const MOST_ADDRESSES: usize = 16;

/// Addresses to listen on, one an argument; none for a lone empty one.
fn addresses(arguments: &[&[u8]]) -> Result<Vec<String>, String> {
    if arguments.len() > MOST_ADDRESSES {
        return Err("Too many bind addresses specified.".into());
    }
    match arguments {
        [b""] => Ok(Vec::new()),
        _ => Ok(arguments.iter().map(|address| parse::text(address)).collect::<Result<_, _>>()?),
    }
}

fn address_lines(addresses: &[String], config: &Config, directive: &'static Directive) -> Vec<RewriteLine> {
    if addresses.is_empty() {
        line(directive, "\"\"", true)
    } else if is_changed(config, directive) {
        let words = addresses.iter().map(|address| file_word(address));
        line(directive, &join(words), true)
    } else {
        Vec::new()
    }
}

/// `dir`: a folder, kept as an absolute path.
pub(super) mod dir {
    use super::*;
    use std::io;
    use std::path::PathBuf;

    fn current(config: &Config) -> io::Result<PathBuf> {
        if !config.dir.is_empty() {
            return Ok(PathBuf::from(&config.dir));
        }
        let current =
            tape::pass(Kind::Process, || std::env::current_dir().map(|path| path.to_string_lossy().into_owned()));
        current.map(PathBuf::from)
    }

    pub fn read(config: &Config) -> String {
        current(config).map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// A relative folder is taken from the one set before, as if that had been entered.
    pub fn write(config: &mut Config, arguments: &[&[u8]]) -> Result<(), String> {
        let [argument] = arguments else {
            return Err(WRONG_NUMBER.into());
        };
        let argument = parse::text(argument)?;
        if config.dir.is_empty() && argument == "./" {
            return Ok(());
        }
        let absolute = resolve(&argument, config).map_err(|error| parse::system_reason(&error))?;
        config.dir = parse::text(absolute.as_os_str().as_encoded_bytes())?;
        Ok(())
    }

    fn resolve(argument: &str, config: &Config) -> io::Result<PathBuf> {
        if argument.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let path = current(config)?.join(argument);
        let resolved = tape::pass(Kind::Process, || {
            let path = path.canonicalize()?;
            // Looking at "." inside fails, with the system's reason, if it is no folder or may not be entered.
            std::fs::metadata(path.join("."))?;
            Ok::<_, io::Error>(path.to_string_lossy().into_owned())
        });
        resolved.map(PathBuf::from)
    }

    pub fn lines(config: &Config, directive: &'static Directive) -> Vec<RewriteLine> {
        line(directive, &quote(read(config).as_bytes()), true)
    }
}

/// `save`: pairs of seconds and changes.
pub(super) mod save {
    use super::*;
    use crate::config::SavePoint;

    pub fn read(config: &Config) -> String {
        join(config.save.iter().map(|point| format!("{} {}", point.seconds, point.changes)))
    }

    pub fn write(config: &mut Config, arguments: &[&[u8]]) -> Result<(), String> {
        let arguments = if let [b""] = arguments { &[] } else { arguments };
        config.save = point_list(arguments).ok_or("Invalid save parameters")?;
        Ok(())
    }

    fn point_list(arguments: &[&[u8]]) -> Option<Vec<SavePoint>> {
        if !arguments.len().is_multiple_of(2) {
            return None;
        }
        arguments
            .chunks_exact(2)
            .map(|pair| {
                let seconds = u64::try_from(parse::lenient_number(pair[0])?).ok().filter(|seconds| *seconds > 0)?;
                let changes = u64::try_from(parse::lenient_number(pair[1])?).ok()?;
                Some(SavePoint { seconds, changes })
            })
            .collect()
    }

    pub fn lines(config: &Config, directive: &'static Directive) -> Vec<RewriteLine> {
        if config.save.is_empty() {
            return line(directive, "\"\"", true);
        }
        config
            .save
            .iter()
            .flat_map(|point| line(directive, &format!("{} {}", point.seconds, point.changes), true))
            .collect()
    }
}

/// `client-output-buffer-limit`: class, hard limit, soft limit and seconds, repeated.
pub(super) mod client_output_buffer_limit {
    use super::*;
    use crate::config::{OutputBufferLimit, OutputBufferLimits};
    use crate::text::memory_size;

    pub fn read(config: &Config) -> String {
        join(
            limits(config).into_iter().map(|(class, limit)| {
                format!("{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)
            }),
        )
    }

    fn limits(config: &Config) -> [(&'static str, OutputBufferLimit); 3] {
        let OutputBufferLimits { normal, replica, pubsub } = config.client_output_buffer_limit;
        [("normal", normal), ("slave", replica), ("pubsub", pubsub)]
    }

    pub fn write(config: &mut Config, arguments: &[&[u8]]) -> Result<(), String> {
        if !arguments.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.".into());
        }
        for group in arguments.chunks_exact(4) {
            let limits = &mut config.client_output_buffer_limit;
            let place = match group[0].to_ascii_lowercase().as_slice() {
                b"normal" => &mut limits.normal,
                b"slave" | b"replica" => &mut limits.replica,
                b"pubsub" => &mut limits.pubsub,
                _ => {
                    return Err("Invalid client class specified in buffer limit configuration.".into());
                }
            };
            *place = limit(&group[1..])
                .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
        }
        Ok(())
    }

    fn limit(arguments: &[&[u8]]) -> Option<OutputBufferLimit> {
        Some(OutputBufferLimit {
            hard_bytes: memory_size::parse(arguments[0])?,
            soft_bytes: memory_size::parse(arguments[1])?,
            soft_seconds: u64::try_from(parse::lenient_number(arguments[2])?).ok()?,
        })
    }

    pub fn lines(config: &Config, directive: &'static Directive) -> Vec<RewriteLine> {
        let defaults = limits(&Config::default());
        limits(config)
            .into_iter()
            .zip(defaults)
            .flat_map(|((class, limit), (_, default))| {
                let class = if class == "slave" { "replica" } else { class };
                let hard = memory_size::format(limit.hard_bytes);
                let soft = memory_size::format(limit.soft_bytes);
                line(directive, &format!("{class} {hard} {soft} {}", limit.soft_seconds), limit != default)
            })
            .collect()
    }
}

/// `oom-score-adj-values`: three scores.
pub(super) mod oom_score_adj_values {
    use super::*;

    pub fn read(config: &Config) -> String {
        join(config.oom_score_adj_values)
    }

    pub fn write(config: &mut Config, arguments: &[&[u8]]) -> Result<(), String> {
        let [primary, replica, child] = arguments else {
            return Err(WRONG_NUMBER.into());
        };
        for (place, argument) in config.oom_score_adj_values.iter_mut().zip([primary, replica, child]) {
            *place = parse::lenient_number(argument)
                .filter(|score| (-2000..=2000).contains(score))
                .ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")?
                as i32;
        }
        Ok(())
    }

    pub fn lines(config: &Config, directive: &'static Directive) -> Vec<RewriteLine> {
        line(directive, &read(config), is_changed(config, directive))
    }
}

/// `notify-keyspace-events`: letters.
pub(super) mod notify_keyspace_events {
    use super::*;
    use crate::config::{EventClass, KeyspaceEvents};

    pub fn read(config: &Config) -> String {
        config.notify_keyspace_events.to_string()
    }

    pub fn write(config: &mut Config, arguments: &[&[u8]]) -> Result<(), String> {
        let [letters] = arguments else {
            return Err(WRONG_NUMBER.into());
        };
        config.notify_keyspace_events =
            KeyspaceEvents::parse(letters).ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
        Ok(())
    }

    pub fn lines(config: &Config, directive: &'static Directive) -> Vec<RewriteLine> {
        let events = config.notify_keyspace_events;
        let mut letters = read(config);
        // CONFIG GET does not show `n` beside `A`, as in Redis; a file that is loaded again must keep it.
        if events.contains(EventClass::New) && !letters.contains('n') {
            letters.push('n');
        }
        line(directive, &quote(letters.as_bytes()), !events.is_empty())
    }
}

/// `replicaof`: host and port, or `no one`.
pub(super) mod replicaof {
    use super::*;
    use crate::config::PrimaryAddress;

    pub fn read(config: &Config) -> String {
        config.replicaof.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    pub fn write(config: &mut Config, arguments: &[&[u8]]) -> Result<(), String> {
        config.replicaof = match arguments {
            [] => None,
            [host, port] if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") => None,
            [host, port] => {
                let port = parse::lenient_number(port).and_then(|port| u16::try_from(port).ok());
                Some(PrimaryAddress { host: parse::text(host)?, port: port.ok_or("Invalid master port")? })
            }
            _ => return Err(WRONG_NUMBER.into()),
        };
        Ok(())
    }

    /// A cluster node keeps its primary in the node file instead.
    pub fn lines(config: &Config, directive: &'static Directive) -> Vec<RewriteLine> {
        match &config.replicaof {
            Some(primary) if !config.cluster_enabled => {
                line(directive, &format!("{} {}", file_word(&primary.host), primary.port), true)
            }
            _ => Vec::new(),
        }
    }
}

/// `repl-diskless-sync-delay`: seconds, and whether anybody has set them.
pub(super) mod repl_diskless_sync_delay {
    use super::*;
    use crate::config::SyncDelay;
    use crate::config::notation::Notation;

    pub fn read(config: &Config) -> String {
        config.repl_diskless_sync_delay.seconds().to_string()
    }

    pub fn write(config: &mut Config, arguments: &[&[u8]]) -> Result<(), String> {
        let [argument] = arguments else {
            return Err(WRONG_NUMBER.into());
        };
        let seconds = parse::integer(Notation::Decimal, 0, i32::MAX.into(), argument)?;
        config.repl_diskless_sync_delay = match config.repl_diskless_sync_delay {
            // The first value is the default.
            SyncDelay::Blank => SyncDelay::Implied(seconds as u32),
            SyncDelay::Implied(_) | SyncDelay::Asked(_) => SyncDelay::Asked(seconds as u32),
        };
        Ok(())
    }

    pub fn lines(config: &Config, directive: &'static Directive) -> Vec<RewriteLine> {
        line(directive, &read(config), matches!(config.repl_diskless_sync_delay, SyncDelay::Asked(_)))
    }
}

/// `latency-tracking-info-percentiles`: numbers of 0 to 100.
pub(super) mod latency_tracking_info_percentiles {
    use super::*;

    pub fn read(config: &Config) -> String {
        join(config.latency_tracking_info_percentiles.iter().map(|percentile| shown(*percentile)))
    }

    /// Up to six digits after the point, without trailing zeros.
    fn shown(percentile: f64) -> String {
        format!("{percentile:.6}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    pub fn write(config: &mut Config, arguments: &[&[u8]]) -> Result<(), String> {
        let arguments = if let [b""] = arguments { &[] } else { arguments };
        config.latency_tracking_info_percentiles =
            arguments.iter().copied().map(percentile).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn percentile(argument: &[u8]) -> Result<f64, String> {
        let number: Option<f64> = std::str::from_utf8(argument).ok().and_then(|text| text.parse().ok());
        let number = number.filter(|number| !number.is_nan());
        let number = number.ok_or("Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&number) {
            return Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into());
        }
        Ok(number)
    }

    pub fn lines(config: &Config, directive: &'static Directive) -> Vec<RewriteLine> {
        let value = if config.latency_tracking_info_percentiles.is_empty() { "\"\"".into() } else { read(config) };
        line(directive, &value, true)
    }
}

/// `maxmemory-clients`: an amount of memory or a percentage of `maxmemory`.
pub(super) mod maxmemory_clients {
    use super::*;
    use crate::config::ClientMemoryLimit;
    use crate::config::notation::Notation;
    use crate::text::memory_size;

    pub fn read(config: &Config) -> String {
        match config.maxmemory_clients {
            ClientMemoryLimit::Bytes(bytes) => bytes.to_string(),
            ClientMemoryLimit::Percent(percent) => format!("{percent}%"),
        }
    }

    pub fn write(config: &mut Config, arguments: &[&[u8]]) -> Result<(), String> {
        let [argument] = arguments else {
            return Err(WRONG_NUMBER.into());
        };
        config.maxmemory_clients = match argument.strip_suffix(b"%").and_then(parse::strict_decimal) {
            Some(0) => ClientMemoryLimit::Bytes(0),
            Some(percent @ 1..=100) => ClientMemoryLimit::Percent(percent as u8),
            Some(101..) => return Err("percentage argument must be less or equal to 100".into()),
            Some(..0) => return Err("argument must be a memory or percent value".into()),
            None => {
                memory_size::parse(argument).ok_or("argument must be a memory or percent value")?;
                ClientMemoryLimit::Bytes(parse::integer(Notation::Memory, 0, i64::MAX.into(), argument)? as u64)
            }
        };
        Ok(())
    }

    pub fn lines(config: &Config, directive: &'static Directive) -> Vec<RewriteLine> {
        let value = match config.maxmemory_clients {
            ClientMemoryLimit::Bytes(bytes) => memory_size::format(bytes),
            ClientMemoryLimit::Percent(_) => read(config),
        };
        line(directive, &value, is_changed(config, directive))
    }
}

/// `loop-spin-us`: microseconds or `auto`.
pub(super) mod loop_spin_us {
    use super::*;
    use crate::config::SpinLimit;
    use crate::config::notation::Notation;

    const LIMIT_MAX_US: i128 = 10_000;

    pub fn read(config: &Config) -> String {
        match config.loop_spin_us {
            SpinLimit::Micros(limit_us) => limit_us.to_string(),
            SpinLimit::Auto => "auto".into(),
        }
    }

    pub fn write(config: &mut Config, arguments: &[&[u8]]) -> Result<(), String> {
        let [argument] = arguments else {
            return Err(WRONG_NUMBER.into());
        };
        config.loop_spin_us = if argument.eq_ignore_ascii_case(b"auto") {
            SpinLimit::Auto
        } else {
            SpinLimit::Micros(parse::integer(Notation::Decimal, 0, LIMIT_MAX_US, argument)? as u32)
        };
        Ok(())
    }

    pub fn lines(config: &Config, directive: &'static Directive) -> Vec<RewriteLine> {
        line(directive, &read(config), is_changed(config, directive))
    }
}

/// `shutdown-on-sigint` and `shutdown-on-sigterm`: words.
mod shutdown_flags {
    use crate::config::ShutdownFlags;
    use crate::config::parse;

    pub fn show(flags: ShutdownFlags) -> String {
        let words = [
            (flags.save, "save"),
            (flags.nosave, "nosave"),
            (flags.now, "now"),
            (flags.force, "force"),
            (flags.safe, "safe"),
            (flags.failover, "failover"),
        ];
        let words: Vec<&str> = words.into_iter().filter(|(is_set, _)| *is_set).map(|(_, word)| word).collect();
        if words.is_empty() { "default".into() } else { words.join(" ") }
    }

    pub fn read_words(arguments: &[&[u8]]) -> Result<ShutdownFlags, String> {
        let refusal = || parse::unknown_word(&["default", "save", "nosave", "now", "force"]);
        if arguments.is_empty() {
            return Err(refusal());
        }
        let mut flags = ShutdownFlags::default();
        for argument in arguments {
            match argument.to_ascii_lowercase().as_slice() {
                b"default" => {}
                b"save" => flags.save = true,
                b"nosave" => flags.nosave = true,
                b"now" => flags.now = true,
                b"force" => flags.force = true,
                b"safe" => flags.safe = true,
                b"failover" => flags.failover = true,
                _ => return Err(refusal()),
            }
        }
        if flags.save && flags.nosave {
            return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
        }
        Ok(flags)
    }
}

/// `shutdown-on-sigint`.
pub(super) mod shutdown_on_sigint {
    use super::*;

    pub fn read(config: &Config) -> String {
        shutdown_flags::show(config.shutdown_on_sigint)
    }

    pub fn write(config: &mut Config, arguments: &[&[u8]]) -> Result<(), String> {
        config.shutdown_on_sigint = shutdown_flags::read_words(arguments)?;
        Ok(())
    }

    pub fn lines(config: &Config, directive: &'static Directive) -> Vec<RewriteLine> {
        line(directive, &read(config), is_changed(config, directive))
    }
}

/// `shutdown-on-sigterm`.
pub(super) mod shutdown_on_sigterm {
    use super::*;

    pub fn read(config: &Config) -> String {
        shutdown_flags::show(config.shutdown_on_sigterm)
    }

    pub fn write(config: &mut Config, arguments: &[&[u8]]) -> Result<(), String> {
        config.shutdown_on_sigterm = shutdown_flags::read_words(arguments)?;
        Ok(())
    }

    pub fn lines(config: &Config, directive: &'static Directive) -> Vec<RewriteLine> {
        line(directive, &read(config), is_changed(config, directive))
    }
}
