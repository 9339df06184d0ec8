//! What a frame tells of the ledger: memory and keys by type and by prefix, the largest keys, and what is asked for.

use crate::engine::state::ServerState;
use crate::observe::ledger::{Estimate, Sample, Sum};
use crate::text::json::Json;

/// Groups that are told.
const SHOWN_MAX: usize = 12;
/// Hot keys that are told.
const HOT_KEYS_MAX: usize = 12;

/// `sample`: of the keys that were drawn. Nothing while there are no keys.
pub(super) fn write_sample(json: &mut Json, state: &ServerState) {
    let Some(sample) = state.recorder.ledger.sample() else {
        return;
    };
    json.name("sample");
    json.object(|json| {
        json.number_field("keys", sample.keys);
        json.number_field("sampled", sample.drawn);
        write_groups(json, "types", sample, sample.types());
        write_groups(json, "prefixes", sample, sample.prefixes());
        json.name("largest");
        json.array(|json| {
            for large in &sample.largest {
                json.array(|row| {
                    row.string(&large.key);
                    row.string(large.kind.as_bytes());
                    row.number(large.bytes);
                });
            }
        });
    });
}

/// Rows of name, keys of the sample, bytes and error, keys and error.
fn write_groups(json: &mut Json, name: &str, sample: &Sample, groups: Vec<(&[u8], Sum)>) {
    json.name(name);
    json.array(|json| {
        for (group, sum) in groups.into_iter().take(SHOWN_MAX) {
            json.array(|row| {
                row.string(group);
                row.number(sum.keys);
                for Estimate { value, error } in [sample.bytes(&sum), sample.keys(&sum)] {
                    row.number(value.round());
                    row.number(error.round());
                }
            });
        }
    });
}

/// `hot`: of a sample of the requests: `rows` of key, database, times seen, by how much that may be too large;
/// `prefixes` of prefix, requests of the sample, those whose key was there; `asked`: all requests of that sample.
pub(super) fn write_requests(json: &mut Json, state: &ServerState) {
    let recorder = &state.recorder;
    let asked = recorder.ledger.asked();
    json.name("hot");
    json.object(|json| {
        json.number_field("seen", recorder.hot_keys.seen());
        json.name("rows");
        json.array(|json| {
            for hot in recorder.hot_keys.hottest(HOT_KEYS_MAX) {
                json.array(|row| {
                    row.string(&hot.key);
                    row.number(hot.database);
                    row.number(hot.count);
                    row.number(hot.excess);
                });
            }
        });
        json.number_field("asked", asked.iter().map(|(_, asked)| asked.requests).sum::<u64>());
        json.name("prefixes");
        json.array(|json| {
            for (prefix, asked) in asked.iter().take(SHOWN_MAX) {
                json.array(|row| {
                    row.string(prefix);
                    row.number(asked.requests);
                    row.number(asked.hits);
                });
            }
        });
    });
}
