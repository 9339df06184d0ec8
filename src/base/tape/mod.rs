//! The tape: all that enters from outside, in the order in which it was asked for. A run that is recorded on one can be
//! run again.
//!
//! ```text
//! the server asks     pass(kind, real)     no tape      what `real` gives
//!                                          recording    what `real` gives, which is written down
//!                                          replaying    what was written down; `real` is not called
//! the server sends    note_output          recording    adds to a running sum of all output
//!                                          replaying    the same; `end_turn` compares the sums
//! ```
//!
//! Nothing is said of *when* something came: a run that is given the same answers asks the same questions. A replay
//! that asks another question than the recording has an answer to has left it, and so has one whose output differs: the
//! player ends it and names the turn.
//!
//! Never knows what an answer means. A tape belongs to the thread of a loop. Helper threads have none: what they bring
//! is passed where the loop takes it in. Without a tape each question costs one branch. Readings of the clock are more
//! frequent, so the clock has a variant of its own for them (`base::clock`).

mod entry;
pub mod hearing;
mod player;
pub mod prompting;
mod recorder;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};

pub use entry::{Entry, Input};
pub use player::{End, Player};
use recorder::TickScale;
pub use recorder::{Chunk, Recorder};

/// What was asked for. The order is part of the format of recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A reading of the ticks that is too far from the last one for the short forms.
    Ticks,
    /// How the ticks relate to time.
    TickLength,
    /// The date.
    Date,
    /// What a poll has reported.
    Poll,
    /// The sum of all output, at the end of a turn.
    Check,
    /// Listening sockets, accepted ones, and what was done with them.
    Socket,
    /// What a read of a socket has brought.
    Read,
    /// How much a write to a socket has taken.
    Write,
    /// The addresses of a name.
    Name,
    Signal,
    /// An operation on files.
    Disk,
    /// What a helper thread has done.
    Helper,
    /// A reading of the machine or the process.
    Machine,
    /// Memory in use.
    Memory,
    Entropy,
    /// What was read of or done with the process at its start, and settings that need the system.
    Process,
    /// A digest of the data.
    Digest,
}

/// What the thread's tape is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// There is no tape, or a question is being asked whose answer will be written down as a whole.
    Idle,
    Recording,
    Replaying,
}

enum Deck {
    Recording(Recorder),
    Replaying(Player),
}

thread_local! {
    static MODE: Cell<Mode> = const { Cell::new(Mode::Idle) };
    static DECK: RefCell<Option<Deck>> = const { RefCell::new(None) };
}

/// Records from now on what this thread asks for.
pub fn record(recorder: Recorder) {
    DECK.set(Some(Deck::Recording(recorder)));
    MODE.set(Mode::Recording);
}

/// Answers from now on what this thread asks for.
pub fn replay(player: Player) {
    DECK.set(Some(Deck::Replaying(player)));
    MODE.set(Mode::Replaying);
}

/// Ends the recording; says whether there was one. What was recorded is handed over. A replay ends there.
pub fn stop() -> bool {
    if is_replaying() {
        with_player(Player::finish);
    }
    MODE.set(Mode::Idle);
    match DECK.take() {
        Some(Deck::Recording(mut recorder)) => {
            recorder.hand_over();
            true
        }
        _ => false,
    }
}

/// Takes the tape off that is replayed: what is asked from now on is asked outside.
pub fn remove() {
    MODE.set(Mode::Idle);
    if let Some(Deck::Replaying(mut player)) = DECK.take() {
        player.hand_over();
    }
}

/// Whether a replay has come to the end of its recording, or to the turn that it is to end before.
#[inline]
pub fn is_over() -> bool {
    is_replaying() && has_played_all()
}

#[cold]
fn has_played_all() -> bool {
    with_player(Player::is_over)
}

/// Whether this thread is recorded.
pub fn is_recording() -> bool {
    MODE.get() == Mode::Recording
}

/// Whether this thread replays a recording.
#[inline]
pub fn is_replaying() -> bool {
    MODE.get() == Mode::Replaying
}

/// Whether this thread has a tape that is in use now.
#[inline]
pub fn is_on() -> bool {
    MODE.get() != Mode::Idle
}

/// Does work beside the tape: what it asks for is asked outside, and is no part of the run.
pub fn aside<T>(work: impl FnOnce() -> T) -> T {
    let mode = MODE.replace(Mode::Idle);
    let result = work();
    MODE.set(mode);
    result
}

/// Asks for a thing that no tape can hold, such as a socket. Gives it, or nothing while a tape is replayed.
///
/// Errors: those of `real`, or the recorded one.
pub fn pass_thing<T, E: Entry>(kind: Kind, real: impl FnOnce() -> Result<T, E>) -> Result<Option<T>, E> {
    let mut thing = None;
    pass(kind, || real().map(|made| thing = Some(made)))?;
    Ok(thing)
}

/// Asks a question: the answer is what `real` gives, or what it gave when this was recorded. Questions within `real`
/// are a part of this one.
#[inline]
pub fn pass<T: Entry>(kind: Kind, real: impl FnOnce() -> T) -> T {
    match MODE.get() {
        Mode::Idle => real(),
        mode => pass_taped(mode, kind, real),
    }
}

#[inline(never)]
fn pass_taped<T: Entry, F: FnOnce() -> T>(mode: Mode, kind: Kind, real: F) -> T {
    if mode == Mode::Replaying {
        let question = prompting::question(kind, std::any::type_name::<F>());
        return with_player(|player| player.answer_question(&question));
    }
    MODE.set(Mode::Idle);
    let answer = real();
    MODE.set(Mode::Recording);
    with_recorder(|recorder| recorder.note(kind, &answer));
    answer
}

