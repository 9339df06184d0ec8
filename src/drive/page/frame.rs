//! A frame of the live view: what the loop has done since the frame before, and how the server is.
//!
//! Sums are told as they stand, since the start; the page takes differences. Turns, and pieces of 100 ms, are those
//! that are new.

use std::cmp::Reverse;

use super::cluster;
use super::event::event;
use super::ledger;
use crate::command::registry::{Command, CommandId};
use crate::drive::save::background;
use crate::engine::session::{Blocked, Session};
use crate::engine::state::{SLOW_US, ServerState};
use crate::observe::explain::Explainer;
use crate::observe::loop_stats::Job;
use crate::observe::turn::{Part, Turn, Visit};
use crate::observe::turn_aggregates::{Aggregate, PERIOD_NS};
use crate::storage::aof::append_only::State;
use crate::text::json::Json;

/// Turns of a frame: the newest; of the others only the pieces tell.
const TURNS_MAX: usize = 200;
/// Pieces of time of a frame.
const PIECES_MAX: u64 = 20;
/// Pieces that are told again by the next frame.
const TOLD_AGAIN_PIECES: u64 = 3;
/// Visits that are shown of a worst turn.
const VISITS_MAX: usize = 40;
/// Worst turns at least so long are told with their visits, in ns.
const TOLD_NS: f32 = 100_000.0;
/// Places of clients that one step looks at.
const STEP_CLIENTS: usize = 64;
/// Clients, users and commands that are told.
const SHOWN_MAX: usize = 20;
/// Pieces of time in which the worst turn is looked for: a minute.
const WORST_PIECES: u64 = 600;

/// The frames for the viewers, one after the other.
#[derive(Default)]
pub(super) struct Frames {
    writing: Option<Writing>,
    /// The first turn, and the first piece, that no frame has told yet.
    next_turn: u64,
    next_piece: u64,
}

/// What comes next of a frame.
enum Writing {
    /// The clients from this place on, and those with the most time so far.
    Clients(usize, Clients),
    /// What the loop has done.
    Loop(Clients),
    /// The nodes of the cluster, behind what is written already.
    Nodes(Clients, Json),
    /// Its slots.
    Slots(Clients, Json),
    /// How the server is.
    Server(Clients, Json),
}

#[derive(Default)]
struct Clients {
    rows: Vec<ClientRow>,
    blocked: u64,
}

/// A client as a frame shows it.
struct ClientRow {
    id: u64,
    address: String,
    name: Vec<u8>,
    user: Vec<u8>,
    command: String,
    requests: u64,
    time_us: u64,
    longest_us: u64,
    memory_bytes: usize,
}

