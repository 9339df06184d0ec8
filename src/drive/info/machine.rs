//! The sections on the process and the machine: Server, Memory, CPU.

use crate::drive::cluster::bus;
use crate::drive::replication::primary;
use crate::engine::memory_limit;
use crate::engine::session::{Mode, Session};
use crate::engine::state::ServerState;
use std::borrow::Cow;

use crate::REDIS_VERSION;
use crate::base::clock::MONOTONIC_CLOCK_NAME;
use crate::base::sys::allocator;
use crate::base::sys::resources::{ProcessorTime, Whose};
use crate::config::Named;
use crate::net::listener::Transport;

use crate::scripting::Kind;

use super::Field;
use crate::drive::info::snapshot::ratio;
use crate::drive::info::snapshot::{InfoSnapshot, human_bytes};

/// Seconds of the LRU clock wrap at 24 bits.
const LRU_CLOCK_MASK: i64 = 0x00ff_ffff;
const DAY_S: i64 = 24 * 60 * 60;

/// Section Server, but for the listeners.
pub(crate) static SERVER: &[Field] = &[
    Field::fixed("redis_version", REDIS_VERSION),
    Field::fixed("redis_git_sha1", "00000000"),
    Field::fixed("redis_git_dirty", "0"),
    Field::of("redis_build_id", |_| build_id()),
    Field::of("redis_mode", |info| mode(info.state).to_string()),
    Field::of("os", |info| info.state.machine.operating_system()),
    Field::of("arch_bits", |_| usize::BITS.to_string()),
    Field::fixed("monotonic_clock", MONOTONIC_CLOCK_NAME),
    Field::fixed("multiplexing_api", "epoll"),
    Field::fixed("atomicvar_api", "none"),
    Field::fixed("gcc_version", "0.0.0"),
    Field::of("process_id", |info| info.state.machine.process_id().to_string()),
    Field::of("process_supervised", |info| info.state.process.supervised.to_string()),
    Field::of("run_id", |info| info.state.process.run_id.clone()),
    Field::of("tcp_port", |info| info.state.config.main_port().to_string()),
    Field::of("server_time_usec", |info| info.state.clock.now_us().to_string()),
    Field::of("uptime_in_seconds", |info| uptime_s(info).to_string()),
    Field::of("uptime_in_days", |info| (uptime_s(info) / DAY_S).to_string()),
    Field::of("hz", |info| info.state.effective_hz().to_string()),
    Field::of("configured_hz", |info| info.state.config.hz.to_string()),
    Field::of("lru_clock", |info| ((info.state.now_ms() / 1000) & LRU_CLOCK_MASK).to_string()),
    Field::of("executable", |info| lossy(info.state.process.executable.to_string_lossy())),
    Field::of("config_file", |info| match &info.state.process.config_file {
        Some(path) => lossy(path.to_string_lossy()),
        None => String::new(),
    }),
    Field::fixed("io_threads_active", "0"),
    Field::of("availability_zone", |info| info.state.config.availability_zone.clone()),
    Field::fixed("oneloop_version", env!("CARGO_PKG_VERSION")),
];

fn lossy(text: Cow<'_, str>) -> String {
    text.into_owned()
}

/// Whether the server is on its own or part of a cluster, as tools know it.
pub(crate) fn mode(state: &ServerState) -> &'static str {
    if state.cluster.is_some() { "cluster" } else { "standalone" }
}

/// Tells builds of different versions apart, as hexadecimal digits.
fn build_id() -> String {
    format!("{:x}", xxhash_rust::xxh3::xxh3_64(env!("CARGO_PKG_VERSION").as_bytes()))
}

fn uptime_s(info: &InfoSnapshot<'_>) -> i64 {
    (info.state.now_ms() - info.state.process.started_ms) / 1000
}

