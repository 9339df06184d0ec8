//! `oneloop replay --redact IN OUT`: makes of a recording one that can be given away.
//!
//! ```text
//! IN ─ replayed ─► its answers ─ rewritten ─► a run answered by them, and recorded ─► OUT ─ replayed ─► identical?
//! ```
//!
//! The requests in OUT came at the same times, in the same pieces, from as many clients; each has the length that it
//! had. `words` and `requests` say what becomes of their words. Never keeps the key of the permutation: it is drawn at
//! the start, and is in no file.

mod requests;
mod script;
mod vocabulary;
mod words;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::rc::Rc;
use std::thread;

use crate::base::entropy::Entropy;
use crate::base::tape::hearing::{self, Heard, Purpose};
use crate::base::tape::prompting::{Question, Witness};
use crate::base::tape::{self, End, Entry, Input, Kind, Player, Recorder};
use crate::reactor::launch;
use crate::storage::recording::{self, Header, RecordingReader};

use requests::Redactor;
use script::{Answer, Collector, Script, Turn};

/// A replay may nest as deep as a server's main thread.
const STACK_BYTES: usize = 64 << 20;

/// What was collected of a recording.
struct Collected {
    turns: Vec<Turn>,
    purposes: BTreeMap<u64, Purpose>,
}

/// Redacts a recording. Gives what is to be said of it.
///
/// Errors: why there is no OUT.
pub fn run(from: &str, to: &str) -> Result<String, String> {
    if Path::new(to).exists() {
        return Err(format!("There is a file {to} already."));
    }
    let reader = super::opened::reader(from)?;
    let header = reader.header.clone();
    let arguments = header.arguments.clone();
    let Collected { mut turns, purposes } = in_thread(move || collect(reader, arguments))??;
    let mut redactor = Redactor::new(key()?);
    let mut arguments: Vec<Vec<u8>> = header.arguments.iter().map(|text| text.clone().into_bytes()).collect();
    rewrite(&mut redactor, &mut turns, &purposes)?;
    redactor.rewrite_arguments(&mut arguments);
    let arguments = arguments.into_iter().map(|text| String::from_utf8_lossy(&text).into_owned()).collect();
    let header = Header { arguments, ..header };
    // From here on OUT is ours.
    let keep = recording::create(Path::new(to), &header)?;
    let left = |reason| {
        format!("The recording cannot be redacted: with other words the server takes another course. {reason}")
    };
    let result = make(&header, turns, keep).map_err(left).and_then(|()| {
        let reader = super::opened::reader(to)?;
        let arguments = header.arguments.clone();
        in_thread(move || replay(Player::new(pieces(reader), Box::new(leave)), &arguments))?
    });
    if result.is_err() {
        // The reason tells more than a file that is none.
        let _ = fs::remove_file(to);
    }
    result.map(|turns| format!("{turns} turns were redacted, and all of them are identical when {to} is replayed."))
}

/// Runs the server with the rewritten answers, and records it.
fn make(
    header: &Header,
    turns: Vec<Turn>,
    keep: impl FnMut(Vec<u8>) -> Result<(), String> + Send + 'static,
) -> Result<(), String> {
    let arguments = header.arguments.clone();
    in_thread(move || {
        let player = Player::prompted(Box::new(Script::new(turns)), Recorder::new(Box::new(keep)), Box::new(leave));
        replay(player, &arguments).map(drop)
    })?
}

/// A key that nobody knows.
fn key() -> Result<[u8; 32], String> {
    Entropy::system().map(|entropy| entropy.secret()).map_err(|error| error.to_string())
}

fn in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(work).map_err(|error| error.to_string())?;
    thread.join().map_err(|_| "The replay has failed.".to_string())
}

fn pieces(mut reader: RecordingReader) -> Box<dyn FnMut() -> Option<Vec<u8>>> {
    Box::new(move || reader.next_piece())
}

/// Ends a run that is over amid a turn, or has left what it was to follow.
fn leave(end: &End) -> Infallible {
    resume_unwind(Box::new(end.clone()))
}

/// Runs a server on this thread that the player answers; gives the number of its turns.
fn replay(player: Player, arguments: &[String]) -> Result<u64, String> {
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    tape::replay(player);
    let ran = catch_unwind(AssertUnwindSafe(|| launch::replay(&arguments, None)));
    let turns = tape::replayed_turns();
    tape::remove();
    match ran {
        Ok(Ok(event_loop)) => {
            // To free it key by key takes seconds.
            std::mem::forget(event_loop);
            Ok(turns)
        }
        Ok(Err(reason)) => Err(reason),
        Err(end) => match end.downcast::<End>() {
            Ok(end) if matches!(*end, End::Complete { .. }) => Ok(turns),
            Ok(end) => Err(end.to_string()),
            Err(other) => resume_unwind(other),
        },
    }
}

/// A collector that is read after its player is gone.
struct Shared(Rc<RefCell<Collector>>);

impl Witness for Shared {
    fn answered(&mut self, question: &Question, bytes: &[u8]) {
        self.0.borrow_mut().answered(question, bytes);
    }

    fn ticked(&mut self, ticks: u64) {
        self.0.borrow_mut().ticked(ticks);
    }

    fn turned(&mut self) {
        self.0.borrow_mut().turned();
    }
}

