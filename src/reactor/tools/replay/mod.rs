//! `oneloop replay RECORDING`: a recorded run again, turn by turn, with the same replies.
//!
//! `oneloop replay --against HOST:PORT FILE`: requests that were written down, run here and by another server, and the
//! replies compared. It answers the question before an upgrade: would that server reply to our clients in the same way?
//! `requests` reads the file, `frames` the replies, `peer` talks to the other server, `comparison` runs both. Where the
//! file is a recording, `against` replays it here, and `conversation` has each client's requests asked there, too.
//!
//! Never changes data here: what runs has a keyspace of its own, in memory, and opens neither sockets nor files.

mod against;
mod bisect;
mod comparison;
mod conversation;
pub(in crate::reactor) mod frames;
mod opened;
mod peer;
mod recorded;
mod redact;
mod requests;
mod rules;
mod serve;
mod simulation;
mod step;
mod what_if;
mod wire;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use crate::config::system_reason;
use crate::storage::recording::RecordingReader;

use comparison::Comparison;
use peer::Login;
use requests::Line;
use rules::Summary;

pub(super) const USAGE: &str = "\
Usage: oneloop replay [OPTION ...] RECORDING
       oneloop replay --against HOST:PORT [OPTION ...] FILE
       oneloop replay --redact RECORDING OUT

RECORDING was made by oneloop --record. The same build runs it again and looks whether each turn has the same output,
and whether the data are the same now and then. The exit status is 0 if so, 1 if not, and 2 if it cannot be tried.
Turns are counted from 1, as by LOOP TURNS.

  --pace fast | recorded         as fast as it can (the default), or at the pace it had
  --until TURN                   end after that turn
  --slowest N                    explain the N longest turns
  --step                         ask at a prompt what to run and what to show: turns, requests, keys, clients
  --serve PORT                   then serve the state on that port of 127.0.0.1, for redis-cli; the date stands
                                 still, clients may change the data, and nothing is kept
  --bisect CONDITION             find the smallest set of requests that still makes a turn like \"turn > 5ms\"; also
                                 requests, bytes_in, bytes_out, memory. Exit status 1: no turn does that
  --write-requests FILE          and write them to FILE, in the form that --against reads
  --what-if --DIRECTIVE VALUE …  serve what came once more with other settings, and print hit rate, memory and turn
                                 times beside those recorded; stands last
  --run REQUEST                  what would be replied to that request at the end; may be given again

FILE holds requests: what MONITOR prints, or lines like \"a> SET key value\", in which the client's name stands
before the >. - reads them from standard input. Each request is run here, on empty databases, and sent to that
server, and the replies are compared. FILE may be a RECORDING too: then it is replayed here.

  --against HOST:PORT            compare the replies with those of that server
  --user NAME                    log in there as this user
  --password WORD                log in there with this password
  --keep-data                    the server may hold data; its keys will be changed
  --show N                       show the first N differences (10)

The exit status is 0 if all replies that can be compared are the same, 1 if not, and 2 if it cannot be tried.

  --redact RECORDING OUT         make of RECORDING another one, OUT, that can be given away: words are replaced,
                                 numbers stay
";

/// Exit statuses.
const SAME: u8 = 0;
const DIFFERENT: u8 = 1;
const UNTRIED: u8 = 2;

/// What the arguments ask for.
struct Options {
    host: String,
    port: u16,
    login: Option<Login>,
    keeps_data: bool,
    shown_max: usize,
    file: String,
}

