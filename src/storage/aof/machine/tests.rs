//! The machine alone: every outcome at every moment.

use crate::storage::aof::machine::{Action, Event, Machine, Order, State};
use crate::storage::aof::paths::AofPaths;
use crate::storage::aof::{BaseFormat, Manifest};

fn places() -> AofPaths {
    AofPaths { folder: "folder".into(), file_name: "a".into() }
}

/// A machine with what it has ordered.
#[derive(Default)]
struct Driven {
    machine: Machine,
    orders: Vec<Order>,
    actions: Vec<Action>,
}

impl Driven {
    fn on(&mut self, event: Event) {
        let actions = self.machine.on(event, &places());
        for action in &actions {
            if let Action::Submit(order) = action {
                self.orders.push(order.clone());
            }
        }
        self.actions.extend(actions);
    }

    /// The order under way has this outcome.
    fn done(&mut self, outcome: Result<(), &str>) {
        let number = self.orders.last().map_or(0, |order| order.version);
        self.on(Event::OrderDone(number, outcome.map_err(str::to_string)));
    }

    fn begin(&mut self) {
        self.on(Event::Begin(BaseFormat::Snapshot));
    }

    /// Goes through a whole attempt.
    fn rewrite(&mut self) {
        self.begin();
        self.done(Ok(()));
        self.on(Event::Switched);
        self.on(Event::BaseWritten);
        self.done(Ok(()));
        if self.machine.is_busy() {
            self.done(Ok(()));
        }
        assert!(!self.machine.is_rewriting());
    }
}

fn on() -> Driven {
    let mut driven = Driven::default();
    driven.on(Event::TurnOn);
    driven.rewrite();
    assert_eq!(driven.machine.state(), State::On);
    driven
}

#[test]
fn the_file_is_on_once_its_first_base_is_listed() {
    let driven = on();
    let text = "file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\n";
    assert_eq!(driven.machine.manifest().text(), text);
}

/// Yes, no and yes again: the answer to the first wish is not taken for that to the second.
#[test]
fn the_answer_to_a_rewrite_that_was_given_up_is_not_taken_for_another() {
    let mut driven = Driven::default();
    driven.on(Event::TurnOn);
    driven.begin();
    let first = driven.orders[0].clone();
    driven.on(Event::TurnOff);
    driven.on(Event::TurnOn);
    driven.begin();
    assert_eq!(driven.orders.len(), 1, "one order at a time");
    driven.on(Event::OrderDone(first.version, Ok(())));
    let second = driven.orders.last().cloned().expect("the next order");
    assert_eq!(driven.orders.len(), 2);
    assert_ne!(first.create, second.create, "each has a name of its own");
    let switches = |driven: &Driven| {
        let is_switch = |action: &&Action| matches!(action, Action::Switch { .. });
        driven.actions.iter().filter(is_switch).count()
    };
    assert_eq!(switches(&driven), 0);
    driven.on(Event::OrderDone(second.version, Ok(())));
    assert_eq!(switches(&driven), 1);
    // The same answer once more changes nothing.
    driven.on(Event::OrderDone(second.version, Ok(())));
    assert_eq!(switches(&driven), 1);
}

/// What was listed by an order that came too late to be called back is known, and not listed as something else again.
#[test]
fn a_list_that_was_written_though_it_was_not_wanted_is_the_list() {
    let mut driven = Driven::default();
    driven.on(Event::TurnOn);
    driven.begin();
    driven.done(Ok(()));
    driven.on(Event::Switched);
    driven.on(Event::BaseWritten);
    driven.on(Event::TurnOff);
    driven.on(Event::TurnOn);
    driven.begin();
    driven.done(Ok(()));
    assert_eq!(driven.machine.state(), State::Starting);
    assert_eq!(driven.machine.manifest().increments.len(), 1);
    driven.done(Ok(()));
    driven.on(Event::Switched);
    driven.on(Event::BaseWritten);
    let listed = driven.orders.last().and_then(|order| order.store.clone());
    let text = "file a.2.base.rdb seq 2 type b\nfile a.1.incr.aof seq 1 type h\nfile a.1.base.rdb seq 1 type h\n\
                file a.2.incr.aof seq 2 type i\n";
    assert_eq!(listed.expect("a list").text(), text);
}

/// Whatever may have become of the list, its numbers are not given again.
#[test]
fn names_that_may_be_listed_are_not_used_again() {
    let mut driven = on();
    driven.begin();
    driven.done(Err("no"));
    driven.begin();
    driven.done(Ok(()));
    driven.on(Event::Switched);
    driven.on(Event::BaseWritten);
    driven.done(Err("no"));
    assert_eq!(driven.machine.manifest().increments.len(), 2);
    driven.rewrite();
    let text = "file a.3.base.rdb seq 3 type b\nfile a.4.incr.aof seq 4 type i\n";
    assert_eq!(driven.machine.manifest().text(), text);
    assert_eq!(driven.machine.state(), State::On);
}

/// Versions only grow, also when history goes while a base is being written.
#[test]
fn orders_come_one_at_a_time_and_in_order() {
    let mut driven = on();
    driven.machine.keeps_history = true;
    driven.rewrite();
    assert!(!driven.machine.manifest().history.is_empty());
    driven.begin();
    driven.on(Event::RemoveHistory);
    assert_eq!(driven.orders.last().map(|order| order.remove.len()), Some(0));
    driven.done(Ok(()));
    assert_eq!(driven.orders.last().map(|order| order.remove.len()), Some(2));
    driven.on(Event::Switched);
    driven.on(Event::BaseWritten);
    let before = driven.orders.len();
    driven.done(Ok(()));
    assert_eq!(driven.orders.len(), before + 1, "now the base is listed");
    assert!(driven.machine.manifest().history.is_empty());
    let versions: Vec<u64> = driven.orders.iter().map(|order| order.version).collect();
    assert!(versions.is_sorted_by(|before, after| before < after));
}

/// Failure at any moment: the machine is ready for the next attempt, and says what is to be dropped.
#[test]
fn a_failure_at_any_moment_leaves_nothing_behind() {
    for starting in [true, false] {
        for moment in 0..4 {
            let mut driven = match starting {
                true => Driven::default(),
                false => on(),
            };
            if starting {
                driven.on(Event::TurnOn);
            }
            driven.actions.clear();
            driven.begin();
            let mut steps = [Event::OrderDone(0, Ok(())), Event::Switched, Event::BaseWritten].into_iter();
            for _ in 0..moment {
                match steps.next() {
                    Some(Event::OrderDone(..)) => driven.done(Ok(())),
                    Some(event) => driven.on(event),
                    None => {}
                }
            }
            driven.on(Event::Failed("no".into()));
            assert!(!driven.machine.is_rewriting());
            assert_eq!(driven.actions.contains(&Action::DropLog), starting);
            assert!(driven.actions.contains(&Action::NoteFailure("no".into())));
            let state = driven.machine.state();
            assert_eq!(state == State::Starting, starting, "it is still wanted");
            // What was ordered before comes to its end, and then the next attempt goes through.
            if driven.machine.is_busy() {
                driven.done(Err("given up"));
            }
            driven.rewrite();
            assert_eq!(driven.machine.state(), State::On);
        }
    }
}

#[test]
fn an_empty_list_is_no_list() {
    let driven = Driven::default();
    assert_eq!(driven.machine.manifest(), &Manifest::default());
    assert_eq!(driven.machine.state(), State::Off);
}
