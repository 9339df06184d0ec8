//! A scene as JSON, for the page: what the last step has done, and how both loops are now.

use crate::command::keys;
use crate::command::spec::Flag;
use crate::engine::session::{Close, Session};
use crate::net::connection::Connection;
use crate::net::scripted::world::Source;
use crate::observe::loop_stats::Job;
use crate::resp::Args;
use crate::text::json::Json;

use super::client::Client;
use super::knobs::KNOBS;
use super::stage::Stage;
use super::step::{Ran, Reported};

/// Bytes of a client's input, and of an argument, that are shown.
const SHOWN_BYTES: usize = 64;
/// Arguments of a request that are shown.
const SHOWN_ARGUMENTS: usize = 8;

/// How a scene is.
pub(super) fn state(stage: &mut Stage) -> String {
    let mut json = Json::default();
    json.object(|json| {
        json.string_field("lesson", stage.lesson.name.as_bytes());
        json.number_field("turns", stage.turns);
        json.number_field("clock_us", stage.server.event_loop().state.clock.now_us() % 1_000_000_000);
        json.name("acts");
        acts(json, stage);
        json.name("knobs");
        json.array(|json| knobs(json, stage));
        json.name("step");
        json.object(|json| step(json, stage));
        json.name("server");
        let is_idle = stage.server.is_idle();
        json.object(|json| server(json, stage, is_idle));
        json.name("echo");
        json.object(|json| echo(json, stage));
    });
    json.into_text()
}

fn acts(json: &mut Json, stage: &Stage) {
    json.object(|json| {
        json.number_field("done", stage.acts_done);
        json.number_field("left", stage.acts.len());
        json.string_field("next", stage.acts.front().map_or("", |act| act.says).as_bytes());
    });
}

fn knobs(json: &mut Json, stage: &Stage) {
    for (knob, value) in KNOBS.iter().zip(&stage.knobs) {
        json.object(|json| {
            json.string_field("name", knob.name.as_bytes());
            json.string_field("unit", knob.unit.as_bytes());
            json.number_field("least", knob.least);
            json.number_field("most", knob.most);
            json.number_field("usual", knob.usual);
            json.number_field("value", value);
            json.name("words");
            json.array(|json| knob.words.iter().for_each(|word| json.string(word.as_bytes())));
        });
    }
}

fn step(json: &mut Json, stage: &Stage) {
    let step = &stage.step;
    json.string_field("says", step.says.as_bytes());
    for (name, reported) in [("reported", &step.reported), ("echo_reported", &step.echo_reported)] {
        json.name(name);
        json.array(|json| reported.iter().for_each(|reported| event(json, reported)));
    }
    for (name, number) in [
        ("turns", step.turns),
        ("waited_us", step.waited_us),
        ("took_us", step.took_us),
        ("reads", step.reads),
        ("echo_reads", step.echo_reads),
        ("writes", step.writes),
        ("input_bytes", step.input_bytes),
        ("output_bytes", step.output_bytes),
        ("requests", step.requests),
        ("batches", step.batches),
        ("from_ready", step.from_ready),
        ("timers_us", step.timers_us),
    ] {
        json.number_field(name, number);
    }
    json.name("ran");
    json.array(|json| step.ran.iter().for_each(|ran| request(json, stage, ran)));
}

fn event(json: &mut Json, Reported { name, readiness, is_known }: &Reported) {
    json.object(|json| {
        json.string_field("name", name.as_bytes());
        for (name, flag) in [
            ("readable", readiness.readable),
            ("writable", readiness.writable),
            ("closed", readiness.closed),
            ("known", *is_known),
        ] {
            json.name(name);
            json.flag(flag);
        }
    });
}

/// A request that was run, with the keys that it has touched.
fn request(json: &mut Json, stage: &Stage, ran: &Ran) {
    let slices: Vec<&[u8]> = ran.arguments.iter().map(Vec::as_slice).collect();
    let commands = &stage.server.event_loop().state.commands;
    let command = commands.resolve(slices.first().copied().unwrap_or_default(), slices.get(1).copied());
    json.object(|json| {
        json.string_field("client", ran.client.as_bytes());
        json.number_field("took_us", ran.took_us);
        json.name("words");
        json.array(|json| slices.iter().take(SHOWN_ARGUMENTS).for_each(|word| json.string(shown(word))));
        json.name("changes");
        json.flag(command.is_some_and(|command| command.flags.has(Flag::Write)));
        json.name("keys");
        json.array(|json| {
            let args = Args::from_slices(&slices);
            let keys =
                command.filter(|command| command.accepts(slices.len())).map(|command| keys::keys_of(command, args));
            for key in keys.iter().flatten() {
                json.string(shown(args.get(key.index).unwrap_or_default()));
            }
        });
    });
}

fn shown(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(SHOWN_BYTES)]
}

/// What of a socket is due, by the names of the clients.
fn due(json: &mut Json, sources: &[Source], name_of: impl Fn(Source) -> Option<&'static str>) {
    json.array(|json| {
        for source in sources {
            let name = match source {
                Source::Socket(_) => name_of(*source).unwrap_or("a new client"),
                Source::Listener(_) => "the listener",
                Source::Signals => "a signal",
                Source::Waker => "the disk's thread",
            };
            json.string(name.as_bytes());
        }
    });
}

