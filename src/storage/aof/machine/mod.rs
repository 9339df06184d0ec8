//! What a rewrite does next, and what turning the append-only file on or off does to it: a state machine without I/O.
//!
//! The file itself is in one of three states; in each of them the file may be written anew, which is an *attempt*:
//!
//! ```text
//!            TurnOn                     first base listed
//!    Off ─────────────► Starting ─────────────────────────────► On
//!     ▲                   │  ▲ │                                │
//!     │      TurnOff      │  └─┘ attempt failed: wanted again   │ TurnOff
//!     └───────────────────┴─────────────────────────────────────┘
//!
//!    an attempt:
//!    (none) ─Begin─► Waiting ─► Preparing ─► Switching ─► Writing ─► Written ─► Listing ─► Cleaning ─► (none)
//!                    until no   the next     the log is   the base   until no   the base   history is
//!                    order is   increment    the new      is being   order is   gets its   no longer
//!                    under way  is created,  increment,   written    under way  name and   listed, and
//!                               listed if    the data                           is listed  removed
//!                               On           are pinned
//!    any phase ─ failed, given up, TurnOn, TurnOff ─► (none)
//! ```
//!
//! Three rules make late answers harmless:
//!
//! - *One order at a time.* All that changes the list of parts is an order to one thread, and the next order is made
//!   from the list that the order before has left behind. So the list here is what is on the disk, whatever became of
//!   the attempt that asked for it. An order's outcome bears its number; an attempt's order bears the attempt's
//!   generation, and one that has been given up when the thread comes to it does nothing.
//! - *Every attempt has names of its own* for what is not complete, made of its generation. Nothing but an order gives
//!   a file a name that is listed, and the numbers in such names are never used twice, not even after a failure.
//! - *Nothing is gathered without a log.* The driver follows the log that the actions open and drop; there is no second
//!   switch.
//!
//! ```text
//! state      log that is appended to           a crash finds
//! Off        none                              the list as it was
//! Starting   none, then a temporary increment  the list as it was: no list names what is not complete
//! On         the last increment in use         the list: base, increments up to the one in use, perhaps an empty one behind it
//! ```

#[cfg(test)]
mod tests;

use crate::storage::aof::{BaseFormat, Manifest};

use crate::storage::aof::paths::AofPaths;

/// Whether anything is appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Off,
    On,
    /// It was turned on and its first base is being written.
    Starting,
}

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Waiting,
    Preparing,
    Switching,
    Writing,
    Written,
    Listing,
    Cleaning,
}

/// One rewrite.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    generation: u64,
    format: BaseFormat,
    phase: Phase,
}

/// What has happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    TurnOn,
    TurnOff,
    /// The file is to be written anew, the base in this form.
    Begin(BaseFormat),
    /// The rewrite that is going on is no longer wanted.
    GiveUp,
    /// The order of this number has been carried out, or could not be.
    OrderDone(u64, Result<(), String>),
    /// The log was opened, and the data are pinned.
    Switched,
    /// The base is complete, under its temporary name.
    BaseWritten,
    /// The attempt cannot go on.
    Failed(String),
    /// What is history is no longer to be listed.
    RemoveHistory,
}

/// A file's two names.
pub(crate) type Renamed = (String, String);

/// What the thread is to do. Steps of one order are done one after the other, up to the first that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// The list of parts of this version is written at the end; also the number of the order.
    pub version: u64,
    /// The attempt, where giving that up is to keep the order from being carried out.
    pub generation: Option<u64>,
    /// A file to be created, in place of any unlisted one of the name.
    pub create: Option<String>,
    pub rename: Vec<Renamed>,
    pub store: Option<Manifest>,
    /// To be removed once the list is written.
    pub remove: Vec<String>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Submit(Order),
    /// Open this log, if any, pin the data, and begin to write the base under this name.
    Switch {
        log: Option<String>,
        base: String,
        format: BaseFormat,
    },
    /// Stop writing the base.
    DropBase,
    /// Nothing is appended any more, and what was is not wanted: the first base is not complete.
    DropLog,
    /// Remove these files, none of which is listed, once the thread has done what it has been told before.
    Remove(Vec<String>),
    NoteFailure(String),
    NoteSuccess,
    NoteHistoryKept(String),
}

/// An order that is under way.
#[derive(Clone, Debug)]
struct UnderWay {
    order: Order,
    purpose: Phase,
    generation: u64,
}

