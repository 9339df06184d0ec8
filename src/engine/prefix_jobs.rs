//! Jobs over all keys with a prefix: what they are to do, how far they are, and what became of them. Never walks a key.

use std::collections::VecDeque;

use crate::command::keys::KeyAccess;
use crate::keyspace::{Record, Version};

/// Maximum number of jobs that wait or run.
pub const UNDER_WAY_MAX: usize = 16;
/// Maximum number of ended jobs that PREFIX STATUS still shows.
const OVER_MAX: usize = 64;

/// What is done to the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrefixWork {
    /// They are counted.
    Count,
    /// Their memory is added up.
    Memory,
    /// They expire at a time, in ms since the epoch; `condition` as EXPIRE has it.
    Expire { at_ms: i64, condition: Option<&'static str> },
    /// They expire no longer.
    Persist,
    /// They are deleted.
    Unlink,
}

impl PrefixWork {
    /// The subcommand.
    pub fn name(&self) -> &'static str {
        match self {
            PrefixWork::Count => "count",
            PrefixWork::Memory => "memory",
            PrefixWork::Expire { .. } => "expire",
            PrefixWork::Persist => "persist",
            PrefixWork::Unlink => "unlink",
        }
    }

    /// Whether it changes keys.
    pub fn writes(&self) -> bool {
        !matches!(self, PrefixWork::Count | PrefixWork::Memory)
    }

    /// What its user must be allowed to do with the keys.
    pub fn access(&self) -> KeyAccess {
        if self.writes() { KeyAccess::WRITE } else { KeyAccess::READ }
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixState {
    /// Others come first.
    Waiting,
    Running,
    Done,
    /// By PREFIX CANCEL.
    Cancelled,
    /// The server follows a primary now, which alone changes keys.
    Demoted,
}

impl PrefixState {
    /// The name that PREFIX STATUS shows.
    pub fn name(self) -> &'static str {
        match self {
            PrefixState::Waiting => "waiting",
            PrefixState::Running => "running",
            PrefixState::Done => "done",
            PrefixState::Cancelled => "cancelled",
            PrefixState::Demoted => "ended: the server became a replica",
        }
    }
}

/// What a job has found and done so far, in keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixCounts {
    /// Keys that were looked at.
    pub walked: u64,
    /// Those with the prefix.
    pub matched: u64,
    /// Those of them that were changed.
    pub changed: u64,
    /// Those that were left alone, since something else changed them after the job began.
    pub left_alone: u64,
    /// Memory of those with the prefix, in bytes.
    pub bytes: u64,
}

/// The progress and the result of a job, as PREFIX STATUS shows them.
#[derive(Clone, Debug)]
pub struct PrefixReport {
    pub ticket: u64,
    pub work: PrefixWork,
    pub database: usize,
    pub prefix: Vec<u8>,
    pub state: PrefixState,
    pub counts: PrefixCounts,
    /// Keys of the database when the job was asked for.
    pub keys: u64,
    /// When it was asked for, in ms since the epoch.
    pub asked_ms: i64,
    /// When it was over, in ms since the epoch.
    pub over_ms: Option<i64>,
}

/// A job that is not over.
pub struct PrefixJob {
    pub report: PrefixReport,
    /// The keys as they were when it was asked for.
    pub version: Version,
    /// Keys with the prefix that are to be changed next, as they were.
    pub found: Vec<Record>,
}

/// All jobs of a server.
#[derive(Default)]
pub struct PrefixJobs {
    last_ticket: u64,
    under_way: VecDeque<PrefixJob>,
    over: VecDeque<PrefixReport>,
    /// Versions of cancelled jobs, to be released in steps.
    abandoned: Vec<Version>,
}

impl PrefixJobs {
    /// Whether there is anything left to do.
    #[inline]
    pub fn have_work(&self) -> bool {
        !self.under_way.is_empty() || !self.abandoned.is_empty()
    }

    /// Adds a job behind all others; gives its ticket, or nothing if there are too many.
    pub fn add(
        &mut self,
        work: PrefixWork,
        database: usize,
        prefix: &[u8],
        version: Version,
        now_ms: i64,
    ) -> Option<u64> {
        if self.under_way.len() >= UNDER_WAY_MAX {
            return None;
        }
        self.last_ticket += 1;
        let report = PrefixReport {
            ticket: self.last_ticket,
            work,
            database,
            prefix: prefix.to_vec(),
            state: PrefixState::Waiting,
            counts: PrefixCounts::default(),
            keys: version.keys() as u64,
            asked_ms: now_ms,
            over_ms: None,
        };
        self.under_way.push_back(PrefixJob { report, version, found: Vec::new() });
        Some(self.last_ticket)
    }

    /// Takes the job whose turn it is, to be given back by `go_on` or `end`.
    pub fn take_first(&mut self) -> Option<PrefixJob> {
        let mut job = self.under_way.pop_front()?;
        job.report.state = PrefixState::Running;
        Some(job)
    }

    /// The job is not over.
    pub fn go_on(&mut self, job: PrefixJob) {
        self.under_way.push_front(job);
    }

    /// The job is over.
    pub fn end(&mut self, job: PrefixJob, state: PrefixState, now_ms: i64) {
        self.abandoned.push(job.version);
        if self.over.len() >= OVER_MAX {
            self.over.pop_front();
        }
        self.over.push_back(PrefixReport { state, over_ms: Some(now_ms), ..job.report });
    }

    /// Ends a job before its time; says whether there was one that was not over.
    pub fn cancel(&mut self, ticket: u64, now_ms: i64) -> bool {
        let Some(place) = self.under_way.iter().position(|job| job.report.ticket == ticket) else {
            return false;
        };
        if let Some(job) = self.under_way.remove(place) {
            self.end(job, PrefixState::Cancelled, now_ms);
        }
        true
    }

    /// The reports of all jobs, the oldest first.
    pub fn reports(&self) -> impl Iterator<Item = &PrefixReport> {
        self.over.iter().chain(self.under_way.iter().map(|job| &job.report))
    }

    /// The report of one job.
    pub fn report(&self, ticket: u64) -> Option<&PrefixReport> {
        self.reports().find(|report| report.ticket == ticket)
    }

    /// Releases about so many records of versions that are no longer needed; says whether there are more.
    pub fn release_step(&mut self, records: usize) -> bool {
        if let Some(version) = self.abandoned.last_mut()
            && !version.release_step(records)
        {
            self.abandoned.pop();
        }
        !self.abandoned.is_empty()
    }
}
