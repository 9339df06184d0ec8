//! What INFO, MEMORY STATS and MEMORY DOCTOR read, gathered at most once for each text.

use std::cell::OnceCell;

use crate::engine::session::Session;
use crate::engine::state::ServerState;
use crate::resp::reply;

/// The state of the server as one text shows it.
pub struct InfoSnapshot<'a> {
    pub state: &'a ServerState,
    /// The client that asks: its session is on loan, so the list of clients lacks it.
    pub caller: Option<&'a Session>,
    memory: OnceCell<MemoryFigures>,
}

/// Where the memory goes, in bytes.
#[derive(Clone, Debug, Default)]
pub struct MemoryFigures {
    /// Allocated, as requested.
    pub used: u64,
    /// The most that was ever allocated.
    pub peak: u64,
    /// Allocated when the server was ready.
    pub startup: u64,
    /// In RAM.
    pub resident: u64,
    /// Held by ordinary clients; values that their replies share with the keyspace count in full.
    pub clients: u64,
    /// The part of that which is shared.
    pub shared_replies: u64,
    /// All that is not data: what was there at the start, clients, and the tables' own blocks.
    pub overhead: u64,
    /// What is left: keys and values.
    pub dataset: u64,
    /// Number of keys.
    pub keys: u64,
    /// The tables of each database that is not empty.
    pub databases: Vec<DatabaseFigures>,
}

/// The tables of one database, in bytes without the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseFigures {
    pub number: usize,
    pub main: u64,
    pub expires: u64,
}

impl<'a> InfoSnapshot<'a> {
    /// The facts of this moment.
    pub fn new(state: &'a ServerState, caller: Option<&'a Session>) -> InfoSnapshot<'a> {
        InfoSnapshot { state, caller, memory: OnceCell::new() }
    }

    /// Every client's session.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.state.clients.iter().chain(self.caller)
    }

    /// Where the memory goes. O(clients + databases) the first time.
    pub fn memory(&self) -> &MemoryFigures {
        self.memory.get_or_init(|| self.gather_memory())
    }

    fn gather_memory(&self) -> MemoryFigures {
        let state = self.state;
        let used = state.used_memory() as u64;
        let resident = match state.stats.resident_bytes as u64 {
            0 => state.machine.resident_bytes(),
            sampled => sampled,
        };
        let mut stats = MemoryFigures {
            used,
            peak: used.max(state.stats.peak_memory_bytes as u64),
            startup: state.process.startup_memory_bytes as u64,
            resident,
            clients: self.sessions().map(|session| session.total_memory() as u64).sum(),
            shared_replies: reply::shared_bytes() as u64,
            ..MemoryFigures::default()
        };
        let mut tables = 0;
        for (number, database) in state.keyspace.databases().enumerate() {
            if database.is_empty() {
                continue;
            }
            let entry = DatabaseFigures {
                number,
                main: database.records().memory_bytes() as u64,
                expires: database.volatile().memory_bytes() as u64,
            };
            tables += entry.main + entry.expires;
            stats.keys += database.len() as u64;
            stats.databases.push(entry);
        }
        let clients = stats.clients.saturating_sub(stats.shared_replies);
        stats.overhead = stats.startup + clients + tables;
        stats.dataset = used.saturating_sub(stats.overhead);
        stats
    }
}

impl MemoryFigures {
    /// The share of the data in what was allocated since the start, in percent.
    pub fn dataset_percent(&self) -> f64 {
        let net = self.used.saturating_sub(self.startup);
        if net == 0 { 0.0 } else { self.dataset as f64 * 100.0 / net as f64 }
    }

    /// The memory now as a share of the peak, in percent.
    pub fn peak_percent(&self) -> f64 {
        ratio(self.used, self.peak) * 100.0
    }

    /// Bytes in RAM for each byte allocated.
    pub fn fragmentation(&self) -> f64 {
        ratio(self.resident, self.used)
    }

    /// Bytes in RAM beyond those allocated; negative when some are swapped out.
    pub fn fragmentation_bytes(&self) -> i64 {
        self.resident as i64 - self.used as i64
    }
}

/// One number by another, 0 if that is 0.
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Bytes as people read them: `512B`, `1.50K`, `2.00G`.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "K", "M", "G", "T", "P"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let (mut amount, mut unit) = (bytes as f64, 0);
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.2}{}", UNITS[unit])
}
