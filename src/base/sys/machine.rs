//! What the server reads of its process and of the machine: one place, so that a run can be given other readings. What
//! steers the server and what it shows (INFO, MEMORY, metrics) asks here.

use std::io;

use super::allocator;
use super::resources::{self, OpenFileLimit, ProcessorTime, Whose};
use crate::base::tape::{self, Kind};

/// Where the readings come from.
#[derive(Clone, Debug, Default)]
pub enum Machine {
    /// The operating system.
    #[default]
    System,
    /// They are given.
    Scripted(Box<Readings>),
}

/// Readings that are given. They stay as they are until others are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    pub process_id: u32,
    pub operating_system: String,
    pub total_memory_bytes: u64,
    pub resident_bytes: u64,
    /// Of the process, of its children and of the loop's thread.
    pub processor_times: [ProcessorTime; 3],
    /// What the allocator says of itself.
    pub allocator_statistics: String,
}

impl Machine {
    /// The number of this process.
    pub fn process_id(&self) -> u32 {
        match self {
            Machine::System => tape::pass(Kind::Machine, std::process::id),
            Machine::Scripted(readings) => readings.process_id,
        }
    }

    /// The system's name, release and machine.
    pub fn operating_system(&self) -> String {
        match self {
            Machine::System => tape::pass(Kind::Machine, resources::operating_system),
            Machine::Scripted(readings) => readings.operating_system.clone(),
        }
    }

    /// The physical memory, in bytes; 0: unknown.
    pub fn total_memory_bytes(&self) -> u64 {
        match self {
            Machine::System => tape::pass(Kind::Machine, resources::total_memory_bytes),
            Machine::Scripted(readings) => readings.total_memory_bytes,
        }
    }

    /// The memory of this process that is in RAM, in bytes; 0: unknown.
    pub fn resident_bytes(&self) -> u64 {
        match self {
            Machine::System => tape::pass(Kind::Machine, resources::resident_bytes),
            Machine::Scripted(readings) => readings.resident_bytes,
        }
    }

    /// The processor time used so far.
    pub fn processor_time(&self, whose: Whose) -> ProcessorTime {
        match self {
            Machine::System => {
                let (user_us, system_us) = tape::pass(Kind::Machine, || {
                    let time = resources::processor_time(whose);
                    (time.user_us, time.system_us)
                });
                ProcessorTime { user_us, system_us }
            }
            Machine::Scripted(readings) => readings.processor_times[whose as usize],
        }
    }

    /// What the allocator says of itself, as text.
    pub fn allocator_statistics(&self) -> String {
        match self {
            Machine::System => tape::pass(Kind::Machine, allocator::statistics),
            Machine::Scripted(readings) => readings.allocator_statistics.clone(),
        }
    }

    /// Raises the limit on open files to `wanted`, or as near to it as the system allows. A machine whose readings are
    /// given allows everything.
    ///
    /// Errors: the limit cannot be read.
    pub fn raise_open_files(&self, wanted: u64) -> io::Result<OpenFileLimit> {
        match self {
            Machine::System => {
                let limit = tape::pass(Kind::Machine, || {
                    let limit = resources::raise_open_files(wanted)?;
                    Ok::<_, io::Error>(((limit.before, limit.now), limit.refusal))
                });
                limit.map(|((before, now), refusal)| OpenFileLimit { before, now, refusal })
            }
            Machine::Scripted(_) => Ok(OpenFileLimit { before: wanted, now: wanted, refusal: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_that_are_given_are_shown() {
        let time = |user_us| ProcessorTime { user_us, system_us: 2 * user_us };
        let readings = Readings {
            process_id: 7,
            operating_system: "Linux 1 test".to_string(),
            total_memory_bytes: 8,
            resident_bytes: 9,
            processor_times: [time(1), time(2), time(3)],
            allocator_statistics: "none".to_string(),
        };
        let machine = Machine::Scripted(Box::new(readings));
        assert_eq!((machine.process_id(), machine.total_memory_bytes(), machine.resident_bytes()), (7, 8, 9));
        let times = [Whose::Process, Whose::Children, Whose::Thread].map(|whose| machine.processor_time(whose).user_us);
        assert_eq!(times, [1, 2, 3]);
        assert_eq!(
            (machine.operating_system(), machine.allocator_statistics()),
            ("Linux 1 test".into(), "none".into())
        );
        assert_eq!(machine.raise_open_files(5).unwrap().now, 5);
    }

    #[test]
    fn the_systems_readings_are_plausible() {
        let machine = Machine::System;
        assert_eq!(machine.process_id(), std::process::id());
        assert!(machine.total_memory_bytes() > machine.resident_bytes());
    }
}