impl Frames {
    /// Begins a frame, unless one is being written.
    pub(super) fn begin(&mut self) {
        self.writing.get_or_insert_with(|| Writing::Clients(0, Clients::default()));
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Writes a piece; gives the event once it is complete.
    pub(super) fn step(&mut self, state: &ServerState) -> Option<String> {
        match self.writing.take()? {
            Writing::Clients(place, mut clients) => {
                let end = place + STEP_CLIENTS;
                clients.look_at(state, place..end);
                self.writing = Some(match end < state.clients.places() {
                    true => Writing::Clients(end, clients),
                    false => Writing::Loop(clients),
                });
                None
            }
            Writing::Loop(clients) => {
                let json = self.begun(state);
                self.writing = Some(match state.cluster {
                    Some(_) => Writing::Nodes(clients, json),
                    None => Writing::Server(clients, json),
                });
                None
            }
            Writing::Nodes(clients, mut json) => {
                cluster::write_nodes(&mut json, state);
                self.writing = Some(Writing::Slots(clients, json));
                None
            }
            Writing::Slots(clients, mut json) => {
                cluster::write_slots(&mut json, state);
                self.writing = Some(Writing::Server(clients, json));
                None
            }
            Writing::Server(clients, json) => Some(event("frame", &self.ended(state, &clients, json))),
        }
    }

    /// What the loop has done since the frame before.
    fn begun(&mut self, state: &ServerState) -> Json {
        let mut json = Json::default();
        json.raw("{");
        json.number_field("now_us", state.clock.monotonic_us());
        json.number_field("unix_ms", state.now_ms());
        write_server(&mut json, state);
        write_loop(&mut json, state);
        self.write_turns(&mut json, state);
        self.write_pieces(&mut json, state);
        json
    }

    /// How the server is.
    fn ended(&self, state: &ServerState, clients: &Clients, mut json: Json) -> String {
        write_worst(&mut json, state);
        write_distributions(&mut json, state);
        write_commands(&mut json, state);
        write_users(&mut json, state);
        clients.write(&mut json, state);
        write_memory(&mut json, state);
        ledger::write_sample(&mut json, state);
        ledger::write_requests(&mut json, state);
        write_persistence(&mut json, state);
        json.raw("}");
        json.into_text()
    }

    /// `turns`: the newest that are new, and `left_out`: how many others there were.
    fn write_turns(&mut self, json: &mut Json, state: &ServerState) {
        let explainer = explainer(state);
        let newest = state.recorder.turns.iter().rev().take_while(|turn| turn.number >= self.next_turn);
        let mut turns: Vec<&Turn> = newest.take(TURNS_MAX).collect();
        turns.reverse();
        json.name("turns");
        json.array(|json| turns.iter().for_each(|turn| write_turn(json, &explainer, turn)));
        self.next_turn = turns.last().map_or(self.next_turn, |turn| turn.number + 1);
    }

    /// `pieces`: those of 100 ms that are new or have changed, each with its worst turn.
    fn write_pieces(&mut self, json: &mut Json, state: &ServerState) {
        let now_piece = state.clock.monotonic_us() * 1000 / PERIOD_NS;
        let first = self.next_piece.max(now_piece.saturating_sub(PIECES_MAX));
        let explainer = explainer(state);
        json.name("pieces");
        json.array(|json| {
            for piece in state.recorder.aggregates.since(first) {
                write_piece(json, &explainer, piece);
            }
        });
        // The piece that goes on is told again, and so are some before it: a slow viewer may have skipped a frame.
        self.next_piece = now_piece.saturating_sub(TOLD_AGAIN_PIECES);
    }
}

fn explainer(state: &ServerState) -> Explainer<'_> {
    Explainer { recorder: &state.recorder, commands: &state.commands }
}

fn micros(nanos: f32) -> f64 {
    (f64::from(nanos) / 100.0).round() / 10.0
}

/// A request by its command, and by its key if it was slow enough for that to be kept: looking for it takes a while.
fn name_of(explainer: &Explainer<'_>, turn: &Turn, client: u64, command: Option<CommandId>, took_ns: f32) -> String {
    match command {
        Some(_) if took_ns >= SLOW_US as f32 * 1000.0 => explainer.request(turn, client, command),
        Some(command) => explainer.commands.get(command).full_name.to_ascii_uppercase(),
        None => String::new(),
    }
}

/// `[number, began µs, waited µs, [part µs …], [job µs …], requests, longest µs, request, client, end]`
fn write_turn(json: &mut Json, explainer: &Explainer<'_>, turn: &Turn) {
    json.array(|row| {
        row.number(turn.number);
        row.number(turn.began_ns / 1000);
        row.number(micros(turn.waited_ns));
        row.array(|row| Part::ALL.iter().for_each(|part| row.number(micros(turn.part_ns(*part)))));
        row.array(|row| Job::ALL.iter().for_each(|job| row.number(micros(turn.jobs_ns[*job as usize]))));
        row.number(turn.requests);
        row.number(micros(turn.longest_ns));
        row.string(name_of(explainer, turn, turn.longest_client, turn.longest_command, turn.longest_ns).as_bytes());
        row.number(turn.longest_client);
        row.string(turn.end.name().as_bytes());
    });
}

/// `[piece, turns, requests, busy µs, worst turn, sentence, [visit …]]`, of a short worst turn without the last two.
fn write_piece(json: &mut Json, explainer: &Explainer<'_>, piece: &Aggregate) {
    json.array(|row| {
        row.number(piece.piece());
        row.number(piece.turns);
        row.number(piece.requests);
        row.number(micros(piece.busy_ns));
        write_turn(row, explainer, &piece.worst);
        if piece.worst.busy_ns() < TOLD_NS {
            return;
        }
        let visits = explainer.recorder.aggregates.visits_of(piece);
        row.string(explainer.of_moment(&piece.worst, &visits).as_bytes());
        row.array(|row| {
            for visit in visits.iter().take(VISITS_MAX) {
                write_visit(row, explainer, &piece.worst, visit);
            }
        });
    });
}

