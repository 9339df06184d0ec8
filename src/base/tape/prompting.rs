//! Replays that are watched answer by answer, or answered by somebody else than the tape.

use std::cell::Cell;

use super::Kind;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub kind: Kind,
    /// The place in the program that asks.
    pub site: &'static str,
    /// The number of the socket that it is about; 0: of none.
    pub socket: u64,
    /// How many bytes are offered, where some are to leave the server.
    pub offered: usize,
}

/// Is told what a replayed tape answers.
pub trait Witness {
    /// A question was answered by these bytes.
    fn answered(&mut self, question: &Question, bytes: &[u8]);

    /// A reading of the ticks.
    fn ticked(&mut self, ticks: u64);

    /// A turn is over.
    fn turned(&mut self);
}

/// Answers in place of a tape.
pub trait Prompter {
    /// What the answer may be, as bytes. The first of these that can be read as an answer to this question counts.
    fn answer(&mut self, question: &Question) -> Vec<Vec<u8>>;

    /// A reading of the ticks.
    fn ticks(&mut self) -> u64;

    /// A turn is over.
    fn turned(&mut self);

    /// Whether there is nothing left.
    fn is_over(&self) -> bool;
}

thread_local! {
    static ABOUT: Cell<(u64, usize)> = const { Cell::new((0, 0)) };
}

/// The next question of this thread's replay is about this socket, to which so many bytes are offered.
pub fn about(socket: u64, offered: usize) {
    ABOUT.set((socket, offered));
}

/// So many bytes are offered to leave the server by the next question.
pub(super) fn offer(bytes: usize) {
    let (socket, _) = ABOUT.get();
    ABOUT.set((socket, bytes));
}

pub(super) fn question(kind: Kind, site: &'static str) -> Question {
    let (socket, offered) = ABOUT.take();
    Question { kind, site, socket, offered }
}