fn server(json: &mut Json, stage: &Stage, is_idle: bool) {
    let event_loop = stage.server.event_loop();
    let state = &event_loop.state;
    let name_of = |source| stage.clients.iter().find(|client| client.peer.source() == source).map(|client| client.name);
    json.name("due");
    due(json, &stage.server.world().due(), name_of);
    json.name("ready");
    json.array(|json| {
        for token in &event_loop.ready {
            let of = stage.clients.iter().find(|client| client.token == Some(*token));
            json.string(of.map_or("a new client", |client| client.name).as_bytes());
        }
    });
    json.name("idle");
    json.flag(is_idle);
    json.name("clients");
    json.array(|json| stage.clients.iter().for_each(|one| client(json, stage, one)));
    json.name("jobs");
    json.array(|json| {
        for job in Job::ALL {
            json.object(|json| {
                json.string_field("name", job.name().as_bytes());
                json.name("has_work");
                json.flag(event_loop.jobs.has_work(job));
                json.number_field("steps", stage.step.job_steps[job as usize]);
            });
        }
    });
    let run = event_loop.jobs.last_run;
    for (name, number) in [
        ("budget_us", run.budget_ns / 1000),
        ("jobs_us", run.elapsed_ns / 1000),
        ("garbage", state.keyspace.reclaim_pending() as u64),
        ("reclaimed", state.keyspace.reclaimed()),
        ("keys", state.keyspace.databases().map(|database| database.len() as u64).sum()),
        ("appended_offset", state.aof.required_offset(false)),
        ("acked_offset", state.aof.acked_offset().min(state.aof.required_offset(false))),
        ("disk_waits", stage.disk.busy_helpers().len() as u64),
        ("syncs", stage.syncs),
    ] {
        json.number_field(name, number);
    }
    json.name("appends");
    json.flag(state.config.appendonly);
}

/// One client of the server's loop.
fn client(json: &mut Json, stage: &Stage, client: &Client) {
    let event_loop = stage.server.event_loop();
    let found = client.token.and_then(|token| Some((token, event_loop.state.clients.get(token)?)));
    json.object(|json| {
        json.string_field("name", client.name.as_bytes());
        json.number_field("unread", client.peer.unread());
        json.number_field("untaken", client.peer.untaken());
        json.number_field("replies", client.replies);
        json.number_field("taken_bytes", client.taken_bytes);
        json.string_field("last_reply", client.last_reply.as_bytes());
        json.name("there");
        json.flag(found.is_some());
        let words = match found {
            Some((token, session)) => words_of(&event_loop.connections[token.slot as usize], session),
            None if client.has_left || client.token.is_some() => vec!["gone"],
            None => vec!["waits at the listener"],
        };
        json.name("state");
        json.array(|json| words.iter().for_each(|word| json.string(word.as_bytes())));
        if let Some((token, session)) = found {
            json.number_field("slot", token.slot);
            json.number_field("generation", token.generation);
            json.number_field("requests", session.traffic.commands);
            json.number_field("pending", session.reply.len());
            json.number_field("held", session.held.bytes);
            buffers(json, &event_loop.connections[token.slot as usize]);
        }
    });
}

/// What a connection is at, in the words of the lessons.
fn words_of(connection: &Connection, session: &Session) -> Vec<&'static str> {
    let states = [
        (connection.readable, "readable"),
        (connection.ready, "on the ready list"),
        (connection.output_blocked, "throttled"),
        (session.held.bytes > 0, "waits for the disk"),
        (connection.hung_up, "hung up"),
        (session.close != Close::No, "closing"),
    ];
    let words: Vec<&str> = states.iter().filter(|(is_on, _)| *is_on).map(|(_, word)| *word).collect();
    if words.is_empty() { vec!["idle"] } else { words }
}

/// The bytes that were read and not parsed, and how far the parser is within a request.
fn buffers(json: &mut Json, connection: &Connection) {
    json.number_field("input_bytes", connection.input.len());
    json.string_field("input", shown(&connection.input));
    let Some(progress) = connection.parser.progress() else {
        return;
    };
    json.name("parser");
    json.object(|json| {
        json.number_field("missing", progress.missing);
        json.name("arguments");
        json.array(|json| progress.arguments.iter().take(SHOWN_ARGUMENTS).for_each(|word| json.string(shown(word))));
        if let Some((filled, whole)) = progress.receiving {
            json.numbers_field("receiving", [filled, whole]);
        }
    });
}

fn echo(json: &mut Json, stage: &Stage) {
    let echo = &stage.echo;
    let name_of = |source| stage.clients.iter().find(|client| client.echo.source() == source).map(|client| client.name);
    json.name("due");
    due(json, &echo.world.due(), name_of);
    json.name("clients");
    json.array(|json| {
        for client in &stage.clients {
            let connection = echo.connections.get(client.echo_slot).filter(|_| !client.echo.is_over());
            json.object(|json| {
                json.string_field("name", client.name.as_bytes());
                json.name("there");
                json.flag(connection.is_some());
                json.number_field("slot", client.echo_slot);
                json.number_field("unread", client.echo.unread());
                json.number_field("untaken", client.echo.untaken());
                json.number_field("taken_bytes", client.echo_bytes);
                json.number_field("answered", connection.map_or(0, |connection| connection.answered));
                json.number_field("unsent", connection.map_or(0, |connection| connection.unsent.len()));
            });
        }
    });
}