/// `[client, request, requests, waited µs, run µs, longest µs]`
fn write_visit(json: &mut Json, explainer: &Explainer<'_>, turn: &Turn, visit: &Visit) {
    json.array(|row| {
        row.number(visit.client);
        row.string(name_of(explainer, turn, visit.client, visit.longest_command, visit.longest_ns).as_bytes());
        row.number(visit.requests);
        row.number(micros(visit.began_ns));
        row.number(micros(visit.run_ns));
        row.number(micros(visit.longest_ns));
    });
}

/// `worst`: the longest turn of the last minute, the request that made it long, how many clients it held, and how many
/// the next turn found ready.
fn write_worst(json: &mut Json, state: &ServerState) {
    let recorder = &state.recorder;
    let now_piece = state.clock.monotonic_us() * 1000 / PERIOD_NS;
    let pieces = recorder.aggregates.since(now_piece.saturating_sub(WORST_PIECES));
    let Some(piece) = pieces.max_by(|a, b| a.worst.busy_ns().total_cmp(&b.worst.busy_ns())) else {
        return;
    };
    let turn = &piece.worst;
    let visits = recorder.aggregates.visits_of(piece);
    let address = state.clients.find(turn.longest_client).and_then(|token| state.clients.get(token));
    let culprit =
        visits.iter().position(|visit| visit.client == turn.longest_client && visit.longest_ns == turn.longest_ns);
    let behind = culprit.map_or(&[][..], |place| &visits[place + 1..]);
    let mut held: Vec<u64> = behind.iter().map(|visit| visit.client).collect();
    held.sort_unstable();
    held.dedup();
    let is_by_request = turn.longest_ns >= turn.busy_ns() / 2.0;
    json.name("worst");
    json.object(|json| {
        json.number_field("number", turn.number);
        json.number_field("piece", piece.piece());
        json.number_field("busy_us", micros(turn.busy_ns()));
        json.string_field("sentence", explainer(state).of_moment(turn, &visits).as_bytes());
        if is_by_request {
            let request = explainer(state).request(turn, turn.longest_client, turn.longest_command);
            json.string_field("request", request.as_bytes());
            json.number_field("client", turn.longest_client);
            json.string_field("address", address.map_or("", |session| session.address.peer.as_str()).as_bytes());
            json.number_field("held", held.len());
            json.number_field("ready_after", explainer(state).found_ready_after(turn));
        }
    });
}

fn write_server(json: &mut Json, state: &ServerState) {
    json.name("server");
    json.object(|json| {
        json.string_field("version", env!("CARGO_PKG_VERSION").as_bytes());
        json.number_field("port", state.config.port);
        json.number_field("uptime_s", (state.now_ms() - state.process.started_ms) / 1000);
        json.name("loading");
        json.flag(state.is_loading());
        json.name("recorded");
        json.flag(state.recorder.is_on());
    });
}

fn write_loop(json: &mut Json, state: &ServerState) {
    let stats = &state.loop_stats;
    json.name("loop");
    json.object(|json| {
        json.number_field("turns", stats.turns);
        json.number_field("busy_us", stats.busy_ns / 1000);
        json.number_field("waiting_us", stats.waiting_ns / 1000);
        json.number_field("overruns", stats.job_overruns);
        json.number_field("commands", state.stats.commands);
        json.name("parts");
        json.array(|json| Part::ALL.iter().for_each(|part| json.string(part.name().as_bytes())));
        json.name("jobs");
        json.array(|json| {
            for job in Job::ALL {
                let figures = stats.job(job);
                json.array(|row| {
                    row.string(job.name().as_bytes());
                    row.number(figures.sum_ns / 1000);
                    row.number(figures.steps);
                    row.number(figures.longest_step_ns / 1000);
                });
            }
        });
    });
}

/// Counts by powers of two of nanoseconds.
fn write_distributions(json: &mut Json, state: &ServerState) {
    let recorder = &state.recorder;
    json.name("times");
    json.object(|json| {
        json.numbers_field("turns", state.loop_stats.turn_classes);
        json.numbers_field("waiting", recorder.waiting.classes);
        json.numbers_field("leaving", recorder.leaving.classes);
        json.numbers_field("disk", recorder.disk.classes);
    });
}

