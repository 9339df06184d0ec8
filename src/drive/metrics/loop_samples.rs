//! Families on the loop: its phases and parts, its jobs, what waited, and for whom it worked.

use crate::observe::distribution::CLASSES;
use crate::observe::loop_stats::{Job, Phase};
use crate::observe::turn::Part;

use super::text::{Text, seconds};
use super::view::View;

/// Lengths of turns and waits that are told apart in the metrics: the classes of 1 µs to 1 s.
const SHOWN_CLASSES: std::ops::RangeInclusive<usize> = 10..=30;

pub(super) fn write_phases(view: &View<'_>, name: &str, text: &mut Text) {
    for phase in Phase::ALL {
        let labels = [("phase", phase.name())];
        text.sample(name, &labels, seconds(view.turns.phase_ns(phase)));
    }
}

pub(super) fn write_parts(view: &View<'_>, name: &str, text: &mut Text) {
    for part in Part::ALL {
        let part_ns = view.state.recorder.parts_ns[part as usize];
        text.sample(name, &[("part", part.name())], seconds(part_ns as u64));
    }
}

pub(super) fn write_turns(view: &View<'_>, name: &str, text: &mut Text) {
    write_classes(&view.turns.turn_classes, view.turns.busy_ns, name, text);
}

pub(super) fn write_waiting(view: &View<'_>, name: &str, text: &mut Text) {
    let waiting = &view.state.recorder.waiting;
    write_classes(&waiting.classes, waiting.sum_ns, name, text);
}

pub(super) fn write_leaving(view: &View<'_>, name: &str, text: &mut Text) {
    let leaving = &view.state.recorder.leaving;
    write_classes(&leaving.classes, leaving.sum_ns, name, text);
}

pub(super) fn write_disk_waits(view: &View<'_>, name: &str, text: &mut Text) {
    let disk = &view.state.recorder.disk;
    write_classes(&disk.classes, disk.sum_ns, name, text);
}

/// A histogram of times in classes of powers of two.
fn write_classes(counts: &[u64; CLASSES], sum_ns: u64, name: &str, text: &mut Text) {
    let bound = |class: usize| match class {
        class if class < *SHOWN_CLASSES.start() => Some(1 << SHOWN_CLASSES.start()),
        class if SHOWN_CLASSES.contains(&class) => Some(1 << class),
        _ => None,
    };
    // What is below the first bound is shown with it.
    let (below, shown) = counts.split_at(*SHOWN_CLASSES.start());
    let mut below: u64 = below.iter().sum();
    let classes = (*SHOWN_CLASSES.start()..CLASSES).zip(shown);
    let classes = classes.map(|(class, count)| (bound(class), count + std::mem::take(&mut below)));
    text.histogram(name, &[], classes, sum_ns);
}

pub(super) fn write_user_times(view: &View<'_>, name: &str, text: &mut Text) {
    for user in view.state.users.iter().filter(|user| user.usage().requests > 0) {
        let time_ns = view.state.clock.ticks_as_nanos(user.usage().ticks);
        text.sample(name, &[("user", &String::from_utf8_lossy(user.name()))], seconds(time_ns));
    }
}

pub(super) fn write_database_times(view: &View<'_>, name: &str, text: &mut Text) {
    let databases = view.state.recorder.databases.iter().enumerate();
    for (number, usage) in databases.filter(|(_, usage)| usage.requests > 0) {
        let time_ns = view.state.clock.ticks_as_nanos(usage.ticks);
        text.sample(name, &[("db", &format!("db{number}"))], seconds(time_ns));
    }
}

pub(super) fn write_job_times(view: &View<'_>, name: &str, text: &mut Text) {
    for job in Job::ALL {
        let labels = [("job", job.name())];
        text.sample(name, &labels, seconds(view.turns.job(job).sum_ns));
    }
}

pub(super) fn write_job_steps(view: &View<'_>, name: &str, text: &mut Text) {
    for job in Job::ALL {
        text.sample(name, &[("job", job.name())], view.turns.job(job).steps);
    }
}

pub(super) fn write_longest_steps(view: &View<'_>, name: &str, text: &mut Text) {
    for job in Job::ALL {
        let labels = [("job", job.name())];
        text.sample(name, &labels, seconds(view.turns.job(job).longest_step_ns));
    }
}
