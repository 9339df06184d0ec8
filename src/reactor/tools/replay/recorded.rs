//! `oneloop replay RECORDING`: runs a recording again.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{BufReader, Write, stdin, stdout};
use std::num::NonZeroU16;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::tape::{self, End};
use crate::engine::execute;
use crate::engine::state::ServerState;
use crate::net::address::Address;
use crate::observe::explain::Explainer;
use crate::reactor::launch;
use crate::reactor::watching::Watcher;
use crate::resp::Args;
use crate::text::quoting;

use super::bisect::Condition;
use super::opened;
use super::step::{Prompt, Stepper};
use super::{DIFFERENT, SAME, UNTRIED, bisect, serve, what_if};

/// How fast a recording is replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pace {
    /// As fast as it can be.
    #[default]
    Fast,
    /// As fast as it was recorded, the pauses included.
    Recorded,
}

/// What the arguments ask for.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    path: String,
    /// Ends after that turn.
    until: u64,
    pace: Pace,
    /// Turns to be explained, those that took the longest.
    slowest: usize,
    /// Requests to be run on the state at the end.
    requests: Vec<String>,
    /// Asks at a prompt what to run, and what to show.
    steps: bool,
    /// Serves the state at the end on that port.
    port: Option<u16>,
    other: Option<Other>,
}

/// What is done with what came to the recorded server, instead of replaying it exactly.
#[derive(Debug, PartialEq, Eq)]
enum Other {
    /// Serves it with other settings.
    WhatIf(Vec<OsString>),
    /// Looks for the smallest part that still makes such a turn, and writes it to a file.
    Bisect(Condition, Option<String>),
}

impl Options {
    /// Reads the arguments.
    ///
    /// Errors: what is wrong with them.
    pub fn parse(arguments: &[String]) -> Result<Options, String> {
        let (mut path, mut until, mut slowest, mut requests) = (None, u64::MAX, 0, Vec::new());
        let (mut pace, mut steps, mut port) = (Pace::Fast, false, None);
        let (mut what_if, mut condition, mut file) = (None, None, None);
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value."));
            match word.as_str() {
                "--until" => until = value()?.parse().map_err(|_| "--until wants the number of a turn.")?,
                "--slowest" => slowest = value()?.parse().map_err(|_| "--slowest wants a number.")?,
                "--pace" => {
                    pace = match value()?.as_str() {
                        "fast" => Pace::Fast,
                        "recorded" => Pace::Recorded,
                        _ => return Err("--pace wants fast or recorded.".to_string()),
                    }
                }
                "--step" => steps = true,
                "--serve" => port = Some(value()?.parse::<NonZeroU16>().map_err(|_| "--serve wants a port.")?.get()),
                "--what-if" => what_if = Some(words.by_ref().map(OsString::from).collect::<Vec<_>>()),
                "--bisect" => condition = Some(Condition::parse(value()?)?),
                "--write-requests" => file = Some(value()?.clone()),
                "--run" => requests.push(value()?.clone()),
                option if option.starts_with("--") => return Err(format!("Unknown option {option}.")),
                name if path.is_none() => path = Some(name.to_string()),
                _ => return Err("One recording at a time.".to_string()),
            }
        }
        let path = path.ok_or("The recording is missing.")?;
        let is_plain = until == u64::MAX && slowest == 0 && pace == Pace::Fast && requests.is_empty();
        let ways = [steps, port.is_some(), what_if.is_some(), condition.is_some()];
        if ways.iter().filter(|is_wanted| **is_wanted).count() > 1 {
            return Err("--step, --serve, --what-if and --bisect exclude each other.".to_string());
        }
        let other = match (what_if, condition, file) {
            (Some(settings), ..) if settings.is_empty() => return Err("--what-if wants directives.".to_string()),
            (_, None, Some(_)) => return Err("--write-requests wants --bisect too.".to_string()),
            (Some(settings), ..) => Some(Other::WhatIf(settings)),
            (None, Some(condition), file) => Some(Other::Bisect(condition, file)),
            (None, None, None) => None,
        };
        match other {
            Some(_) if !is_plain => Err("--what-if and --bisect take the whole recording.".to_string()),
            other => Ok(Options { path, until, pace, slowest, requests, steps, port, other }),
        }
    }
}

