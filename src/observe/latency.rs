//! The latency monitor: a short history of the spikes of each kind of event.

use std::collections::{BTreeMap, VecDeque};

/// Samples kept of each event.
const SAMPLES_MAX: usize = 160;

/// The longest time that an event took in one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencySample {
    pub time_s: i64,
    pub latency_ms: u64,
}

/// The history of one event.
#[derive(Default)]
pub struct LatencySeries {
    pub samples: VecDeque<LatencySample>,
    pub max_ms: u64,
}

/// The histories of all events that had spikes.
#[derive(Default)]
pub struct LatencyMonitor {
    pub events: BTreeMap<&'static str, LatencySeries>,
}

impl LatencyMonitor {
    /// Adds a spike. Several in one second count as the longest of them.
    pub fn add(&mut self, event: &'static str, latency_ms: u64, now_ms: i64) {
        let series = self.events.entry(event).or_default();
        let time_s = now_ms / 1000;
        series.max_ms = series.max_ms.max(latency_ms);
        match series.samples.back_mut() {
            Some(last) if last.time_s == time_s => {
                last.latency_ms = last.latency_ms.max(latency_ms);
            }
            _ => {
                if series.samples.len() == SAMPLES_MAX {
                    series.samples.pop_front();
                }
                series.samples.push_back(LatencySample { time_s, latency_ms });
            }
        }
    }

    /// Forgets one event, or all; tells how many there were.
    pub fn reset(&mut self, event: Option<&[u8]>) -> usize {
        let before = self.events.len();
        match event {
            Some(event) => self.events.retain(|name, _| name.as_bytes() != event),
            None => self.events.clear(),
        }
        before - self.events.len()
    }
}
