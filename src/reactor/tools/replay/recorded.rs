//! `oneloop replay RECORDING`: runs a recording again.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use crate::base::tape::{self, End, Player};
use crate::engine::execute;
use crate::engine::state::ServerState;
use crate::net::address::Address;
use crate::observe::explain::Explainer;
use crate::reactor::launch;
use crate::resp::Args;
use crate::storage::recording::{Header, RecordingReader};
use crate::text::quoting;

use super::{DIFFERENT, SAME, UNTRIED};

/// What the arguments ask for.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    path: String,
    /// Ends before that turn.
    until: u64,
    /// Turns to be explained, those that took the longest.
    slowest: usize,
    /// Requests to be run on the state at the end.
    requests: Vec<String>,
}

impl Options {
    /// Reads the arguments.
    ///
    /// Errors: what is wrong with them.
    pub fn parse(arguments: &[String]) -> Result<Options, String> {
        let (mut path, mut until, mut slowest, mut requests) = (None, u64::MAX, 0, Vec::new());
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value."));
            match word.as_str() {
                "--until" => until = value()?.parse().map_err(|_| "--until wants the number of a turn.")?,
                "--slowest" => slowest = value()?.parse().map_err(|_| "--slowest wants a number.")?,
                "--run" => requests.push(value()?.clone()),
                option if option.starts_with("--") => return Err(format!("Unknown option {option}.")),
                name if path.is_none() => path = Some(name.to_string()),
                _ => return Err("One recording at a time.".to_string()),
            }
        }
        Ok(Options { path: path.ok_or("The recording is missing.")?, until, slowest, requests })
    }
}

/// Runs the recording in this process, which ends if the recording is left, or is over amid a turn. Gives the exit
/// status otherwise.
pub fn run(options: &Options, out: &mut dyn Write) -> u8 {
    let replayed = begin(options).and_then(|arguments| launch::replay(&arguments));
    match replayed {
        Ok(mut event_loop) => {
            let turns = tape::replayed_turns();
            tape::remove();
            // Where nobody reads it, the exit status still tells.
            let _ = writeln!(out, "{}", End::Complete { turns });
            let _ = report(options, event_loop.state_mut(), out);
            // To free it key by key takes seconds.
            std::mem::forget(event_loop);
            SAME
        }
        Err(reason) => {
            eprintln!("{reason}");
            UNTRIED
        }
    }
}

/// Puts the recording on; gives the arguments of the process that was recorded.
fn begin(options: &Options) -> Result<Vec<OsString>, String> {
    let mut reader = open(&options.path)?;
    let arguments = reader.header.arguments.iter().map(OsString::from).collect();
    let player = Player::new(Box::new(move || reader.next_piece()), Box::new(end_process));
    tape::replay(player.until(options.until));
    Ok(arguments)
}

/// Opens a recording that this build can replay.
///
/// Errors: why it cannot.
pub fn open(path: &str) -> Result<RecordingReader, String> {
    let path = Path::new(path);
    let reader = RecordingReader::open(path)?;
    let own = Header::of_process(Vec::new()).map_err(|error| format!("Cannot read the executable: {error}"))?;
    if (&own.version, own.build) != (&reader.header.version, reader.header.build) {
        return Err(format!(
            "{} was made by another build (version {}): only the same one can replay it.",
            path.display(),
            reader.header.version
        ));
    }
    Ok(reader)
}

/// The recording was left, or is over amid a turn.
fn end_process(end: &End) -> Infallible {
    println!("{end}");
    std::process::exit(match end {
        End::Complete { .. } => SAME.into(),
        End::Diverged { .. } | End::OtherOutput { .. } => DIFFERENT.into(),
    })
}

/// Says what is asked for besides.
fn report(options: &Options, state: &mut ServerState, out: &mut dyn Write) -> std::io::Result<()> {
    let explainer = Explainer { recorder: &state.recorder, commands: &state.commands };
    for turn in state.recorder.turns.slowest(options.slowest, 0) {
        let sentence = explainer.of_number(turn.number).map(|explanation| explanation.sentence);
        writeln!(out, "Turn {}: {:.1} ms. {}", turn.number, turn.busy_ns() / 1e6, sentence.unwrap_or_default())?;
    }
    for request in &options.requests {
        writeln!(out, "> {request}\n{}", reply_to(request, state))?;
    }
    Ok(())
}

/// What the state as it is replies to a request; the time stands still.
fn reply_to(request: &str, state: &mut ServerState) -> String {
    let Some(words) = quoting::split_arguments(request.as_bytes()).filter(|words| !words.is_empty()) else {
        return "unbalanced quotes, or no request".to_string();
    };
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let token = state.add_client(Address { unix: true, ..Address::default() });
    let Some(mut session) = state.clients.checkout(token) else { return String::new() };
    session.authenticated = true;
    let mut reply = std::mem::take(&mut session.reply);
    execute::execute(state, &mut session, &mut reply, Args::from_slices(&words));
    let text = String::from_utf8_lossy(&reply.to_vec()).trim_end().to_string();
    state.clients.checkin(session);
    state.remove_client(token);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        Options::parse(&text.split(' ').map(str::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn the_options_are_read() {
        let expected =
            Options { path: "file".into(), until: 7, slowest: 3, requests: vec!["DBSIZE".into(), "PING".into()] };
        assert_eq!(parse("--until 7 file --run DBSIZE --slowest 3 --run PING"), Ok(expected));
        for wrong in ["--until 7", "file other", "file --until", "file --until x", "file --unknown"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
