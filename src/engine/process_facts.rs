//! What the server knows of its process, and what DEBUG has switched.

use std::path::PathBuf;

/// What is known of the process from its start on.
#[derive(Debug)]
pub struct ProcessFacts {
    /// 40 hexadecimal digits, others for every start.
    pub run_id: String,
    pub started_ms: i64,
    pub config_file: Option<PathBuf>,
    pub executable: PathBuf,
    /// The pid file that is to be removed at the end.
    pub pid_file: Option<PathBuf>,
    /// Bytes allocated when the server was ready.
    pub startup_memory_bytes: usize,
    /// The supervisor of the process, as INFO names it.
    pub supervised: &'static str,
    /// Whether the process is another program's, of which the server is a part (`testing`): it leaves alone what
    /// belongs to the process.
    pub is_embedded: bool,
}

impl ProcessFacts {
    /// A process that started at that time, in ms since the epoch.
    pub fn new(run_id: String, started_ms: i64) -> ProcessFacts {
        ProcessFacts {
            run_id,
            started_ms,
            config_file: None,
            executable: PathBuf::new(),
            pid_file: None,
            startup_memory_bytes: 0,
            supervised: "no",
            is_embedded: false,
        }
    }
}

/// What DEBUG and tests switch.
#[derive(Clone, Copy, Debug, Default)]
pub struct DebugSwitches {
    /// Whether the cron stands still (DEBUG PAUSE-CRON).
    pub cron_paused: bool,
    /// Whether idle clients keep room for replies (DEBUG REPLYBUFFER).
    pub reply_buffers_stay: bool,
    /// From how many bytes on an element has a block of its own in its list (DEBUG QUICKLIST-PACKED-THRESHOLD).
    pub list_large_bytes: Option<usize>,
    /// Whether clients are answered as while data are being loaded.
    pub answers_loading: bool,
    /// Whether the primary is out of reach, whatever the network says.
    pub loses_primary: bool,
}