/// `[name, calls, µs]` of those with the most time.
fn write_commands(json: &mut Json, state: &ServerState) {
    let stats = |command: &Command| state.command_stats.get(command.id);
    let mut used: Vec<&Command> = state.commands.iter().filter(|command| stats(command).calls > 0).collect();
    used.sort_by_key(|command| Reverse(stats(command).ticks));
    json.name("commands");
    json.array(|json| {
        for command in used.into_iter().take(2 * SHOWN_MAX) {
            json.array(|row| {
                row.string(command.full_name.as_bytes());
                row.number(stats(command).calls);
                row.number(state.clock.ticks_as_nanos(stats(command).ticks) / 1000);
            });
        }
    });
    let configured = state.commands.iter().find(|command| command.full_name == "config|set");
    json.number_field("configured", configured.map_or(0, |command| stats(command).calls));
}

/// `[name, requests, µs, longest µs]` of those with the most time.
fn write_users(json: &mut Json, state: &ServerState) {
    let mut users: Vec<_> = state.users.iter().map(|user| (user.name(), user.usage())).collect();
    users.sort_by_key(|(_, usage)| Reverse(usage.ticks));
    let micros = |ticks| state.clock.ticks_as_nanos(ticks) / 1000;
    json.name("users");
    json.array(|json| {
        for (name, usage) in users.into_iter().take(SHOWN_MAX).filter(|(_, usage)| usage.requests > 0) {
            json.array(|row| {
                row.string(name);
                row.number(usage.requests);
                row.number(micros(usage.ticks));
                row.number(micros(usage.longest_ticks));
            });
        }
    });
}

impl Clients {
    fn look_at(&mut self, state: &ServerState, places: std::ops::Range<usize>) {
        for session in state.clients.in_places(places) {
            self.blocked += u64::from(!matches!(session.blocked, None | Some(Blocked::Script)));
            self.rows.push(ClientRow::new(state, session));
        }
        self.rows.sort_by_key(|row| Reverse((row.time_us, row.memory_bytes)));
        self.rows.truncate(SHOWN_MAX);
    }

    /// `[id, address, name, user, command, requests, µs, longest µs, bytes]` of those with the most time.
    fn write(&self, json: &mut Json, state: &ServerState) {
        json.name("clients");
        json.object(|json| {
            json.number_field("connected", state.clients.len());
            json.number_field("blocked", self.blocked);
            json.number_field("max", state.config.maxclients);
            json.name("rows");
            json.array(|json| self.rows.iter().for_each(|row| row.write(json)));
        });
    }
}

impl ClientRow {
    fn new(state: &ServerState, session: &Session) -> ClientRow {
        let micros = |ticks| state.clock.ticks_as_nanos(ticks) / 1000;
        let command = session.last_command.map(|command| state.commands.get(command).full_name.to_string());
        ClientRow {
            id: session.id,
            address: session.address.peer.to_string(),
            name: session.name.clone(),
            user: session.user.name().to_vec(),
            command: command.unwrap_or_default(),
            requests: session.usage.requests,
            time_us: micros(session.usage.ticks),
            longest_us: micros(session.usage.longest_ticks),
            memory_bytes: session.total_memory(),
        }
    }

    fn write(&self, json: &mut Json) {
        json.array(|row| {
            row.number(self.id);
            row.string(self.address.as_bytes());
            row.string(&self.name);
            row.string(&self.user);
            row.string(self.command.as_bytes());
            row.number(self.requests);
            row.number(self.time_us);
            row.number(self.longest_us);
            row.number(self.memory_bytes);
        });
    }
}

fn write_memory(json: &mut Json, state: &ServerState) {
    let stats = &state.keyspace.stats;
    json.name("memory");
    json.object(|json| {
        json.number_field("used", state.used_memory());
        json.number_field("peak", state.stats.peak_memory_bytes.max(state.used_memory()));
        json.number_field("resident", state.stats.resident_bytes);
        json.number_field("max", state.config.maxmemory);
        json.number_field("expired", stats.expired_keys);
        json.number_field("evicted", stats.evicted_keys);
    });
}

fn write_persistence(json: &mut Json, state: &ServerState) {
    let (saving, aof) = (&state.saving.stats, &state.aof);
    json.name("persistence");
    json.object(|json| {
        json.number_field("changes", state.unsaved_changes());
        json.number_field("last_save_s", saving.last_save_seconds);
        json.name("failed");
        json.flag(saving.last_failed);
        if let Some(progress) = background::background_save_progress(state) {
            json.numbers_field("saving", [progress.keys_written as u64, progress.keys as u64]);
        }
        json.name("appending");
        json.flag(aof.state() != State::Off);
        json.name("rewriting");
        json.flag(aof.is_rewriting());
        json.number_field("appended_bytes", aof.size_bytes());
        json.name("append_failed");
        json.flag(aof.denial().is_some());
    });
}