/// The state of all that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    state: State,
    generation: u64,
    attempt: Option<Attempt>,
    /// What is listed on the disk.
    manifest: Manifest,
    version: u64,
    under_way: Option<UnderWay>,
    wants_removal: bool,
    /// Whether what a rewrite has made history stays until its removal is requested.
    pub keeps_history: bool,
}

impl Machine {
    pub fn state(&self) -> State {
        self.state
    }

    pub fn is_rewriting(&self) -> bool {
        self.attempt.is_some()
    }

    /// Whether an order is under way.
    pub fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    fn phase(&self) -> Option<Phase> {
        self.attempt.map(|attempt| attempt.phase)
    }

    /// What is listed on the disk.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Attempts up to this one are over or given up.
    pub fn given_up(&self) -> u64 {
        match self.attempt {
            Some(attempt) => attempt.generation - 1,
            None => self.generation,
        }
    }

    /// Whether the outcome of this order begins another file, which may not happen amid a unit.
    pub fn begins_file(&self, number: u64) -> bool {
        let purpose = self
            .under_way
            .as_ref()
            .map(|under_way| under_way.order.version == number && under_way.purpose == Phase::Preparing);
        purpose == Some(true) && self.phase() == Some(Phase::Preparing)
    }

    /// This is listed on the disk: it was read there, or written before there was any order.
    pub fn adopt(&mut self, manifest: Manifest) {
        self.manifest = manifest;
    }

    /// The last increment is being appended to: the server has loaded what is listed, and begins.
    pub fn begin_on(&mut self) {
        self.state = State::On;
    }

