//! Reading a tape. A run that leaves its recording, or comes to its end, is ended by a function that does not return:
//! what the server would do from there on means nothing.

use std::fmt;

use super::Kind;
use super::entry::{Entry, Input};
use super::prompting::{Prompter, Question, Witness};
use super::recorder::{KIND_BITS, Output, Recorder, TickScale};

/// How a replay has ended. Turns are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All that was recorded was replayed: so many turns.
    Complete { turns: u64 },
    /// The server asks another question than the one that was recorded next.
    Diverged { turn: u64, asked: Kind, recorded: Option<Kind> },
    /// The output of that turn, or of one shortly before, is not what it was.
    OtherOutput { turn: u64 },
    /// The data are not what they were as of that turn. As of the other one, if there was a digest then, they were.
    OtherData { turn: u64, same: Option<u64> },
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Complete { turns } => write!(formatter, "{turns} turns were replayed, and all of them are identical."),
            End::Diverged { turn, asked, recorded } => {
                write!(formatter, "Turn {turn} is not the recorded one: the server asks for {asked:?}, recorded is ")?;
                match recorded {
                    Some(kind) => write!(formatter, "{kind:?}."),
                    None => formatter.write_str("nothing that can be read."),
                }
            }
            End::OtherOutput { turn } => write!(formatter, "Turn {turn} has another output than was recorded."),
            End::OtherData { turn, same } => {
                write!(formatter, "As of turn {turn} the data are not the recorded ones")?;
                match same {
                    Some(same) => write!(formatter, "; as of turn {same} they were."),
                    None => formatter.write_str("."),
                }
            }
        }
    }
}

/// The next chunk of a tape; nothing at its end.
type Chunks = Box<dyn FnMut() -> Option<Vec<u8>>>;
/// Is told how long the recorded server had run at the end of each turn, in ns.
type OnTurn = Box<dyn FnMut(u64)>;
/// What ends the run.
type OnEnd = Box<dyn FnMut(&End) -> std::convert::Infallible>;

/// What answers in place of a tape, and what records the answers.
struct Prompted {
    prompter: Box<dyn Prompter>,
    recorder: Recorder,
}

/// Reads a tape.
pub struct Player {
    chunk: Vec<u8>,
    at: usize,
    next: Chunks,
    on_end: OnEnd,
    last_ticks: u64,
    pub(super) output: Output,
    turns: u64,
    turns_max: u64,
    pub(super) scale: Option<TickScale>,
    on_turn: Option<OnTurn>,
    /// The turn as of which the data were compared last and were the same.
    same_data: Option<u64>,
    digests: u64,
    witness: Option<Box<dyn Witness>>,
    prompted: Option<Box<Prompted>>,
}

impl Player {
    /// One that gets its chunks from `next`. `on_end` ends the run.
    pub fn new(next: Chunks, on_end: OnEnd) -> Player {
        Player {
            chunk: Vec::new(),
            at: 0,
            next,
            on_end,
            last_ticks: 0,
            output: Output::default(),
            turns: 0,
            turns_max: u64::MAX,
            scale: None,
            on_turn: None,
            same_data: None,
            digests: 0,
            witness: None,
            prompted: None,
        }
    }

    /// The same, but all answers are shown to a witness.
    pub fn witnessed(self, witness: Box<dyn Witness>) -> Player {
        Player { witness: Some(witness), ..self }
    }

    /// One that is answered by `prompter`, whose answers are recorded.
    pub fn prompted(prompter: Box<dyn Prompter>, recorder: Recorder, on_end: OnEnd) -> Player {
        let prompted = Some(Box::new(Prompted { prompter, recorder }));
        Player { prompted, ..Player::new(Box::new(|| None), on_end) }
    }

    /// Hands over what was recorded.
    pub(super) fn hand_over(&mut self) {
        if let Some(prompted) = &mut self.prompted {
            prompted.recorder.hand_over();
        }
    }

    /// The same, but `on_turn` is told at the end of each turn how long the recorded server had run by then, in ns.
    pub fn with_pace(self, on_turn: OnTurn) -> Player {
        Player { on_turn: Some(on_turn), ..self }
    }

    /// The same, but it is over after so many turns.
    pub fn until(self, turns_max: u64) -> Player {
        Player { turns_max, ..self }
    }

    /// Whether there is nothing left to replay.
    pub(super) fn is_over(&mut self) -> bool {
        match &self.prompted {
            Some(prompted) => prompted.prompter.is_over(),
            None => self.turns >= self.turns_max || !self.has_more(),
        }
    }

    fn has_more(&mut self) -> bool {
        while self.at >= self.chunk.len() {
            match (self.next)() {
                Some(chunk) => (self.chunk, self.at) = (chunk, 0),
                None => return false,
            }
        }
        true
    }

    /// The recording was ended here.
    pub(super) fn finish(&mut self) {
        self.hand_over();
        self.end(&End::Complete { turns: self.turns })
    }

    /// The last reading of the ticks.
    pub(super) fn last_ticks(&self) -> u64 {
        self.last_ticks
    }

    /// Turns so far.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// The next byte, which says what comes; fetches the next chunk if need be.
    fn head(&mut self) -> u8 {
        if !self.has_more() {
            self.finish();
        }
        self.chunk.get(self.at).copied().unwrap_or_default()
    }

