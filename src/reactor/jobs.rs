//! Background work between polls, in slices under one time budget.
//!
//! Everything that is not a user's command is a job. A job does a small step, tells whether there is
//! more, and is asked again while the budget lasts. The budget follows the load: idle, a turn may
//! spend up to half a millisecond on jobs; busy, about as much as it spent on clients, so that jobs
//! neither starve nor double a client's wait.

use crate::collections::heap;
use crate::drive::aof::rewrite;
use crate::drive::cluster::keys;
use crate::drive::cluster::migration::export;
use crate::drive::key_sizes;
use crate::drive::page::Documents;
use crate::drive::prefix;
use crate::drive::replication::{full_sync, spill};
use crate::drive::save::background;
use crate::drive::save::backup;
use crate::drive::save::digest::Digests;
use crate::drive::script::{debugger, run};
use crate::engine::memory_limit;
use crate::engine::removal;
use crate::engine::state::ServerState;

use crate::observe::loop_stats::Job;
use crate::observe::turn::Part;

/// Longest and shortest time for the jobs of one turn, in ns.
const BUDGET_MAX_NS: u64 = 500_000;
const BUDGET_MIN_NS: u64 = 100_000;
/// How long one step of eviction takes, in ns.
const STEP_NS: u64 = 50_000;
/// Elements freed, or moved, in one step: some ten microseconds' worth.
const STEP_ELEMENTS: usize = 256;

/// Fields of hashes removed in one step: each costs about a microsecond, or several.
const STEP_FIELDS: usize = 32;

/// Memory not in use that is kept at least, and the part of the memory in use that is kept beyond:
/// giving back what is wanted again soon would cost more than it saves.
const IDLE_MIN_BYTES: usize = 4 << 20;
const IDLE_PART: usize = 8;

/// How long snapshots may be written in a turn that has spent so much time on clients, if they may have that share of
/// both, in percent.
fn saving_budget_ns(share_percent: u32, served_ns: u64) -> u64 {
    if served_ns < BUDGET_MIN_NS / 10 {
        return BUDGET_MAX_NS;
    }
    let share = u64::from(share_percent.clamp(1, 99));
    let [least_ns, wanted_ns] = [BUDGET_MIN_NS, served_ns].map(|ns| ns * share / (100 - share));
    wanted_ns.clamp(least_ns.min(BUDGET_MAX_NS), BUDGET_MAX_NS)
}

/// What jobs were allowed in a turn, and what they took.
#[derive(Clone, Copy, Debug, Default)]
pub struct JobsRun {
    pub budget_ns: u64,
    pub elapsed_ns: u64,
}

/// Which jobs have work, and whose turn it is.
pub struct Jobs {
    /// A bit for each, by its place among all.
    has_work: u16,
    next: usize,
    /// Whether the ledger has its step still before it, since the cron asked for work.
    is_ledger_due: bool,
    /// Longest time for the jobs of one turn, snapshots apart, in ns.
    pub(crate) budget_max_ns: u64,
    /// The last turn in which jobs ran.
    pub(crate) last_run: JobsRun,
    /// What the HTTP port serves, which one of the jobs writes.
    pub(crate) documents: Documents,
    /// Digests of the data for a recording, made within the job that saves.
    pub(crate) digests: Digests,
}

impl Default for Jobs {
    fn default() -> Jobs {
        Jobs {
            has_work: 0,
            next: 0,
            is_ledger_due: false,
            budget_max_ns: BUDGET_MAX_NS,
            last_run: JobsRun::default(),
            documents: Documents::default(),
            digests: Digests::default(),
        }
    }
}

impl Jobs {
    /// Jobs that make these digests too.
    pub fn with_digests(digests: Digests) -> Jobs {
        Jobs { digests, ..Jobs::default() }
    }

    /// Whether any job has something left to do.
    #[inline]
    pub fn have_work(&self) -> bool {
        self.has_work != 0
    }