/// Does what the arguments ask for, and gives the exit status. Differences and the summary go to `out`.
pub fn main(arguments: &[String], out: &mut dyn Write) -> u8 {
    if arguments.first().is_some_and(|word| word == "--redact") {
        return redact(&arguments[1..], out);
    }
    if !arguments.iter().any(|word| word == "--against") {
        return match recorded::Options::parse(arguments) {
            Ok(options) => recorded::run(&options, out),
            Err(reason) => {
                eprintln!("{reason}\n\n{USAGE}");
                UNTRIED
            }
        };
    }
    let options = match parse(arguments) {
        Ok(options) => options,
        Err(reason) => {
            eprintln!("{reason}\n\n{USAGE}");
            return UNTRIED;
        }
    };
    if RecordingReader::is_recording(Path::new(&options.file)) {
        return run_recording(&options);
    }
    match run(&options, out) {
        Ok(summary) if summary.different == 0 => SAME,
        Ok(_) => DIFFERENT,
        Err(reason) => {
            eprintln!("{reason}");
            UNTRIED
        }
    }
}

fn redact(arguments: &[String], out: &mut dyn Write) -> u8 {
    let [from, to] = arguments else {
        eprintln!("--redact wants a recording, and the name of another one.\n\n{USAGE}");
        return UNTRIED;
    };
    match redact::run(from, to) {
        Ok(said) => {
            // Where nobody reads it, the exit status still tells.
            let _ = writeln!(out, "{said}");
            SAME
        }
        Err(reason) => {
            eprintln!("{reason}");
            UNTRIED
        }
    }
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let (mut against, mut user, mut password, mut file) = (None, None, None, None);
    let (mut keeps_data, mut shown_max) = (false, 10);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value."));
        match word.as_str() {
            "--against" => against = Some(value()?.clone()),
            "--user" => user = Some(value()?.clone().into_bytes()),
            "--password" => password = Some(value()?.clone().into_bytes()),
            "--keep-data" => keeps_data = true,
            "--show" => shown_max = value()?.parse().map_err(|_| "--show wants a number.".to_string())?,
            option if option.starts_with("--") => return Err(format!("Unknown option {option}.")),
            name if file.is_none() => file = Some(name.to_string()),
            _ => return Err("One file at a time.".to_string()),
        }
    }
    let against = against.ok_or("--against HOST:PORT is missing.")?;
    let address = against.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = address.ok_or(format!("{against} is not HOST:PORT."))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_string();
    let login = match (user, password) {
        (None, None) => None,
        (Some(_), None) => return Err("--user wants a --password.".to_string()),
        (user, Some(password)) => Some(Login { user, password }),
    };
    let file = file.ok_or("The file with the requests is missing.")?;
    Ok(Options { host, port, login, keeps_data, shown_max, file })
}

/// Compares all requests of a recording; gives the exit status.
fn run_recording(options: &Options) -> u8 {
    let Options { host, port, login, shown_max, .. } = options;
    let begun = match options.keeps_data {
        true => Ok(()),
        false => Comparison::new(host, *port, login.clone(), 0).refuse_data(),
    };
    if let Err(reason) = begun {
        eprintln!("{reason}");
        return UNTRIED;
    }
    let target = against::Target { host: host.clone(), port: *port, login: login.clone(), shown_max: *shown_max };
    against::run(&options.file, target)
}

/// Compares all requests of the file.
///
/// Errors: why it cannot go on.
fn run(options: &Options, out: &mut dyn Write) -> Result<Summary, String> {
    let unreadable = |error: io::Error| format!("Cannot read {}: {}", options.file, system_reason(&error));
    let input: Box<dyn Read> = match options.file.as_str() {
        "-" => Box::new(io::stdin()),
        path => Box::new(File::open(path).map_err(unreadable)?),
    };
    let mut comparison = Comparison::new(&options.host, options.port, options.login.clone(), options.shown_max);
    if !options.keeps_data {
        comparison.refuse_data()?;
    }
    let mut input = BufReader::new(input);
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            break;
        }
        number += 1;
        match requests::parse(&line).map_err(|reason| format!("{}, line {number}: {reason}", options.file))? {
            Line::Request(request) => comparison.run(number, &request, out)?,
            Line::LeftOut(reason) => comparison.leave_out(reason),
            Line::Nothing => {}
        }
    }
    let summary = comparison.finish(out)?;
    // Where nobody reads it, the exit status still tells.
    let _ = write!(out, "{summary}");
    Ok(summary)
}
