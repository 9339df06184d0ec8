//! The sections whose lines depend on what was used: Commandstats, Errorstats, Latencystats, Keyspace.

use crate::drive::info::snapshot::InfoSnapshot;

/// One line for each command that was called or refused.
pub(crate) fn commands(info: &InfoSnapshot<'_>) -> Vec<(String, String)> {
    let state = info.state;
    let mut lines = Vec::new();
    for command in state.commands.iter() {
        let stats = state.command_stats.get(command.id);
        if stats.calls == 0 && stats.failed_calls == 0 && stats.rejected_calls == 0 {
            continue;
        }
        let micros = state.clock.ticks_as_nanos(stats.ticks) / 1000;
        let per_call = if stats.calls == 0 { 0.0 } else { micros as f64 / stats.calls as f64 };
        let value = format!(
            "calls={},usec={micros},usec_per_call={per_call:.2},rejected_calls={},failed_calls={}",
            stats.calls, stats.rejected_calls, stats.failed_calls
        );
        lines.push((format!("cmdstat_{}", command.full_name), value));
    }
    lines
}

/// One line for each kind of error.
pub(crate) fn errors(info: &InfoSnapshot<'_>) -> Vec<(String, String)> {
    let kinds = info.state.error_stats.kinds();
    let line = |(kind, count): (&str, u64)| {
        // A kind may come from a client: what would break the line's form is replaced.
        let safe = |letter: char| {
            if "#:\n\r".contains(letter) { '_' } else { letter }
        };
        let kind: String = kind.chars().map(safe).collect();
        (format!("errorstat_{kind}"), format!("count={count}"))
    };
    kinds.into_iter().map(line).collect()
}

/// One line for each command whose times are known: the percentiles asked for, in µs.
pub(crate) fn latencies(info: &InfoSnapshot<'_>) -> Vec<(String, String)> {
    let state = info.state;
    let percentiles = &state.config.latency_tracking_info_percentiles;
    let mut lines = Vec::new();
    for command in state.commands.iter() {
        let Some(histogram) = &state.command_stats.get(command.id).latency else {
            continue;
        };
        let shown: Vec<String> = percentiles
            .iter()
            .map(|percentile| {
                let ticks = histogram.value_at_quantile(percentile / 100.0);
                let nanos = state.clock.ticks_as_nanos(ticks);
                format!("p{percentile}={:.3}", nanos as f64 / 1000.0)
            })
            .collect();
        lines.push((format!("latency_percentiles_usec_{}", command.full_name), shown.join(",")));
    }
    lines
}

/// One line for each database with keys.
pub(crate) fn databases(info: &InfoSnapshot<'_>) -> Vec<(String, String)> {
    let keyspace = &info.state.keyspace;
    let mut lines = Vec::new();
    for (number, database) in keyspace.databases().enumerate() {
        let keys = keyspace.visible_len(number);
        if keys == 0 {
            continue;
        }
        let mut value = format!(
            "keys={keys},expires={},avg_ttl={}",
            keyspace.visible_volatile_len(number),
            keyspace.average_ttl_ms(number)
        );
        // As in Redis 7.4, but only where there are such: others get what Redis 7.2 says.
        if database.expiring_hashes() > 0 {
            value += &format!(",subexpiry={}", database.expiring_hashes());
        }
        lines.push((format!("db{number}"), value));
    }
    lines
}