    /// Whether a job has something left to do.
    pub(crate) fn has_work(&self, job: Job) -> bool {
        self.has_work & (1 << job as u16) != 0
    }

    /// A job has work, if so; else it stays as it is.
    #[inline]
    fn wake_if(&mut self, job: Job, has_work: bool) {
        self.has_work |= u16::from(has_work) << job as u16;
    }

    /// Asks every job to look for work; the cron does this a few times a second.
    pub fn wake(&mut self) {
        self.has_work = (1 << Job::ALL.len()) - 1;
        self.is_ledger_due = true;
    }

    /// Begins a digest of the data for a recording, if one is due.
    pub fn begin_digest_if_due(&mut self, state: &ServerState) {
        if self.digests.begin_if_due(state) {
            self.wake_if(Job::Save, true);
        }
    }

    /// Asks for a snapshot to be gone on with: the disk is ready for more.
    pub fn wake_saving(&mut self, state: &ServerState) {
        let saves = background::has_saving_to_do(state)
            || state.replication.primary.has_disk_work()
            || self.digests.are_being_made()
            || export::has_snapshots(state);
        self.wake_if(Job::Save, saves);
        self.wake_if(Job::Rewrite, state.aof.is_rewriting());
    }

    /// Asks for what commands have left: memory to be freed, a script to be taken further.
    fn wake_for_commands(&mut self, state: &ServerState) {
        self.wake_if(Job::Script, state.scripting.busy().is_some() || state.scripting.debugged.has_running());
        self.wake_if(Job::LazyFree, state.keyspace.has_garbage() || state.tracking.has_garbage());
        self.wake_if(Job::Expiry, state.prefix_jobs.have_work() || state.blocking.key_sizes.have_work());
        self.wake_if(Job::Evict, memory_limit::wants_eviction(state));
        self.wake_if(Job::Metrics, self.documents.are_being_written());
    }

    /// Runs jobs, in turns, until none has work or the budget is spent. `served_ticks` is what the
    /// turn has spent on clients. Gives when they were done, in ticks, if any has run.
    #[inline]
    pub fn run(&mut self, state: &mut ServerState, served_ticks: u64) -> Option<u64> {
        self.wake_for_commands(state);
        let has_begun = state.saving.take_beginning()
            | state.aof.take_beginning()
            | std::mem::take(&mut state.replication.primary.has_room);
        if has_begun || state.is_paced() {
            self.wake_saving(state);
        }
        self.have_work().then(|| self.run_some(state, served_ticks))
    }

    fn run_some(&mut self, state: &mut ServerState, served_ticks: u64) -> u64 {
        let started = state.clock.ticks();
        state.recorder.mark(Part::Timers, started);
        let served_ns = state.clock.ticks_as_nanos(served_ticks);
        let saving_ns = saving_budget_ns(state.config.snapshot_loop_share, served_ns);
        let most_ns = self.budget_max_ns;
        let budget_ns = match served_ns < BUDGET_MIN_NS / 10 {
            true => most_ns,
            false => served_ns.clamp(BUDGET_MIN_NS.min(most_ns), most_ns),
        };
        let deadline = started + state.clock.nanos_as_ticks(budget_ns);
        let saving_deadline = started + state.clock.nanos_as_ticks(saving_ns);
        let mut now = started;
        let mut may_run_script = true;
        while let Some(job) = self.next_job(now < deadline, now < saving_deadline, may_run_script) {
            // A script's slice is as long as all that a turn has for jobs.
            may_run_script &= job != Job::Script;
            self.has_work &= !(1 << job as u16);
            let has_more = self.step(job, state, deadline);
            self.wake_if(job, has_more);
            let ended = state.clock.ticks();
            let step_ns = state.clock.ticks_as_nanos(ended.saturating_sub(now));
            state.loop_stats.note_step(job, step_ns);
            state.recorder.note_job(job, ended.saturating_sub(now));
            now = ended;
        }
        state.recorder.mark_jobs(now);
        let elapsed_ns = state.clock.ticks_as_nanos(now.saturating_sub(started));
        self.last_run = JobsRun { budget_ns, elapsed_ns };
        let budget_ns = budget_ns.max(saving_ns);
        let stats = &mut state.loop_stats;
        stats.longest_jobs_ns = stats.longest_jobs_ns.max(elapsed_ns);
        stats.job_overruns += u64::from(elapsed_ns > budget_ns + budget_ns / 2);
        now
    }