/// Runs the recording in this process, which ends if the recording is left, or is over amid a turn. Gives the exit
/// status otherwise.
pub fn run(options: &Options, out: &mut dyn Write) -> u8 {
    match &options.other {
        None => {}
        Some(Other::WhatIf(settings)) => {
            return what_if::compare(&options.path, settings, out).map_or_else(untried, |()| SAME);
        }
        Some(Other::Bisect(condition, file)) => {
            let found = bisect::bisect(&options.path, *condition, file.as_deref(), out);
            return found.map_or_else(untried, |found| if found { SAME } else { DIFFERENT });
        }
    }
    let prompt = options.steps.then(|| Prompt::new(Box::new(BufReader::new(stdin())), Box::new(stdout())));
    let watcher = prompt.clone().map(|prompt| -> Box<dyn Watcher> { Box::new(Stepper(prompt)) });
    match begin(options).and_then(|arguments| launch::replay(&arguments, watcher)) {
        Ok(mut event_loop) => {
            if let Some(prompt) = prompt {
                prompt.borrow_mut().end(&event_loop.state, &event_loop.connections);
            }
            if let Some(port) = options.port {
                let served = serve::serve(&mut event_loop, port, out);
                std::mem::forget(event_loop);
                return served.map_or_else(untried, |()| SAME);
            }
            let (turns, digests) = (tape::replayed_turns(), tape::compared_digests());
            tape::remove();
            // Where nobody reads it, the exit status still tells.
            let _ = writeln!(out, "{}", End::Complete { turns });
            let _ = writeln!(out, "{digests} digests of the data were compared, and all of them are identical.");
            let _ = report(options, event_loop.state_mut(), out);
            // To free it key by key takes seconds.
            std::mem::forget(event_loop);
            SAME
        }
        Err(reason) => untried(reason),
    }
}

fn untried(reason: String) -> u8 {
    eprintln!("{reason}");
    UNTRIED
}

/// Puts the recording on; gives the arguments of the process that was recorded.
fn begin(options: &Options) -> Result<Vec<OsString>, String> {
    let opened = opened::open(&options.path)?;
    let arguments = opened.arguments();
    let wants_state = options.port.is_some() || !options.requests.is_empty() || options.slowest > 0;
    let player = opened.player(Box::new(move |end| end_process(end, wants_state))).until(options.until);
    tape::replay(match options.pace {
        Pace::Fast => player,
        Pace::Recorded => player.with_pace(keep_pace()),
    });
    Ok(arguments)
}

/// Waits at the end of each turn until as much time has passed as the recorded server had run by then.
fn keep_pace() -> Box<dyn FnMut(u64)> {
    let mut clock = Clock::system();
    Box::new(move |recorded_ns| {
        let ahead_us = (recorded_ns / 1000).saturating_sub(clock.monotonic_us());
        if ahead_us > 0 {
            clock.sleep(Duration::from_micros(ahead_us));
        }
    })
}

/// The recording was left, or is over amid a turn.
fn end_process(end: &End, wants_state: bool) -> Infallible {
    println!("{end}");
    if let (End::Complete { turns }, true) = (end, wants_state) {
        println!("It is over amid turn {}, whose state cannot be looked at: try --until {turns}.", turns + 1);
    }
    std::process::exit(match end {
        End::Complete { .. } => SAME.into(),
        End::Diverged { .. } | End::OtherOutput { .. } | End::OtherData { .. } => DIFFERENT.into(),
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
        let requests = vec!["DBSIZE".into(), "PING".into()];
        let expected = Options {
            path: "file".into(),
            until: 7,
            pace: Pace::Recorded,
            slowest: 3,
            requests,
            steps: true,
            port: None,
            other: None,
        };
        assert_eq!(parse("--until 7 file --run DBSIZE --slowest 3 --run PING --pace recorded --step"), Ok(expected));
        let options = parse("file --what-if --hz 50").unwrap();
        assert_eq!(options.other, Some(Other::WhatIf(vec!["--hz".into(), "50".into()])));
        let condition = Condition::parse("turn>5ms").unwrap();
        let options = parse("file --bisect turn>5ms --write-requests out").unwrap();
        assert_eq!(options.other, Some(Other::Bisect(condition, Some("out".into()))));
        for wrong in [
            "file --what-if",
            "file --bisect x>1",
            "file --bisect turn>5ms --until 7",
            "file --serve 0",
            "file --step --serve 7",
            "file --write-requests out",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["--until 7", "file other", "file --pace slow", "file --until", "file --until x", "file --unknown"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
