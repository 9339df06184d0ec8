//! The metrics of the ledger: memory, keys and requests by the prefix of the key, each with its error. They name parts
//! of keys, so they are there with `prefix-ledger yes` alone.

use crate::observe::ledger::{Asked, OTHERS, Sample, Sum, requests_of};
use crate::text::quoting::quote;

use super::families::{Family, Samples, counter, gauge};
use super::text::Text;
use super::view::View;

/// Prefixes that are told apart; all others are added up.
const SHOWN_MAX: usize = 64;

/// The families of the ledger.
pub(crate) static FAMILIES: &[Family] = &[
    gauge(
        "oneloop_prefix_sampled_keys",
        "Keys that were drawn at random for the estimates of keys and memory.",
        Samples::Several(|view, name, text| {
            if let Some(sample) = sample_of(view) {
                text.sample(name, &[], sample.drawn);
            }
        }),
    ),
    gauge(
        "oneloop_prefix_keys",
        "Keys with each prefix (up to the first colon), estimated.",
        Samples::Several(|view, name, text| of_groups(view, name, text, |sample, sum| sample.keys(sum).value)),
    ),
    gauge(
        "oneloop_prefix_keys_error",
        "By how much that may be wrong, in 95 of 100 cases.",
        Samples::Several(|view, name, text| of_groups(view, name, text, |sample, sum| sample.keys(sum).error)),
    ),
    gauge(
        "oneloop_prefix_memory_bytes",
        "Memory of the keys with each prefix, estimated.",
        Samples::Several(|view, name, text| of_groups(view, name, text, |sample, sum| sample.bytes(sum).value)),
    ),
    gauge(
        "oneloop_prefix_memory_error_bytes",
        "By how much that may be wrong, in 95 of 100 cases.",
        Samples::Several(|view, name, text| of_groups(view, name, text, |sample, sum| sample.bytes(sum).error)),
    ),
    counter(
        "oneloop_prefix_requests_total",
        "Requests whose first key has the prefix, estimated from one of sixteen.",
        Samples::Several(|view, name, text| of_requests(view, name, text, |asked| requests_of(asked.requests).value)),
    ),
    gauge(
        "oneloop_prefix_requests_error",
        "By how much that may be wrong, in 95 of 100 cases.",
        Samples::Several(|view, name, text| of_requests(view, name, text, |asked| requests_of(asked.requests).error)),
    ),
    counter(
        "oneloop_prefix_hits_total",
        "Those of them whose key was there.",
        Samples::Several(|view, name, text| of_requests(view, name, text, |asked| requests_of(asked.hits).value)),
    ),
    gauge(
        "oneloop_prefix_hits_error",
        "By how much that may be wrong, in 95 of 100 cases.",
        Samples::Several(|view, name, text| of_requests(view, name, text, |asked| requests_of(asked.hits).error)),
    ),
];

fn sample_of<'a>(view: &'a View<'_>) -> Option<&'a Sample> {
    view.state.recorder.ledger.sample().filter(|_| view.state.config.prefix_ledger)
}

fn of_groups(view: &View<'_>, name: &str, text: &mut Text, figure: fn(&Sample, &Sum) -> f64) {
    let Some(sample) = sample_of(view) else {
        return;
    };
    let groups = sample.prefixes();
    let is_apart = |place: usize, prefix: &[u8]| place < SHOWN_MAX && prefix != OTHERS;
    let mut others = Sum::default();
    for (place, (prefix, sum)) in groups.iter().enumerate() {
        match is_apart(place, prefix) {
            true => write(name, prefix, figure(sample, sum), text),
            false => others = others.with(sum),
        }
    }
    if others.keys > 0 {
        write(name, OTHERS, figure(sample, &others), text);
    }
}

fn of_requests(view: &View<'_>, name: &str, text: &mut Text, figure: fn(&Asked) -> f64) {
    if view.state.config.prefix_ledger {
        for (prefix, asked) in view.state.recorder.ledger.asked() {
            write(name, prefix, figure(&asked), text);
        }
    }
}

/// A label must be text, and no two prefixes may have the same: other bytes are written as `\xHH`.
fn write(name: &str, prefix: &[u8], value: f64, text: &mut Text) {
    let quoted = quote(prefix);
    let inner = quoted.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"'));
    text.sample(name, &[("prefix", inner.unwrap_or_default())], value.round());
}