    /// The job whose turn it is, of those that have time left.
    fn next_job(&mut self, has_time: bool, has_time_to_save: bool, may_run_script: bool) -> Option<Job> {
        for _ in 0..Job::ALL.len() {
            let job = Job::ALL[self.next];
            self.next = (self.next + 1) % Job::ALL.len();
            let may_run = match job {
                Job::Save | Job::Rewrite => has_time_to_save,
                Job::Script => has_time && may_run_script,
                _ => has_time,
            };
            if self.has_work(job) && may_run {
                return Some(job);
            }
        }
        None
    }

    /// One step of a job; tells whether there is more to do.
    fn step(&mut self, job: Job, state: &mut ServerState, deadline: u64) -> bool {
        match job {
            Job::Script => run::resume(state) | debugger::resume(state),
            Job::Evict => {
                let step_ticks = state.clock.nanos_as_ticks(STEP_NS);
                removal::evict_slice(state, deadline.min(state.clock.ticks() + step_ticks))
            }
            Job::LazyFree => state.keyspace.reclaim_step(STEP_ELEMENTS) | state.tracking.reclaim_step(STEP_ELEMENTS),
            Job::Shrink => state.keyspace.shrink_step(STEP_ELEMENTS),
            Job::Trim => {
                let allocated_bytes = heap::allocated_bytes();
                heap::trim_step(IDLE_MIN_BYTES + allocated_bytes / IDLE_PART)
            }
            Job::Save => {
                background::save_step(state)
                    | backup::step(state)
                    | full_sync::step(state)
                    | spill::step(state)
                    | export::step(state)
                    | self.digests.step(state)
            }
            Job::Rewrite => {
                let goes_on = rewrite::rewrite_step(state);
                // A base that is complete or cancelled leaves a version to be released.
                self.wake_if(Job::Save, state.saving.has_abandoned());
                goes_on
            }
            Job::FieldExpiry => removal::expire_fields_step(state, STEP_FIELDS),
            Job::Metrics => {
                if std::mem::take(&mut self.is_ledger_due) && state.recorder.hot_keys.is_on() {
                    state.recorder.ledger.step(&state.keyspace);
                }
                self.documents.step(state)
            }
            Job::Expiry => {
                removal::expire_slice(state, deadline)
                    | keys::delete_lost_step(state)
                    | prefix::step(state)
                    | key_sizes::step(state)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saves_wait_once_their_share_of_a_turn_is_spent() {
        let mut jobs = Jobs::default();
        jobs.wake();
        let is_save = |job: Job| matches!(job, Job::Save | Job::Rewrite);
        for _ in 0..Job::ALL.len() {
            assert!(!is_save(jobs.next_job(true, false, true).expect("the others go on")));
        }
        for _ in 0..Job::ALL.len() {
            assert!(is_save(jobs.next_job(false, true, true).expect("saves go on")));
        }
        assert!(jobs.next_job(false, false, true).is_none());
    }

    #[test]
    fn the_share_of_saves_follows_the_load() {
        assert_eq!(saving_budget_ns(50, 0), BUDGET_MAX_NS, "nobody waits");
        assert_eq!(saving_budget_ns(50, BUDGET_MIN_NS / 2), BUDGET_MIN_NS, "they come to their end");
        assert_eq!(saving_budget_ns(50, 200_000), 200_000);
        assert_eq!(saving_budget_ns(20, 400_000), 100_000);
        assert_eq!(saving_budget_ns(50, 10 * BUDGET_MAX_NS), BUDGET_MAX_NS, "clients wait no longer");
    }
}