    fn end(&mut self, end: &End) -> ! {
        match (self.on_end)(end) {}
    }

    /// What was answered to a question.
    pub(super) fn answer_question<T: Entry>(&mut self, question: &Question) -> T {
        if self.prompted.is_some() {
            return self.prompted_answer(question);
        }
        self.head();
        let start = self.at + 1;
        let answer = self.answer(question.kind);
        if let Some(witness) = &mut self.witness {
            witness.answered(question, &self.chunk[start..self.at]);
        }
        answer
    }

    fn prompted_answer<T: Entry>(&mut self, question: &Question) -> T {
        let Some(prompted) = &mut self.prompted else { self.diverge(question.kind) };
        let Prompted { prompter, recorder } = prompted.as_mut();
        let read = |bytes: Vec<u8>| {
            let mut input = Input(&bytes);
            T::read(&mut input).filter(|_| input.0.is_empty())
        };
        match prompter.answer(question).into_iter().find_map(read) {
            Some(answer) => {
                recorder.note(question.kind, &answer);
                answer
            }
            None if prompter.is_over() => {
                self.finish();
                self.diverge(question.kind)
            }
            None => self.diverge(question.kind),
        }
    }

    /// What was answered to a question of that kind.
    pub(super) fn answer<T: Entry>(&mut self, kind: Kind) -> T {
        if self.head() != KIND_BITS | kind as u8 {
            self.diverge(kind);
        }
        let mut input = Input(&self.chunk[self.at + 1..]);
        let Some(answer) = T::read(&mut input) else { self.diverge(kind) };
        self.at = self.chunk.len() - input.0.len();
        answer
    }

    fn diverge(&mut self, asked: Kind) -> ! {
        const KINDS: [Kind; 17] = [
            Kind::Ticks,
            Kind::TickLength,
            Kind::Date,
            Kind::Poll,
            Kind::Check,
            Kind::Socket,
            Kind::Read,
            Kind::Write,
            Kind::Name,
            Kind::Signal,
            Kind::Disk,
            Kind::Helper,
            Kind::Machine,
            Kind::Memory,
            Kind::Entropy,
            Kind::Process,
            Kind::Digest,
        ];
        let recorded = match self.chunk.get(self.at) {
            Some(byte) if *byte < KIND_BITS => Some(Kind::Ticks),
            Some(byte) => KINDS.get(usize::from(byte & !KIND_BITS)).copied(),
            None => None,
        };
        self.end(&End::Diverged { turn: self.turns + 1, asked, recorded })
    }

    /// The next reading of the ticks.
    #[inline]
    pub(super) fn ticks(&mut self) -> u64 {
        if let Some(prompted) = &mut self.prompted {
            let ticks = prompted.prompter.ticks();
            prompted.recorder.note_ticks(ticks);
            return ticks;
        }
        let ticks = self.taped_ticks();
        if let Some(witness) = &mut self.witness {
            witness.ticked(ticks);
        }
        ticks
    }

    #[inline]
    fn taped_ticks(&mut self) -> u64 {
        let head = self.head();
        let (length, bits) = match head {
            0..0x80 => (2, 0x7f),
            0x80..0xc0 => (5, 0x3f),
            _ => {
                self.last_ticks = self.answer(Kind::Ticks);
                return self.last_ticks;
            }
        };
        let Some(bytes) = self.chunk.get(self.at + 1..self.at + length) else { self.diverge(Kind::Ticks) };
        let moved = bytes.iter().fold(u64::from(head & bits), |moved, byte| moved << 8 | u64::from(*byte));
        self.at += length;
        self.last_ticks = self.last_ticks.wrapping_add(moved);
        self.last_ticks
    }

    /// A turn is over: its output has to be the recorded one.
    pub(super) fn end_turn(&mut self) {
        if let Some(prompted) = &mut self.prompted {
            let Prompted { prompter, recorder } = prompted.as_mut();
            if let Some(sum) = self.output.take() {
                recorder.note(Kind::Check, &sum);
            }
            // Where the tape cannot be kept, the recorder has already reported it.
            recorder.end_turn();
            prompter.turned();
            self.turns += 1;
            return;
        }
        if let Some(sum) = self.output.take() {
            let recorded: u64 = self.answer(Kind::Check);
            if recorded != sum {
                self.end(&End::OtherOutput { turn: self.turns + 1 });
            }
        }
        self.turns += 1;
        if let (Some(on_turn), Some(scale)) = (&mut self.on_turn, self.scale) {
            on_turn(scale.nanos_at(self.last_ticks));
        }
        if let Some(witness) = &mut self.witness {
            witness.turned();
        }
    }

    /// The data had this digest as of that turn: it has to be the recorded one.
    pub(super) fn compare_digest(&mut self, digest: u64, turn: u64) {
        self.digests += 1;
        if let Some(prompted) = &mut self.prompted {
            prompted.recorder.note(Kind::Digest, &digest);
            return;
        }
        let recorded: u64 = self.answer(Kind::Digest);
        if recorded != digest {
            self.end(&End::OtherData { turn, same: self.same_data });
        }
        self.same_data = Some(turn);
    }

    /// How many digests of the data were compared so far.
    pub(super) fn digests(&self) -> u64 {
        self.digests
    }
}
