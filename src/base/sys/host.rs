//! What of the host costs a server latency or room, read off the files in which the kernel tells it.
//!
//! Nothing is changed: each piece of advice names what to do.

use std::fs;
use std::path::{Path, PathBuf};

/// A share of the processor that other guests of the machine took, from which on it is worth a word: one part in this.
const STEAL_WORTH_A_WORD: u64 = 100;
/// Processor time since the machine's start, in ticks of 10 ms, below which the stolen share says nothing yet.
const STEAL_SAMPLE_MIN: u64 = 6_000;
/// What costs a vDSO call at most; any other clock source costs a system call for each reading.
const QUICK_CLOCKS: [&str; 4] = ["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"];

/// A trait of the host that costs latency or room, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What was found.
    pub finding: String,
    /// What to do.
    pub remedy: &'static str,
}

/// What a server wants of its host.
#[derive(Clone, Copy, Debug)]
pub struct Wants {
    /// Descriptors for clients and its own files.
    pub open_files: u64,
    /// Directive `tcp-backlog`.
    pub backlog: u32,
}

/// The host, by the root of its file system.
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// The host that this process runs on.
    pub fn of_process() -> Host {
        Host { root: PathBuf::from("/") }
    }

    /// A host whose files lie below a folder.
    #[cfg(test)]
    fn below(root: &Path) -> Host {
        Host { root: root.to_path_buf() }
    }

    fn read(&self, path: &str) -> Option<String> {
        let path: &Path = path.trim_start_matches('/').as_ref();
        fs::read_to_string(self.root.join(path)).ok().map(|text| text.trim().to_string())
    }

    /// What stands against this: limits of files and queues.
    pub fn limits(&self, wants: Wants) -> Vec<Advice> {
        [self.open_files(wants.open_files), self.backlog(wants.backlog)].into_iter().flatten().collect()
    }

    /// What costs latency, whatever the configuration.
    pub fn latency(&self) -> Vec<Advice> {
        [
            self.huge_pages(),
            self.overcommit(),
            self.governor(),
            self.quota(),
            self.siblings(),
            self.shared_processor(),
            self.steal(),
            self.clock(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn open_files(&self, wanted: u64) -> Option<Advice> {
        let limits = self.read("/proc/self/limits")?;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        let hard: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
        (hard < wanted).then(|| Advice {
            finding: format!("the process may open {hard} files, and maxclients asks for {wanted}"),
            remedy: "raise the limit (LimitNOFILE of the unit, or ulimit -Hn), or lower maxclients",
        })
    }

    fn backlog(&self, backlog: u32) -> Option<Advice> {
        let limit: u32 = self.read("/proc/sys/net/core/somaxconn")?.parse().ok()?;
        (limit > 0 && limit < backlog).then(|| Advice {
            finding: format!("the kernel caps the queue of new connections at {limit}, and tcp-backlog is {backlog}"),
            remedy: "sysctl net.core.somaxconn=1024, or lower tcp-backlog",
        })
    }

    /// The allocator takes the process out of them by itself, where the kernel lets it.
    fn huge_pages(&self) -> Option<Advice> {
        let is_always = self.read("/sys/kernel/mm/transparent_hugepage/enabled")?.contains("[always]");
        let is_out =
            self.read("/proc/self/status")?.lines().any(|line| line.replace(['\t', ' '], "") == "THP_enabled:0");
        (is_always && !is_out).then(|| Advice {
            finding: "transparent huge pages are always on: a first write to a page can take a hundred times as long"
                .into(),
            remedy: "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        })
    }

    /// Nothing here forks, so only the strict mode is of interest.
    fn overcommit(&self) -> Option<Advice> {
        let mode = self.read("/proc/sys/vm/overcommit_memory")?;
        (mode == "2").then(|| Advice {
            finding: "the kernel hands out no more memory than it has (overcommit_memory is 2): an allocation may fail".into(),
            remedy: "sysctl vm.overcommit_memory=0 (nothing here forks, so 1 is not needed), or set maxmemory well below",
        })
    }

    fn governor(&self) -> Option<Advice> {
        let governor = self.read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")?;
        (governor != "performance").then(|| Advice {
            finding: format!("the processor's frequency follows the load (governor {governor}): the first request after a pause waits"),
            remedy: "cpupower frequency-set -g performance",
        })
    }

    fn quota(&self) -> Option<Advice> {
        let text = self.read("/sys/fs/cgroup/cpu.max")?;
        let mut words = text.split_ascii_whitespace();
        let quota: u64 = words.next()?.parse().ok()?;
        let period: u64 = words.next()?.parse().ok()?;
        (quota < period.saturating_mul(2)).then(|| Advice {
            finding: format!(
                "the control group may use {quota} of every {period} µs of processor time: beyond it the loop stands still"
            ),
            remedy: "give it two cores or no limit (CPUQuota of the unit, limits.cpu of the pod)",
        })
    }

    /// The processor that is all that the process may use, if it may use one alone.
    fn own_processor(&self) -> Option<u32> {
        let status = self.read("/proc/self/status")?;
        status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?.trim().parse().ok()
    }

    /// One core for the process alone, and its other thread is used by someone else.
    fn siblings(&self) -> Option<Advice> {
        let core = self.own_processor()?;
        let siblings = self.read(&format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"))?;
        (siblings != core.to_string()).then(|| Advice {
            finding: format!("the process is bound to processor {core}, which shares a core with others ({siblings})"),
            remedy: "keep other work off these processors, or turn simultaneous multithreading off",
        })
    }

    /// One processor for the process, on which the kernel puts other work too.
    fn shared_processor(&self) -> Option<Advice> {
        let core = self.own_processor()?;
        if self.read("/sys/devices/system/cpu/online")? == core.to_string() {
            return Some(Advice {
                finding: "the machine has one processor: the loop waits while anything else runs".into(),
                remedy: "take a machine with two: one for the loop, one for the kernel and all other programs",
            });
        }
        let isolated = self.read("/sys/devices/system/cpu/isolated")?;
        (!names_number(&isolated, core)).then(|| Advice {
            finding: format!("the process is bound to processor {core}, on which other work may run too"),
            remedy: "isolate the processor (isolcpus= of the kernel, or a cpuset partition), or bind to more than one",
        })
    }

    fn steal(&self) -> Option<Advice> {
        let text = self.read("/proc/stat")?;
        let first = text.lines().next()?.strip_prefix("cpu ")?;
        let times: Vec<u64> = first.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
        let (total, stolen) = (times.iter().take(8).sum::<u64>(), *times.get(7)?);
        let busy = total.saturating_sub(times[3] + times[4]);
        (busy >= STEAL_SAMPLE_MIN && stolen >= busy / STEAL_WORTH_A_WORD).then(|| Advice {
            finding: format!("other guests of this machine took {} % of its busy processor time", stolen * 100 / busy),
            remedy: "take a machine with cores of its own, or expect waits that no server can avoid",
        })
    }

    fn clock(&self) -> Option<Advice> {
        let source = self.read("/sys/devices/system/clocksource/clocksource0/current_clocksource")?;
        (!QUICK_CLOCKS.contains(&source.as_str())).then(|| Advice {
            finding: format!("the kernel's clock source is {source}: each reading of the time is a system call"),
            remedy: "choose tsc (the file /sys/devices/system/clocksource/clocksource0/current_clocksource), where it is stable",
        })
    }
}

/// Whether a list of the kernel's, such as `0-2,7`, holds a number.
fn names_number(list: &str, number: u32) -> bool {
    list.split(',').any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        matches!((first.parse::<u32>(), last.parse::<u32>()), (Ok(first), Ok(last)) if (first..=last).contains(&number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name, files with their texts, and a part of what is said of them.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

    /// A host with these files, and what it is advised.
    fn advised(name: &str, files: &[(&str, &str)]) -> Vec<String> {
        let root = std::env::temp_dir().join(format!("oneloop-host-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
            fs::write(path, text).expect("it can be written");
        }
        let host = Host::below(&root);
        let advice = [host.limits(Wants { open_files: 10_032, backlog: 511 }), host.latency()].concat();
        let _ = fs::remove_dir_all(&root);
        advice.into_iter().map(|advice| advice.finding).collect()
    }

    const LIMITS: &str = "/proc/self/limits";
    const STATUS: &str = "/proc/self/status";
    const HUGE_PAGES: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
    const GOVERNOR: &str = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    const CLOCK: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    const SIBLINGS: &str = "/sys/devices/system/cpu/cpu3/topology/thread_siblings_list";

    const ONLINE: &str = "/sys/devices/system/cpu/online";
    const ISOLATED: &str = "/sys/devices/system/cpu/isolated";

    #[test]
    fn a_host_that_tells_nothing_is_left_alone() {
        assert!(advised("empty", &[]).is_empty());
    }

    #[test]
    fn a_host_that_is_set_up_well_is_left_alone() {
        let files = [
            (
                LIMITS,
                "Limit Soft Hard Units\nMax open files            1024                 1048576              files\n",
            ),
            ("/proc/sys/net/core/somaxconn", "4096\n"),
            (HUGE_PAGES, "[always] madvise never\n"),
            (STATUS, "Name:\toneloop\nTHP_enabled:\t0\nCpus_allowed_list:\t3\n"),
            (SIBLINGS, "3\n"),
            (ONLINE, "0-7\n"),
            (ISOLATED, "1,3-5\n"),
            ("/proc/sys/vm/overcommit_memory", "0\n"),
            (GOVERNOR, "performance\n"),
            ("/sys/fs/cgroup/cpu.max", "max 100000\n"),
            ("/proc/stat", "cpu  100000 0 5000 900000 0 0 0 10 0 0\n"),
            (CLOCK, "tsc\n"),
        ];
        assert!(advised("well", &files).is_empty());
    }

    #[test]
    fn each_trait_that_costs_latency_is_named() {
        let cases: [Case<'_>; 12] = [
            (
                "files",
                &[(LIMITS, "Max open files            1024                 4096              files\n")],
                "4096 files",
            ),
            ("backlog", &[("/proc/sys/net/core/somaxconn", "128\n")], "at 128"),
            ("pages", &[(HUGE_PAGES, "[always] madvise never\n"), (STATUS, "THP_enabled:\t1\n")], "huge pages"),
            ("memory", &[("/proc/sys/vm/overcommit_memory", "2\n")], "overcommit_memory is 2"),
            ("governor", &[(GOVERNOR, "powersave\n")], "powersave"),
            ("quota", &[("/sys/fs/cgroup/cpu.max", "50000 100000\n")], "50000 of every 100000"),
            ("siblings", &[(STATUS, "Cpus_allowed_list:\t3\n"), (SIBLINGS, "3,7\n")], "(3,7)"),
            ("only", &[(STATUS, "Cpus_allowed_list:\t0\n"), (ONLINE, "0\n")], "has one processor"),
            (
                "shared",
                &[(STATUS, "Cpus_allowed_list:\t3\n"), (ONLINE, "0-7\n"), (ISOLATED, "1,4-5\n")],
                "processor 3, on which other work",
            ),
            (
                "none isolated",
                &[(STATUS, "Cpus_allowed_list:\t3\n"), (ONLINE, "0-7\n"), (ISOLATED, "\n")],
                "processor 3, on which other work",
            ),
            ("steal", &[("/proc/stat", "cpu  90000 0 5000 900000 0 0 0 5000 0 0\n")], "took 5 %"),
            ("clock", &[(CLOCK, "hpet\n")], "hpet"),
        ];
        for (name, files, expected) in cases {
            let advice = advised(name, files);
            assert!(matches!(advice.as_slice(), [one] if one.contains(expected)), "{name}: {advice:?}");
        }
    }

    #[test]
    fn files_that_hold_anything_else_are_passed_over() {
        let files =
            [(LIMITS, "\n"), ("/proc/stat", "cpu x"), ("/sys/fs/cgroup/cpu.max", "1"), (STATUS, "Cpus_allowed_list:")];
        assert!(advised("odd", &files).is_empty());
    }
}