/// Replays a recording and collects its answers.
fn collect(reader: RecordingReader, arguments: Vec<String>) -> Result<Collected, String> {
    let collector = Rc::new(RefCell::new(Collector::default()));
    let purposes = Rc::new(RefCell::new(BTreeMap::new()));
    let opened = Rc::clone(&purposes);
    hearing::listen(Box::new(move |socket, heard| {
        if let Heard::Opened(purpose) = heard {
            opened.borrow_mut().insert(socket, purpose);
        }
    }));
    let player = Player::new(pieces(reader), Box::new(leave)).witnessed(Box::new(Shared(Rc::clone(&collector))));
    replay(player, &arguments)?;
    let turns = collector.take().into_turns();
    Ok(Collected { turns, purposes: purposes.take() })
}

/// Rewrites the answers.
fn rewrite(redactor: &mut Redactor, turns: &mut [Turn], purposes: &BTreeMap<u64, Purpose>) -> Result<(), String> {
    if purposes.values().any(|purpose| *purpose == Purpose::Outbound) {
        return Err("The recording cannot be redacted: it holds what another server has sent.".to_string());
    }
    let refused = |reason: String| format!("The recording cannot be redacted: {reason}.");
    let mut streams = received(turns, purposes);
    for bytes in streams.values() {
        redactor.learn(bytes).map_err(refused)?;
    }
    for bytes in streams.values_mut() {
        redactor.rewrite(bytes).map_err(refused)?;
    }
    let mut at: BTreeMap<u64, usize> = BTreeMap::new();
    for answer in turns.iter_mut().flat_map(|turn| &mut turn.answers) {
        let socket = answer.question.socket;
        match (answer.question.kind, purposes.get(&socket)) {
            (Kind::Read, Some(Purpose::Client)) => {
                let Some(place) = received_place(answer) else { continue };
                let begin = at.entry(socket).or_default();
                let end = *begin + place.len();
                answer.bytes[place].copy_from_slice(&streams[&socket][*begin..end]);
                *begin = end;
            }
            (Kind::Read, _) => {
                if let Some(place) = received_place(answer) {
                    rewrite_http(redactor, &mut answer.bytes[place]);
                }
            }
            _ => rewrite_other(redactor, answer).map_err(refused)?,
        }
    }
    Ok(())
}

/// All that each client has sent.
fn received(turns: &[Turn], purposes: &BTreeMap<u64, Purpose>) -> BTreeMap<u64, Vec<u8>> {
    let mut streams: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for answer in turns.iter().flat_map(|turn| &turn.answers) {
        let socket = answer.question.socket;
        if answer.question.kind == Kind::Read
            && purposes.get(&socket) == Some(&Purpose::Client)
            && let Some(place) = received_place(answer)
        {
            streams.entry(socket).or_default().extend_from_slice(&answer.bytes[place]);
        }
    }
    streams
}

/// Where in the answer to a read the bytes are that came.
fn received_place(answer: &Answer) -> Option<std::ops::Range<usize>> {
    let mut input = Input(&answer.bytes);
    if answer.question.site.contains("tls::session") {
        // How many encrypted bytes there were, or why there were none.
        Result::<usize, std::io::Error>::read(&mut input)?.ok()?;
    } else {
        bool::read(&mut input)?.then_some(())?;
    }
    let length = usize::read(&mut input)?;
    let start = answer.bytes.len() - input.0.len();
    Some(start..start + length)
}

/// The secrets in a request to the HTTP port.
fn rewrite_http(redactor: &Redactor, bytes: &mut [u8]) {
    for word in [b"Bearer ".as_slice(), b"token="] {
        let places: Vec<usize> = memchr::memmem::find_iter(bytes, word).map(|place| place + word.len()).collect();
        for start in places {
            let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_graphic() && **byte != b'&').count();
            redactor.words.replace_secret(&mut bytes[start..start + length]);
        }
    }
}

/// What came from elsewhere than a socket.
fn rewrite_other(redactor: &mut Redactor, answer: &mut Answer) -> Result<(), String> {
    let site = answer.question.site;
    match answer.question.kind {
        Kind::Helper if site.contains("reader") && answer.bytes.first() == Some(&3) => {
            Err("data were loaded from files; record a server that begins without".to_string())
        }
        Kind::Disk => match text_place(&answer.bytes) {
            Some(place) if site.contains("read") && !place.is_empty() => {
                Err("files were read; record a server that begins without".to_string())
            }
            _ => Ok(()),
        },
        Kind::Entropy => {
            let start = answer.bytes.len().saturating_sub(32);
            if let Ok(secret) = <[u8; 32]>::try_from(&answer.bytes[start..]) {
                answer.bytes[start..].copy_from_slice(&redactor.words.replace_seed(secret));
            }
            Ok(())
        }
        Kind::Process => match text_place(&answer.bytes) {
            Some(place) if answer.bytes[place.clone()].contains(&b'\n') => {
                redactor.rewrite_settings(&mut answer.bytes[place])
            }
            Some(place) => {
                redactor.words.replace(&mut answer.bytes[place]);
                Ok(())
            }
            None => Ok(()),
        },
        Kind::Socket if site.contains("::address") => {
            rewrite_addresses(redactor, &mut answer.bytes);
            Ok(())
        }
        Kind::Socket if site.contains("common_name") => {
            if let Some(place) = text_place(&answer.bytes) {
                redactor.words.replace(&mut answer.bytes[place]);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The addresses in an answer, whose lengths stand before them.
fn rewrite_addresses(redactor: &Redactor, bytes: &mut [u8]) {
    redactor.words.replace_addresses(bytes);
}

/// Where the text is in an answer that is one, or nothing or an error.
fn text_place(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let mut input = Input(bytes);
    bool::read(&mut input)?.then_some(())?;
    let length = usize::read(&mut input)?;
    (input.0.len() == length).then(|| bytes.len() - length..bytes.len())
}