/// How long the end still waits for the replicas, if it does, and the lines of the listeners:
/// `listener0:name=tcp,bind=*,bind=-::*,port=6379`.
pub(crate) fn listeners(info: &InfoSnapshot<'_>) -> Vec<(String, String)> {
    let config = &info.state.config;
    let mut lines = Vec::new();
    if let Some(due_ms) = info.state.shutdown_due_ms {
        lines.push(("shutdown_in_milliseconds".to_string(), (due_ms - info.state.now_ms()).max(0).to_string()));
    }
    let Some(listeners) = &info.state.listeners else {
        return lines;
    };
    for (number, transport) in [(0, Transport::Plain), (2, Transport::Tls)] {
        let opened = listeners.count(transport);
        if opened == 0 {
            continue;
        }
        let mut value = format!("name={}", transport.name());
        // As in Redis, the configured names, of which optional ones may be missing at the end.
        for name in config.bind.iter().take(opened) {
            value.push_str(",bind=");
            value.push_str(name);
        }
        value.push_str(&format!(",port={}", listeners.port(transport)));
        lines.push((format!("listener{number}"), value));
    }
    if let Some(path) = listeners.unix_path() {
        lines.push(("listener1".to_string(), format!("name=unix,bind={path}")));
    }
    lines.sort();
    lines
}

/// Section Memory. The allocator's own view is the process's, as Redis shows it without jemalloc.
pub(crate) static MEMORY: &[Field] = &[
    Field::of("used_memory", |info| info.memory().used.to_string()),
    Field::of("used_memory_human", |info| human_bytes(info.memory().used)),
    Field::of("used_memory_rss", |info| info.memory().resident.to_string()),
    Field::of("used_memory_rss_human", |info| human_bytes(info.memory().resident)),
    Field::of("used_memory_peak", |info| info.memory().peak.to_string()),
    Field::of("used_memory_peak_human", |info| human_bytes(info.memory().peak)),
    Field::of("used_memory_peak_perc", |info| format!("{:.2}%", info.memory().peak_percent())),
    Field::of("used_memory_overhead", |info| info.memory().overhead.to_string()),
    Field::of("used_memory_startup", |info| info.memory().startup.to_string()),
    Field::of("used_memory_dataset", |info| info.memory().dataset.to_string()),
    Field::of("used_memory_dataset_perc", |info| format!("{:.2}%", info.memory().dataset_percent())),
    Field::of("allocator_allocated", |info| info.memory().used.to_string()),
    Field::of("allocator_active", |info| info.memory().resident.to_string()),
    Field::of("allocator_resident", |info| info.memory().resident.to_string()),
    Field::of("total_system_memory", |info| info.state.machine.total_memory_bytes().to_string()),
    Field::of("total_system_memory_human", |info| human_bytes(info.state.machine.total_memory_bytes())),
    Field::of("used_memory_lua", |info| machine_of(info, Kind::Script).to_string()),
    Field::of("used_memory_vm_eval", |info| machine_of(info, Kind::Script).to_string()),
    Field::of("used_memory_lua_human", |info| human_bytes(machine_of(info, Kind::Script))),
    Field::of("used_memory_scripts_eval", |info| scripts_bytes(info).to_string()),
    Field::of("number_of_cached_scripts", |info| info.state.scripting.scripts.len().to_string()),
    Field::of("number_of_functions", |info| info.state.scripting.functions.functions().to_string()),
    Field::of("number_of_libraries", |info| info.state.scripting.functions.len().to_string()),
    Field::of("used_memory_vm_functions", |info| machine_of(info, Kind::Function).to_string()),
    Field::of("used_memory_vm_total", |info| machines(info).to_string()),
    Field::of("used_memory_vm_total_human", |info| human_bytes(machines(info))),
    Field::of("used_memory_functions", |info| functions_bytes(info).to_string()),
    Field::of("used_memory_scripts", |info| (scripts_bytes(info) + functions_bytes(info)).to_string()),
    Field::of("used_memory_scripts_human", |info| human_bytes(scripts_bytes(info) + functions_bytes(info))),
    Field::of("maxmemory", |info| info.state.config.maxmemory.to_string()),
    Field::of("maxmemory_human", |info| human_bytes(info.state.config.maxmemory)),
    Field::of("maxmemory_policy", |info| info.state.config.maxmemory_policy.name().to_string()),
    Field::of("allocator_frag_ratio", |info| format!("{:.2}", info.memory().fragmentation())),
    Field::of("allocator_frag_bytes", |info| info.memory().fragmentation_bytes().to_string()),
    Field::of("allocator_rss_ratio", |info| format!("{:.2}", own_ratio(info))),
    Field::fixed("allocator_rss_bytes", "0"),
    Field::of("rss_overhead_ratio", |info| format!("{:.2}", own_ratio(info))),
    Field::fixed("rss_overhead_bytes", "0"),
    Field::of("mem_fragmentation_ratio", |info| format!("{:.2}", info.memory().fragmentation())),
    Field::of("mem_fragmentation_bytes", |info| info.memory().fragmentation_bytes().to_string()),
    Field::of("mem_not_counted_for_evict", |info| memory_limit::uncounted_memory(info.state).to_string()),
    Field::of("mem_replication_backlog", |info| replication_memory(info).0.to_string()),
    Field::of("mem_total_replication_buffers", |info| replication_memory(info).1.to_string()),
    Field::of("mem_clients_slaves", |info| replication_memory(info).2.to_string()),
    Field::of("mem_clients_normal", |info| info.memory().clients.to_string()),
    Field::of("mem_cluster_links", |info| bus::memory_bytes(info.state).to_string()),
    Field::of("mem_aof_buffer", |info| info.state.aof.buffered_bytes().to_string()),
    Field::of("mem_oneloop_recorder", |info| info.state.recorder.memory_bytes().to_string()),
    Field::of("mem_allocator", |_| allocator::name()),
    Field::fixed("active_defrag_running", "0"),
    Field::of("lazyfree_pending_objects", |info| info.state.keyspace.reclaim_pending().to_string()),
    Field::of("lazyfreed_objects", |info| info.state.keyspace.reclaimed().to_string()),
];