/// Asks for bytes: `real` writes them to the buffer and gives their number.
pub fn pass_bytes<E: Entry>(
    kind: Kind,
    buffer: &mut [u8],
    real: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> Result<usize, E> {
    match MODE.get() {
        Mode::Idle => real(buffer),
        mode => {
            let answer = pass_taped(mode, kind, || real(buffer).map(|count| buffer[..count].to_vec()));
            answer.map(|bytes| {
                let count = bytes.len().min(buffer.len());
                if mode == Mode::Replaying {
                    buffer[..count].copy_from_slice(&bytes[..count]);
                }
                count
            })
        }
    }
}

/// Has bytes leave the server: `real` gives how many of them were taken, which go to the sum of all output.
#[inline]
pub fn pass_output<E: Entry>(kind: Kind, bytes: &[u8], real: impl FnOnce() -> Result<usize, E>) -> Result<usize, E> {
    if is_replaying() {
        prompting::offer(bytes.len());
    }
    let taken = pass(kind, real)?;
    note_output(&bytes[..taken.min(bytes.len())]);
    Ok(taken)
}

/// Asks for a reading of the ticks.
#[inline]
pub fn pass_ticks(real: impl FnOnce() -> u64) -> u64 {
    match MODE.get() {
        Mode::Idle => real(),
        Mode::Recording => {
            let ticks = real();
            with_recorder(|recorder| recorder.note_ticks(ticks));
            ticks
        }
        Mode::Replaying => with_player(Player::ticks),
    }
}

/// Adds to the sum of all that leaves the server.
#[inline]
pub fn note_output(bytes: &[u8]) {
    match MODE.get() {
        Mode::Idle => {}
        Mode::Recording => with_recorder(|recorder| recorder.output.add(bytes)),
        Mode::Replaying => with_player(|player| player.output.add(bytes)),
    }
}

/// A turn of the loop is over. Gives why recording has ended, if it just has.
#[cold]
pub fn end_turn() -> Option<String> {
    match MODE.get() {
        Mode::Idle => None,
        Mode::Recording => end_recorded_turn(),
        Mode::Replaying => {
            with_player(Player::end_turn);
            None
        }
    }
}

fn end_recorded_turn() -> Option<String> {
    let reason = with_recorder(Recorder::end_turn)?;
    MODE.set(Mode::Idle);
    DECK.take();
    Some(reason)
}

/// How many bytes were recorded so far, and in how many turns; nothing unless this thread is recorded.
pub fn recorded() -> Option<(u64, u64)> {
    DECK.with_borrow(|deck| match deck {
        Some(Deck::Recording(recorder)) => Some((recorder.bytes(), recorder.turns())),
        _ => None,
    })
}

/// A clock has begun whose readings pass through the tape: at so many ticks, of which 2^40 are so many ns long.
pub fn begin_clock(began: u64, nanos: u64) {
    let scale = Some(TickScale { began, nanos });
    match MODE.get() {
        Mode::Idle => {}
        Mode::Recording => with_recorder(|recorder| recorder.scale = scale),
        Mode::Replaying => with_player(|player| player.scale = scale),
    }
}

/// Time between two digests of the data, in µs; 0: there are none, as where nothing is recorded or replayed.
pub fn digest_period_us() -> u64 {
    let recorded = || {
        DECK.with_borrow(|deck| match deck {
            Some(Deck::Recording(recorder)) => recorder.digest_period_us(),
            _ => 0,
        })
    };
    pass(Kind::Process, recorded)
}

/// The data had this digest as of that turn. A replay ends if the recorded one is another.
pub fn note_digest(digest: u64, turn: u64) {
    match MODE.get() {
        Mode::Idle => {}
        Mode::Recording => with_recorder(|recorder| recorder.note(Kind::Digest, &digest)),
        Mode::Replaying => with_player(|player| player.compare_digest(digest, turn)),
    }
}

/// How many digests of the data were compared so far in a replay.
pub fn compared_digests() -> u64 {
    DECK.with_borrow(|deck| match deck {
        Some(Deck::Replaying(player)) => player.digests(),
        _ => 0,
    })
}

/// The number of the turn that goes on, counted from 1.
pub fn present_turn() -> u64 {
    DECK.with_borrow(|deck| match deck {
        Some(Deck::Recording(recorder)) => recorder.turns() + 1,
        Some(Deck::Replaying(player)) => player.turns() + 1,
        None => 0,
    })
}

/// The last reading of the ticks that was replayed.
pub fn last_ticks() -> u64 {
    DECK.with_borrow(|deck| match deck {
        Some(Deck::Replaying(player)) => player.last_ticks(),
        _ => 0,
    })
}

/// How many turns were replayed so far.
pub fn replayed_turns() -> u64 {
    DECK.with_borrow(|deck| match deck {
        Some(Deck::Replaying(player)) => player.turns(),
        _ => 0,
    })
}

/// The mode says which deck there is.
fn with_recorder<R: Default>(work: impl FnOnce(&mut Recorder) -> R) -> R {
    DECK.with_borrow_mut(|deck| match deck {
        Some(Deck::Recording(recorder)) => work(recorder),
        _ => R::default(),
    })
}

fn with_player<R>(work: impl FnOnce(&mut Player) -> R) -> R {
    DECK.with_borrow_mut(|deck| match deck {
        Some(Deck::Replaying(player)) => work(player),
        // INVARIANT: `Mode::Replaying` is set together with this deck.
        _ => std::process::abort(),
    })
}