    /// The version of a list that is written before there is any order.
    pub fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// The next step.
    pub fn on(&mut self, event: Event, places: &AofPaths) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::TurnOn => {
                self.give_up(places, &mut actions);
                self.state = State::Starting;
            }
            Event::TurnOff => {
                self.give_up(places, &mut actions);
                self.state = State::Off;
            }
            Event::GiveUp => self.give_up(places, &mut actions),
            Event::Begin(format) => self.begin(format),
            Event::OrderDone(number, outcome) => {
                self.order_done(number, outcome, places, &mut actions);
            }
            Event::Switched => self.pass(Phase::Switching, Phase::Writing),
            Event::BaseWritten => self.pass(Phase::Writing, Phase::Written),
            Event::Failed(reason) => self.fail(reason, places, &mut actions),
            Event::RemoveHistory => self.wants_removal = true,
        }
        self.go_on(places, &mut actions);
        actions
    }

    fn pass(&mut self, from: Phase, to: Phase) {
        if let Some(attempt) = &mut self.attempt
            && attempt.phase == from
        {
            attempt.phase = to;
        }
    }

    fn begin(&mut self, format: BaseFormat) {
        if self.attempt.is_none() {
            self.generation += 1;
            self.attempt = Some(Attempt { generation: self.generation, format, phase: Phase::Waiting });
        }
    }

    fn base_name(places: &AofPaths, generation: u64) -> String {
        places.temporary_name(generation, "base")
    }

    fn increment_name(places: &AofPaths, generation: u64) -> String {
        places.temporary_name(generation, "incr")
    }

    /// Ends an attempt before its time: what it has under temporary names goes.
    fn give_up(&mut self, places: &AofPaths, actions: &mut Vec<Action>) {
        let Some(attempt) = self.attempt.take() else {
            return;
        };
        actions.push(Action::DropBase);
        let mut names = vec![Machine::base_name(places, attempt.generation)];
        if self.state == State::Starting {
            names.push(Machine::increment_name(places, attempt.generation));
            actions.push(Action::DropLog);
        }
        actions.push(Action::Remove(names));
    }

    fn fail(&mut self, reason: String, places: &AofPaths, actions: &mut Vec<Action>) {
        if self.attempt.is_some() {
            self.give_up(places, actions);
            actions.push(Action::NoteFailure(reason));
        }
    }

    /// Gives the next order, if there is anything to order and none is under way.
    fn go_on(&mut self, places: &AofPaths, actions: &mut Vec<Action>) {
        if self.under_way.is_some() {
            return;
        }
        let order = match self.attempt {
            Some(attempt) if attempt.phase == Phase::Waiting => (self.prepare(attempt, places), Phase::Preparing),
            Some(attempt) if attempt.phase == Phase::Written => (self.list(attempt, places), Phase::Listing),
            _ => {
                let is_over = self.phase() == Some(Phase::Cleaning);
                let is_wanted = std::mem::take(&mut self.wants_removal) || is_over && !self.keeps_history;
                if !is_wanted || self.manifest.history.is_empty() {
                    self.attempt.take_if(|_| is_over);
                    return;
                }
                (self.clean(), Phase::Cleaning)
            }
        };
        let (order, purpose) = order;
        let generation = self.attempt.map_or(0, |attempt| attempt.generation);
        if purpose != Phase::Cleaning
            && let Some(attempt) = &mut self.attempt
        {
            attempt.phase = purpose;
        }
        self.under_way = Some(UnderWay { order: order.clone(), purpose, generation });
        actions.push(Action::Submit(order));
    }

    fn order(&mut self, generation: Option<u64>) -> Order {
        Order {
            version: self.next_version(),
            generation,
            create: None,
            rename: Vec::new(),
            store: None,
            remove: Vec::new(),
        }
    }

    fn prepare(&mut self, attempt: Attempt, places: &AofPaths) -> Order {
        let mut order = self.order(Some(attempt.generation));
        match self.state {
            State::Off => {}
            State::Starting => {
                order.create = Some(Machine::increment_name(places, attempt.generation));
            }
            State::On => {
                let mut next = self.manifest.clone();
                order.create = Some(next.add_increment(&places.file_name).name.clone());
                order.store = Some(next);
            }
        }
        order
    }

    fn list(&mut self, attempt: Attempt, places: &AofPaths) -> Order {
        let mut order = self.order(Some(attempt.generation));
        let mut next = self.manifest.clone();
        let appends = self.state == State::On;
        let base = next.replace_base(&places.file_name, attempt.format, appends);
        let temporary = Machine::base_name(places, attempt.generation);
        order.rename.push((temporary, base.name.clone()));
        if self.state == State::Starting {
            let increment = next.add_increment(&places.file_name).name.clone();
            let temporary = Machine::increment_name(places, attempt.generation);
            order.rename.push((temporary, increment));
        }
        order.store = Some(next);
        order
    }

    fn clean(&mut self) -> Order {
        let mut order = self.order(None);
        let mut next = self.manifest.clone();
        let history = std::mem::take(&mut next.history);
        order.remove = history.into_iter().map(|part| part.name).collect();
        order.store = Some(next);
        order
    }

    fn order_done(&mut self, number: u64, outcome: Result<(), String>, places: &AofPaths, actions: &mut Vec<Action>) {
        let is_it = |under_way: &mut UnderWay| under_way.order.version == number;
        let Some(UnderWay { order, purpose, generation }) = self.under_way.take_if(is_it) else {
            return;
        };
        let is_wanted = matches!(self.attempt, Some(attempt) if attempt.generation == generation);
        if let Some(manifest) = order.store {
            match &outcome {
                Ok(()) => self.manifest = manifest,
                // Some of its files may be there, under names that it may even list.
                Err(_) => self.manifest.skip_numbers_of(&manifest),
            }
        }
        match (outcome, purpose) {
            (Ok(()), Phase::Preparing) if is_wanted => {
                self.pass(Phase::Preparing, Phase::Switching);
                self.switch(places, actions);
            }
            (Ok(()), Phase::Listing) if is_wanted => {
                if self.state == State::Starting {
                    self.state = State::On;
                }
                self.pass(Phase::Listing, Phase::Cleaning);
                actions.push(Action::NoteSuccess);
            }
            (outcome, Phase::Cleaning) => {
                self.attempt.take_if(|attempt| attempt.phase == Phase::Cleaning);
                if let Err(reason) = outcome {
                    actions.push(Action::NoteHistoryKept(reason));
                }
            }
            (Err(reason), _) if is_wanted => self.fail(reason, places, actions),
            _ => {}
        }
    }

    fn switch(&self, places: &AofPaths, actions: &mut Vec<Action>) {
        let Some(attempt) = self.attempt else {
            return;
        };
        let log = match self.state {
            State::Off => None,
            State::Starting => Some(Machine::increment_name(places, attempt.generation)),
            State::On => self.manifest.increments.last().map(|part| part.name.clone()),
        };
        actions.push(Action::Switch {
            log,
            base: Machine::base_name(places, attempt.generation),
            format: attempt.format,
        });
    }
}
