//! The answers of a recording, turn by turn, and how they are given to a run that may ask for something else now and
//! then.
//!
//! ```text
//! recorded turn ─► its answers, in a queue for each place that asks and each socket ─► the run's turn
//! ```
//!
//! Where the names of keys are others, so are their places in tables: the order of sets, what is chosen at random, and
//! how many steps a job takes. So a run may ask more often than the recorded one did, or less often. Readings (times,
//! memory) are repeated or dropped then. What has happened (bytes that came, files that were written) waits until it is
//! asked for.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use crate::base::tape::prompting::{Prompter, Question, Witness};
use crate::base::tape::{Entry, Input, Kind};

/// How far the ticks move on where the run asks more often than the recorded one.
const STEP_TICKS: u64 = 1000;

/// A recorded answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub question: Question,
    pub bytes: Vec<u8>,
}

/// What was answered in a turn.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    pub answers: Vec<Answer>,
    pub ticks: Vec<u64>,
}

/// Collects the turns of a recording; the last one may not have ended.
#[derive(Default)]
pub struct Collector {
    pub turns: Vec<Turn>,
    present: Turn,
}

impl Collector {
    /// All of them.
    pub fn into_turns(mut self) -> Vec<Turn> {
        self.turns.push(self.present);
        self.turns
    }
}

impl Witness for Collector {
    fn answered(&mut self, question: &Question, bytes: &[u8]) {
        self.present.answers.push(Answer { question: *question, bytes: bytes.to_vec() });
    }

    fn ticked(&mut self, ticks: u64) {
        self.present.ticks.push(ticks);
    }

    fn turned(&mut self) {
        self.turns.push(std::mem::take(&mut self.present));
    }
}

type Place = (&'static str, u64);

/// Gives the answers.
pub struct Script {
    turns: std::vec::IntoIter<Turn>,
    waiting: BTreeMap<Place, VecDeque<Answer>>,
    /// The last answers to each place, to be repeated; before there is one, the first that will come.
    last: BTreeMap<&'static str, Vec<u8>>,
    ticks: VecDeque<u64>,
    last_ticks: u64,
    is_over: bool,
}

impl Script {
    /// One of these turns.
    pub fn new(turns: Vec<Turn>) -> Script {
        let mut first = BTreeMap::new();
        for answer in turns.iter().flat_map(|turn| &turn.answers) {
            first.entry(answer.question.site).or_insert_with(|| answer.bytes.clone());
        }
        let mut script = Script {
            turns: turns.into_iter(),
            waiting: BTreeMap::new(),
            last: first,
            ticks: VecDeque::new(),
            last_ticks: 0,
            is_over: false,
        };
        script.turned();
        script
    }

    /// What the recorded run was answered at the same place in its next turn: it may have been so already.
    fn take_from_next_turn(&mut self, question: &Question) -> Option<Vec<u8>> {
        let turn = self.turns.as_mut_slice().first_mut()?;
        let is_it =
            |answer: &Answer| (answer.question.site, answer.question.socket) == (question.site, question.socket);
        let place = turn.answers.iter().position(is_it)?;
        Some(turn.answers.remove(place).bytes)
    }

    /// What may be answered where the recorded run did not ask.
    fn invented(&mut self, question: &Question) -> Vec<Vec<u8>> {
        if matches!(question.kind, Kind::Read | Kind::Socket | Kind::Process)
            && let Some(next) = self.take_from_next_turn(question)
        {
            return vec![next];
        }
        let last = self.last.get(question.site);
        let nothing = [vec![0], vec![0; size_of::<u64>()]];
        match question.kind {
            Kind::Write => vec![with_count(last.map_or(&[], Vec::as_slice), question.offered)],
            Kind::Disk if question.offered > 0 => vec![with_count(&[], question.offered)],
            // Nothing has come, nothing is done.
            Kind::Helper | Kind::Signal => nothing.into_iter().chain(last.cloned()).collect(),
            Kind::Read => vec![nothing_to_read()],
            // As it was before, as of a save that begins a turn earlier than it did.
            _ => last.cloned().into_iter().chain(nothing).collect(),
        }
    }
}

impl Prompter for Script {
    fn answer(&mut self, question: &Question) -> Vec<Vec<u8>> {
        let place = (question.site, question.socket);
        let Some(answer) = self.waiting.get_mut(&place).and_then(VecDeque::pop_front) else {
            return self.invented(question);
        };
        let bytes = match answer.question.offered > 0 {
            true => taken_now(&answer, question.offered),
            false => answer.bytes,
        };
        self.last.insert(question.site, bytes.clone());
        vec![bytes]
    }

    fn ticks(&mut self) -> u64 {
        let recorded = self.ticks.pop_front().unwrap_or(self.last_ticks + STEP_TICKS);
        self.last_ticks = self.last_ticks.max(recorded);
        self.last_ticks
    }

    fn turned(&mut self) {
        for answers in self.waiting.values_mut() {
            answers.retain(|answer| !is_reading(answer));
        }
        self.waiting.retain(|_, answers| !answers.is_empty());
        match self.turns.next() {
            Some(turn) => {
                self.ticks = turn.ticks.into();
                for answer in turn.answers {
                    let place = (answer.question.site, answer.question.socket);
                    self.waiting.entry(place).or_default().push_back(answer);
                }
                self.is_over = self.turns.len() == 0 && self.waiting.is_empty();
            }
            None => self.is_over = true,
        }
    }

    fn is_over(&self) -> bool {
        self.is_over || self.turns.len() == 0
    }
}

/// The answer of a socket that has nothing to read yet.
fn nothing_to_read() -> Vec<u8> {
    let mut bytes = Vec::new();
    Err::<Vec<u8>, io::Error>(io::ErrorKind::WouldBlock.into()).write(&mut bytes);
    bytes
}

/// Whether an answer says how something is, not that something has happened.
fn is_reading(answer: &Answer) -> bool {
    match answer.question.kind {
        Kind::Date | Kind::Memory | Kind::Machine | Kind::Write => true,
        Kind::Helper | Kind::Signal => answer.bytes == [0] || answer.question.site.contains("pending_bytes"),
        _ => false,
    }
}

/// The answer to a write: as much is taken now as was taken then, if that was not all.
fn taken_now(answer: &Answer, offered: usize) -> Vec<u8> {
    let mut input = Input(&answer.bytes);
    match Result::<usize, std::io::Error>::read(&mut input) {
        Some(Ok(taken)) => {
            let taken = if taken == answer.question.offered { offered } else { taken.min(offered) };
            let mut bytes = Vec::new();
            Ok::<usize, std::io::Error>(taken).write(&mut bytes);
            bytes.extend_from_slice(input.0);
            bytes
        }
        _ => answer.bytes.clone(),
    }
}

/// The answer to a write that was not recorded, with this count; the rest is as it was in the last one.
fn with_count(last: &[u8], offered: usize) -> Vec<u8> {
    let mut input = Input(last);
    let mut bytes = Vec::new();
    Ok::<usize, std::io::Error>(offered).write(&mut bytes);
    if Result::<usize, std::io::Error>::read(&mut input).is_some() {
        bytes.extend_from_slice(input.0);
    }
    bytes
}
