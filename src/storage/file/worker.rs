//! A thread that does what would keep the loop waiting, one task after the other: forcing files to the disk, removing
//! them.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::operations::simulated::SimulatedDisk;
use super::operations::{self, Disk};
use crate::base::sys::allocator::Balance;
use crate::base::tape::{self, Kind};
use crate::base::wake::Wake;

/// What is to be done.
pub type Task = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// The thread. It ends when this is dropped and all tasks are done.
pub struct Worker {
    orders: Orders,
    outcomes: Receiver<Outcome>,
}

/// What has become of a task.
struct Outcome {
    ticket: u64,
    result: io::Result<()>,
    /// Tasks are allocated by the loop and freed by the thread.
    balance: Balance,
}

impl Outcome {
    fn told(self) -> (u64, io::Result<()>) {
        self.balance.settle();
        (self.ticket, self.result)
    }
}

/// Where tasks go.
enum Orders {
    Thread(Sender<(u64, Task)>),
    /// Nowhere: a tape has what became of them.
    Replayed,
    /// The test decides when a task is done.
    Stepped {
        disk: SimulatedDisk,
        helper: usize,
        report: Sender<Outcome>,
        wake: Wake,
    },
}

impl Worker {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// No thread could be started.
    pub fn start(disk: &Disk, name: &str, wake: Wake) -> io::Result<Worker> {
        let (report, outcomes) = channel();
        let orders = match disk {
            Disk::System => {
                let orders = tape::pass_thing(Kind::Helper, || start_thread(name, report, wake))?;
                orders.map_or(Orders::Replayed, Orders::Thread)
            }
            Disk::Absent => return Err(operations::refusal()),
            Disk::Simulated(disk) => Orders::Stepped { disk: disk.clone(), helper: disk.start_helper(), report, wake },
        };
        Ok(Worker { orders, outcomes })
    }

    /// Hands a task over; its outcome comes with the ticket. O(1).
    pub fn submit(&self, ticket: u64, task: Task) {
        match &self.orders {
            Orders::Thread(orders) => {
                // The thread lives as long as this.
                let _ = orders.send((ticket, task));
            }
            Orders::Replayed => {}
            Orders::Stepped { disk, helper, report, wake } => {
                let (report, wake) = (report.clone(), wake.clone());
                let step = move || {
                    // A receiver that is gone needs no result.
                    let _ = report.send(Outcome { ticket, result: task(), balance: Balance::default() });
                    wake.wake();
                };
                disk.give(*helper, Box::new(step));
            }
        }
    }

    /// The outcome of the next task that is done, if one is.
    pub fn next_outcome(&self) -> Option<(u64, io::Result<()>)> {
        tape::pass(Kind::Helper, || self.outcomes.try_recv().ok().map(Outcome::told))
    }

    /// The same, waited for.
    pub fn wait_outcome(&self) -> Option<(u64, io::Result<()>)> {
        if let Orders::Stepped { disk, helper, .. } = &self.orders {
            disk.run_helper(*helper);
            return self.next_outcome();
        }
        tape::pass(Kind::Helper, || self.outcomes.recv().ok().map(Outcome::told))
    }
}

fn start_thread(name: &str, report: Sender<Outcome>, wake: Wake) -> io::Result<Sender<(u64, Task)>> {
    let (orders, incoming) = channel::<(u64, Task)>();
    thread::Builder::new().name(name.into()).spawn(move || {
        for (ticket, task) in incoming {
            let result = task();
            // A receiver that is gone needs no result.
            let _ = report.send(Outcome { ticket, result, balance: Balance::take() });
            wake.wake();
        }
    })?;
    Ok(orders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_done_in_order() {
        let worker = Worker::start(&Disk::System, "test", Wake::default()).unwrap();
        for ticket in 0..3 {
            worker.submit(
                ticket,
                Box::new(move || match ticket {
                    1 => Err(io::Error::other("no")),
                    _ => Ok(()),
                }),
            );
        }
        let outcomes: Vec<(u64, bool)> =
            (0..3).filter_map(|_| worker.wait_outcome()).map(|(ticket, outcome)| (ticket, outcome.is_ok())).collect();
        assert_eq!(outcomes, [(0, true), (1, false), (2, true)]);
    }
}
