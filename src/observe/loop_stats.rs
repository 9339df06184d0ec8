//! What the loop measures of itself.

use crate::net::spin::SpinCounts;

/// One kind of background work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Take scripts further that are suspended or debugged.
    Script,
    /// Free what was thrown away.
    LazyFree,
    /// Make room at the memory limit.
    Evict,
    /// Remove keys that are due, and keys of lost slots; work on keys with a prefix.
    Expiry,
    /// Remove fields of hashes that are due.
    FieldExpiry,
    /// Give back room in tables that few keys use.
    Shrink,
    /// Give memory that is not in use back to the system.
    Trim,
    /// Write a snapshot of the data.
    Save,
    /// Write the append-only file anew.
    Rewrite,
    /// Write down what the HTTP port is asked for: metrics, frames of the live view, traces. Draw keys for the ledger.
    Metrics,
}

impl Job {
    /// All jobs, in the order of their turns.
    pub const ALL: [Job; 10] = [
        Job::Script,
        Job::LazyFree,
        Job::Evict,
        Job::Expiry,
        Job::FieldExpiry,
        Job::Shrink,
        Job::Trim,
        Job::Save,
        Job::Rewrite,
        Job::Metrics,
    ];

    /// The name in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Job::Script => "script",
            Job::LazyFree => "reclaim",
            Job::Evict => "evict",
            Job::Expiry => "expiry",
            Job::FieldExpiry => "field_expiry",
            Job::Shrink => "shrink",
            Job::Trim => "trim",
            Job::Save => "save",
            Job::Rewrite => "rewrite",
            Job::Metrics => "metrics",
        }
    }
}

/// A part of a turn of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Serving clients, and taking in new ones.
    Serving,
    /// Housekeeping and deadlines.
    Timers,
    /// Loading data at the start.
    Loading,
    /// Background work.
    Jobs,
    /// Sending what clients were told by others, and closing.
    Finishing,
}

impl Phase {
    /// All phases, in their order within a turn.
    pub const ALL: [Phase; 5] = [Phase::Serving, Phase::Timers, Phase::Loading, Phase::Jobs, Phase::Finishing];

    /// The name in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Serving => "serving",
            Phase::Timers => "timers",
            Phase::Loading => "loading",
            Phase::Jobs => "jobs",
            Phase::Finishing => "finishing",
        }
    }
}

/// What one kind of job took, in ns.
#[derive(Clone, Copy, Debug, Default)]
pub struct JobFigures {
    pub sum_ns: u64,
    pub steps: u64,
    pub longest_step_ns: u64,
}

/// Lengths of turns that are told apart: class `c` holds those of less than 2^`c` ns (and not of less than half of
/// that).
pub const TURN_CLASSES: usize = 40;

/// Times are in ns; each is summed over all turns of the loop since the start.
#[derive(Clone, Copy, Debug)]
pub struct LoopStats {
    /// Turns of the loop.
    pub turns: u64,
    /// Time within `poll`.
    pub waiting_ns: u64,
    /// Time outside of `poll`.
    pub busy_ns: u64,
    /// The parts of it, by phase.
    pub phases_ns: [u64; Phase::ALL.len()],
    /// What each job took.
    pub jobs: [JobFigures; Job::ALL.len()],
    /// Turns by their length.
    pub turn_classes: [u64; TURN_CLASSES],
    /// Turns in which jobs overran their budget by more than half.
    pub job_overruns: u64,
    /// The housekeeping.
    pub cron_ns: u64,
    /// Writing to the append-only file, and answering the clients that waited for that.
    pub appending_ns: u64,
    /// Most commands run in one turn.
    pub most_commands: u64,
    pub longest_turn_ns: u64,
    pub longest_jobs_ns: u64,
    /// Spins before a sleep, noted by the cron.
    pub spin: SpinCounts,
    /// Rates over the last second and a half, taken by the cron.
    pub recent: RecentRates,
}

impl Default for LoopStats {
    fn default() -> LoopStats {
        LoopStats {
            turns: 0,
            waiting_ns: 0,
            busy_ns: 0,
            phases_ns: [0; Phase::ALL.len()],
            jobs: [JobFigures::default(); Job::ALL.len()],
            turn_classes: [0; TURN_CLASSES],
            job_overruns: 0,
            cron_ns: 0,
            appending_ns: 0,
            most_commands: 0,
            longest_turn_ns: 0,
            longest_jobs_ns: 0,
            spin: SpinCounts::default(),
            recent: RecentRates::default(),
        }
    }
}

impl LoopStats {
    /// Notes a turn: how long the poll before it waited, and how long each phase took, in ns.
    pub fn note_turn(&mut self, waited_ns: u64, phases_ns: [u64; Phase::ALL.len()], commands: u64) {
        let turn_ns: u64 = phases_ns.iter().sum();
        self.turns += 1;
        self.waiting_ns += waited_ns;
        self.busy_ns += turn_ns;
        for (sum_ns, phase_ns) in self.phases_ns.iter_mut().zip(phases_ns) {
            *sum_ns += phase_ns;
        }
        let class = u64::BITS - turn_ns.leading_zeros();
        self.turn_classes[(class as usize).min(TURN_CLASSES - 1)] += 1;
        self.most_commands = self.most_commands.max(commands);
        self.longest_turn_ns = self.longest_turn_ns.max(turn_ns);
    }

    /// Notes one step of a job.
    #[inline]
    pub fn note_step(&mut self, job: Job, step_ns: u64) {
        let stats = &mut self.jobs[job as usize];
        stats.sum_ns += step_ns;
        stats.steps += 1;
        stats.longest_step_ns = stats.longest_step_ns.max(step_ns);
    }

    /// Time of a phase, in ns.
    pub fn phase_ns(&self, phase: Phase) -> u64 {
        self.phases_ns[phase as usize]
    }

    /// What a job took.
    pub fn job(&self, job: Job) -> &JobFigures {
        &self.jobs[job as usize]
    }
}

/// Smoothed rates per second.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecentRates {
    pub commands: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
    pub replication_input_bytes: u64,
    pub replication_output_bytes: u64,
    pub turns: u64,
    /// Mean length of a turn, in µs.
    pub turn_us: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_told_apart_by_their_length() {
        let mut stats = LoopStats::default();
        for turn_ns in [0, 1, 1023, 1024, u64::MAX / 2] {
            stats.note_turn(7, [turn_ns, 0, 0, 0, 0], 1);
        }
        let classes: Vec<usize> = (0..TURN_CLASSES).filter(|class| stats.turn_classes[*class] > 0).collect();
        assert_eq!(classes, [0, 1, 10, 11, TURN_CLASSES - 1]);
        assert_eq!(stats.turns, stats.turn_classes.iter().sum::<u64>());
        assert_eq!(stats.busy_ns, stats.phase_ns(Phase::Serving));
        assert_eq!((stats.waiting_ns, stats.longest_turn_ns), (35, u64::MAX / 2));
    }

    #[test]
    fn places_follow_the_order_of_the_kinds() {
        for (place, job) in Job::ALL.iter().enumerate() {
            assert_eq!(*job as usize, place);
        }
        for (place, phase) in Phase::ALL.iter().enumerate() {
            assert_eq!(*phase as usize, place);
        }
    }
}