/// What the backlog takes, what it and the replicas take together, and what the replicas take alone: the part of the
/// stream that only they need, and their own buffers. In bytes.
pub(crate) fn replication_memory(info: &InfoSnapshot<'_>) -> (u64, u64, u64) {
    let (_, kept) = super::replication::backlog(info.state);
    let backlog = kept.min(primary::backlog_bytes(info.state));
    let of_replicas: usize = info.sessions().filter(|one| one.mode == Mode::Replica).map(Session::total_memory).sum();
    (backlog, kept, kept - backlog + of_replicas as u64)
}

/// Active and resident are the same figure here, so their ratio is 1 (or 0 where neither is known).
fn own_ratio(info: &InfoSnapshot<'_>) -> f64 {
    let resident = info.memory().resident;
    ratio(resident, resident)
}

/// Section CPU.
pub(crate) static CPU: &[Field] = &[
    Field::of("used_cpu_sys", |info| seconds(used(info, Whose::Process).system_us)),
    Field::of("used_cpu_user", |info| seconds(used(info, Whose::Process).user_us)),
    Field::of("used_cpu_sys_children", |info| seconds(used(info, Whose::Children).system_us)),
    Field::of("used_cpu_user_children", |info| seconds(used(info, Whose::Children).user_us)),
    Field::of("used_cpu_sys_main_thread", |info| seconds(used(info, Whose::Thread).system_us)),
    Field::of("used_cpu_user_main_thread", |info| seconds(used(info, Whose::Thread).user_us)),
];

fn used(info: &InfoSnapshot<'_>, whose: Whose) -> ProcessorTime {
    info.state.machine.processor_time(whose)
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// Memory of the Lua state for a kind of programs, in bytes.
fn machine_of(info: &InfoSnapshot<'_>, kind: Kind) -> u64 {
    info.state.scripting.engine_bytes(kind) as u64
}

fn machines(info: &InfoSnapshot<'_>) -> u64 {
    machine_of(info, Kind::Script) + machine_of(info, Kind::Function)
}

/// Memory of what is known of scripts outside their state, in bytes.
fn scripts_bytes(info: &InfoSnapshot<'_>) -> u64 {
    info.state.scripting.scripts.memory_bytes() as u64
}

/// The same of functions.
fn functions_bytes(info: &InfoSnapshot<'_>) -> u64 {
    info.state.scripting.functions.memory_bytes() as u64
}
