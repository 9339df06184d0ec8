//! The recorder of the loop, in a loop that is stepped by hand in a scripted world, under a virtual clock: so every time is
//! exact.

#[path = "support/json.rs"]
mod json;

use json::Json;

use oneloop::base::clock::Clock;
use oneloop::base::entropy::Entropy;
use oneloop::command::registry::Registry;
use oneloop::config::{AppendFsync, Config, ProtectedAction};
use oneloop::engine::state::ServerState;
use oneloop::net::scripted::peer::Peer;
use oneloop::observe::command_stats::CommandCounts;
use oneloop::observe::explain::Explainer;
use oneloop::observe::loop_stats::Job;
use oneloop::observe::recorder::{LoopRecorder, TurnFacts};
use oneloop::observe::turn::Part;
use oneloop::reactor::stepping::SteppedLoop;
use oneloop::storage::file::operations::Disk;
use oneloop::storage::file::operations::simulated::SimulatedDisk;

const START_MS: u64 = 1_700_000_000_000;

/// A server with some clients, the first of which has number 1.
struct World {
    server: SteppedLoop,
    disk: SimulatedDisk,
    clients: Vec<Peer>,
}

impl World {
    fn new(clients: usize, change: impl FnOnce(&mut Config)) -> World {
        let mut config = Config { port: 0, enable_debug_command: ProtectedAction::Yes, ..Config::default() };
        config.save.clear();
        change(&mut config);
        let disk = SimulatedDisk::new(1);
        let mut state =
            ServerState::new(&oneloop::commands::PROGRAM, config, Clock::virtual_at(START_MS), &Entropy::Seeded(42));
        state.disk = Disk::Simulated(disk.clone());
        let mut server = SteppedLoop::new(state).expect("a loop");
        server.load().expect("an empty disk");
        let mut world = World { server, disk, clients: Vec::new() };
        for _ in 0..clients {
            let client = world.server.connect();
            world.clients.push(client);
        }
        world.turn();
        world.advance_ms(1);
        world
    }

    /// Sends requests of a client, without a turn.
    fn send(&mut self, client: usize, requests: &str) {
        self.clients[client - 1].send(requests.as_bytes());
    }

    fn turn(&mut self) {
        self.server.turn().expect("a poll");
    }

    fn advance_ms(&mut self, duration_ms: u64) {
        self.server.state().clock.advance_virtual(duration_ms);
    }

    /// What a client has received.
    fn received(&mut self, client: usize) -> String {
        String::from_utf8_lossy(&self.clients[client - 1].receive_all()).into_owned()
    }

    /// The reply to a request, after as many turns as it takes.
    fn ask(&mut self, client: usize, request: &str) -> String {
        self.received(client);
        self.send(client, &format!("{request}\r\n"));
        let mut reply = String::new();
        for _ in 0..20 {
            self.turn();
            reply += &self.received(client);
        }
        reply
    }

    /// What is counted of a command.
    fn counts(&mut self, name: &str) -> &CommandCounts {
        let state = self.server.state();
        let command = state.commands.find_full(name.as_bytes()).expect("a command").id;
        state.command_stats.get(command)
    }

    /// The sentences of LOOP EXPLAIN.
    fn explain(&mut self, client: usize, what: &str) -> Vec<String> {
        let reply = self.ask(client, &format!("LOOP EXPLAIN{what}"));
        assert!(reply.starts_with('*'), "{reply}");
        let lines: Vec<&str> = reply.split("\r\n").collect();
        let explanations = lines.windows(5).filter(|lines| lines[0] == "*3");
        explanations.map(|lines| lines[4].to_string()).collect()
    }
}

#[test]
fn a_request_that_waited_behind_another_is_explained() {
    let mut world = World::new(3, |_| {});
    world.send(1, "DEBUG SLEEP 0.0038\r\n");
    world.send(2, "SET key value\r\n");
    world.turn();
    let sentence = "SET of client 2 waited 3.8 ms behind DEBUG (3.8 ms) of client 1";
    assert_eq!(world.explain(3, ""), [sentence]);
    assert_eq!(world.explain(3, " CLIENT 2"), [sentence]);
    assert_eq!(world.explain(3, " CLIENT 1"), [""; 0]);
    let number = world.server.state().recorder.aggregates.moments().next().map(|moment| moment.aggregate.worst.number);
    let number = number.expect("a worst turn");
    assert_eq!(world.explain(3, &format!(" TURN {number}")), [sentence]);
    assert_eq!(world.ask(3, "LOOP EXPLAIN TURN 999999"), "-ERR that turn is not recorded\r\n");
}

#[test]
fn others_that_waited_are_counted() {
    let mut world = World::new(4, |_| {});
    world.send(1, "DEBUG SLEEP 0.002\r\n");
    world.send(2, "GET a\r\nGET b\r\n");
    world.send(3, "LLEN big:list\r\n");
    world.turn();
    let sentences = world.explain(4, "");
    let behind = "GET of client 2 (in a batch of 2 requests) waited 2.0 ms behind DEBUG (2.0 ms) of client 1";
    assert_eq!(sentences, [format!("{behind}, as did 1 other client")]);
    let client_3 = world.explain(4, " CLIENT 3");
    assert_eq!(client_3, ["LLEN of client 3 waited 2.0 ms behind DEBUG (2.0 ms) of client 1, as did 1 other client"]);
}

#[test]
fn a_slow_request_alone_and_a_slow_wait_for_many_are_told_apart() {
    let mut world = World::new(5, |_| {});
    world.send(1, "DEBUG SLEEP 0.0025\r\n");
    world.turn();
    // The one that asks comes later.
    world.advance_ms(1);
    let alone = "DEBUG of client 1 took 2.5 ms; no other client waited behind it in that turn";
    assert_eq!(world.explain(5, ""), [alone]);
    world.advance_ms(200);
    for client in 1..=3 {
        world.send(client, "DEBUG SLEEP 0.001\r\n");
    }
    world.send(4, "PING\r\n");
    world.turn();
    let many = "turn 24 took 3.0 ms, most of it for running 4 requests (3.0 ms)";
    let explained = world.explain(5, "");
    assert_eq!(explained[1], alone);
    assert!(explained[0].ends_with(&many[7..]), "{explained:?}");
    let waited = "PING of client 4 waited 3.0 ms behind 3 requests of 3 clients, which ran for 3.0 ms, the longest of them \
                  DEBUG (1.0 ms) of client 3";
    assert_eq!(world.explain(5, " CLIENT 4"), [waited]);
}

/// Requests that come while a turn runs wait for its end, but the turn does not see them: it was said that no client
/// waited at all.
#[test]
fn clients_that_the_next_turn_finds_ready_are_told() {
    let mut world = World::new(4, |_| {});
    world.send(1, "DEBUG SLEEP 0.0025\r\n");
    world.turn();
    world.send(2, "PING\r\n");
    world.send(3, "PING\r\n");
    world.turn();
    let alone = "DEBUG of client 1 took 2.5 ms; no other client waited behind it in that turn";
    assert_eq!(world.explain(4, ""), [format!("{alone}, and the next turn found 2 clients ready")]);
}

/// The next turn has slept before: what it serves came later.
#[test]
fn clients_that_came_after_a_pause_did_not_wait() {
    let mut world = World::new(4, |_| {});
    world.send(1, "DEBUG SLEEP 0.0025\r\n");
    world.turn();
    world.advance_ms(50);
    world.send(2, "PING\r\n");
    world.turn();
    let alone = "DEBUG of client 1 took 2.5 ms; no other client waited behind it in that turn";
    assert_eq!(world.explain(4, ""), [alone]);
}

#[test]
fn the_disk_is_a_wait_of_its_own() {
    let mut world = World::new(3, |config| {
        config.appendonly = true;
        config.appendfsync = AppendFsync::Always;
    });
    for _ in 0..20 {
        while let Some(helper) = world.disk.busy_helpers().first().copied() {
            world.disk.run_helper(helper);
        }
        world.turn();
    }
    world.send(1, "DEBUG SLEEP 0.0038\r\n");
    world.send(2, "SET key value\r\n");
    world.turn();
    assert_eq!(world.received(2), "");
    world.advance_ms(4);
    while let Some(helper) = world.disk.busy_helpers().first().copied() {
        world.disk.run_helper(helper);
    }
    world.turn();
    world.turn();
    assert_eq!(world.received(2), "+OK\r\n");
    let sentence = "SET of client 2 waited 3.8 ms behind DEBUG (3.8 ms) of client 1, then 4.0 ms for the disk";
    assert_eq!(world.explain(3, ""), [sentence]);
    let disk = world.server.state().recorder.disk;
    assert_eq!((disk.longest_ns, disk.sum_ns), (4_000_000, 4_000_000));
    // Of SET alone, and apart from the socket's wait, which took no time here.
    let set = world.counts("set");
    assert_eq!((set.disk.requests, set.disk.longest_ticks), (1, 4_000_000));
    assert_eq!((set.leaving.flushes, set.leaving.ticks), (1, 0));
    assert_eq!(world.counts("debug").disk.requests, 0);
}

#[test]
fn a_socket_that_takes_no_more_is_a_wait_too() {
    let mut world = World::new(2, |_| {});
    world.clients[0].set_capacity(200_000);
    world.ask(2, &format!("SET big {}", "x".repeat(4000)));
    let requests = "GET big\r\n".repeat(1000);
    world.send(1, &requests);
    for _ in 0..10 {
        world.turn();
    }
    world.advance_ms(1500);
    let mut received = 0;
    for _ in 0..2000 {
        received += world.received(1).len();
        world.turn();
    }
    assert_eq!(received, 1000 * 4009);
    assert_eq!(world.explain(2, " CLIENT 1"), ["GET of client 1 waited 1.50 s for its socket"]);
    assert_eq!(world.server.state().recorder.leaving.longest_ns, 1_500_000_000);
    assert_eq!(world.counts("get").leaving.ticks, 1_500_000_000);
    assert_eq!(world.counts("set").leaving.ticks, 0);
}

/// Checks a trace against what Chrome's format asks for and what this server writes; gives the events that have a
/// length.
fn check_trace(text: &str) -> Vec<Json> {
    let trace = Json::parse(text);
    assert_eq!(trace.names(), ["displayTimeUnit", "traceEvents"]);
    assert_eq!(trace.member("displayTimeUnit").text(), "ms");
    let mut spans: Vec<Json> = Vec::new();
    for event in trace.member("traceEvents").elements() {
        assert_eq!(event.member("pid").number(), 1.0);
        assert!([1.0, 2.0].contains(&event.member("tid").number()));
        match event.member("ph").text() {
            "M" => {
                assert_eq!(event.names(), ["args", "name", "ph", "pid", "tid"]);
                assert!(["process_name", "thread_name"].contains(&event.member("name").text()));
                assert!(!event.member("args").member("name").text().is_empty());
            }
            "X" => {
                assert_eq!(event.names(), ["args", "cat", "dur", "name", "ph", "pid", "tid", "ts"]);
                let arguments = event.member("args").names();
                match event.member("cat").text() {
                    "turn" => {
                        let expected = [
                            "end",
                            "events",
                            "input_bytes",
                            "number",
                            "output_bytes",
                            "requests",
                            "visits",
                            "waited_us",
                        ];
                        assert_eq!(arguments, expected);
                        assert!(
                            ["done", "clients-left", "accepts-left", "replies-left", "jobs-left"]
                                .contains(&event.member("args").member("end").text())
                        );
                    }
                    "part" | "job" => assert_eq!(arguments, [""; 0]),
                    "visit" => assert_eq!(arguments, ["client", "requests", "waited_us"]),
                    other => panic!("an unknown category: {other}"),
                }
                spans.push(event.clone());
            }
            other => panic!("an unknown kind of event: {other}"),
        }
    }
    check_nesting(&spans);
    spans
}

/// Turns do not overlap, and their pieces fill them.
fn check_nesting(spans: &[Json]) {
    let (mut turn_end, mut piece_end) = (0, 0);
    for span in spans {
        let (began, length) = (span.member("ts").thousandths(), span.member("dur").thousandths());
        match span.member("cat").text() {
            "turn" => {
                assert!(began >= turn_end && piece_end == turn_end, "{span:?}");
                (turn_end, piece_end) = (began + length, began);
            }
            "part" | "job" => {
                assert!(began == piece_end && began + length <= turn_end, "{span:?}");
                piece_end += length;
            }
            _ => assert!(began + length <= turn_end + 1, "{span:?}"),
        }
    }
    assert_eq!(piece_end, turn_end);
}

#[test]
fn a_trace_is_strict_json_in_chromes_form() {
    let mut world = World::new(3, |_| {});
    world.send(1, "EVAL \"for i = 1, 3000 do redis.call('set', 'a', i) end\" 1 \"we\\\"i\\x01\\xc3\\xa9rd\"\r\n");
    world.turn();
    world.advance_ms(150);
    world.send(1, "DEBUG SLEEP 0.0038\r\n");
    world.send(2, "SET key value\r\n");
    world.turn();
    world.advance_ms(150);
    let reply = world.ask(3, "LOOP TRACE");
    let text = reply.split_once("\r\n").expect("a bulk string").1.trim_end_matches("\r\n");
    let spans = check_trace(text);
    let slow = spans.iter().find(|span| span.member("name").text() == "DEBUG").expect("the slow request");
    assert_eq!((slow.member("dur").thousandths(), slow.member("args").member("client").number()), (3_800_000, 1.0));
    let waited = spans.iter().find(|span| span.member("name").text() == "SET").expect("the one that waited");
    assert_eq!(waited.member("args").member("waited_us").number(), 3800.0);
    let one = world.ask(3, "LOOP TRACE COUNT 1");
    let text = one.split_once("\r\n").expect("a bulk string").1.trim_end_matches("\r\n");
    assert_eq!(check_trace(text).iter().filter(|span| span.member("cat").text() == "turn").count(), 1);
    assert_eq!(world.ask(3, "LOOP TRACE COUNT 10001"), "-ERR a trace has at most 10000 turns\r\n");
    world.ask(3, "CONFIG SET loop-recorder-size 0");
    let none = world.ask(3, "LOOP TRACE");
    let text = none.split_once("\r\n").expect("a bulk string").1.trim_end_matches("\r\n");
    assert!(check_trace(text).is_empty());
}

#[test]
fn statistics_and_clients_have_a_form_in_each_protocol() {
    let mut world = World::new(2, |_| {});
    world.send(1, "DEBUG SLEEP 0.002\r\n");
    world.turn();
    for (hello, marker, stats, client) in [("2", "*", 30, 16), ("3", "%", 15, 8)] {
        world.ask(2, &format!("HELLO {hello}"));
        let text = world.ask(2, "LOOP STATS");
        assert!(text.starts_with(&format!("{marker}{stats}\r\n$5\r\nturns\r\n:")), "{text}");
        for name in [
            "spins",
            "parts-ns",
            "jobs-ns",
            "waiting",
            "leaving",
            "disk",
            "waiting-commands",
            "leaving-commands",
            "disk-commands",
            "users",
            "databases",
        ] {
            assert!(text.contains(&format!("\r\n{name}\r\n{marker}")), "{name} in {text}");
        }
        let text = world.ask(2, "LOOP CLIENTS COUNT 1");
        assert!(text.starts_with(&format!("*1\r\n{marker}{client}\r\n$2\r\nid\r\n:1\r\n")), "{text}");
        assert!(text.contains("\r\nlongest-ns\r\n:2000000\r\n"), "{text}");
    }
    world.ask(2, "CONFIG RESETSTAT");
    let recorder = &world.server.state().recorder;
    assert!(recorder.waiting.count < 3 && recorder.databases[0].longest_ticks == 0);
}

#[test]
fn turns_are_chosen_by_number_length_and_date() {
    let mut world = World::new(2, |_| {});
    for sleep_ms in [2, 5, 3] {
        world.send(1, &format!("DEBUG SLEEP 0.00{sleep_ms}\r\n"));
        world.turn();
        world.advance_ms(1000);
    }
    let busy = |reply: &str| -> Vec<u64> {
        let lines: Vec<&str> = reply.split("\r\n").collect();
        let found = lines.windows(2).filter(|pair| pair[0] == "busy-ns");
        found.map(|pair| pair[1][1..].parse().expect("a number")).collect()
    };
    assert_eq!(busy(&world.ask(2, "LOOP TURNS")), [3_000_000, 5_000_000, 2_000_000]);
    assert_eq!(busy(&world.ask(2, "LOOP TURNS SLOWEST 2")), [5_000_000, 3_000_000]);
    let since_ms = START_MS + 1 + 2 + 1000;
    let reply = world.ask(2, &format!("LOOP TURNS SLOWEST 9 SINCE {since_ms} COUNT 2"));
    assert_eq!(busy(&reply), [5_000_000, 3_000_000]);
    let since_ms = since_ms + 5 + 1000;
    assert_eq!(busy(&world.ask(2, &format!("LOOP TURNS SINCE {since_ms} SLOWEST 1"))), [3_000_000]);
    for (request, error) in [
        ("LOOP TURNS COUNT", "-ERR syntax error\r\n"),
        ("LOOP TURNS COUNT x", "-ERR value is not an integer or out of range\r\n"),
        ("LOOP TURNS COUNT -1", "-ERR value must not be negative\r\n"),
        ("LOOP EXPLAIN CLIENT 1 TURN 2", "-ERR syntax error\r\n"),
    ] {
        assert_eq!(world.ask(2, request), error, "{request}");
    }
    assert!(world.ask(2, "LOOP HELP").contains("EXPLAIN [CLIENT <client-id>"));
    let doctor = world.ask(2, "LATENCY DOCTOR");
    assert!(doctor.contains("3s ago: DEBUG of client 1 took 2.0 ms"), "{doctor}");
}

#[test]
fn only_administrators_see_the_loop() {
    let mut world = World::new(1, |_| {});
    world.ask(1, "ACL SETUSER alice on nopass ~* &* +@all -@admin");
    world.ask(1, "AUTH alice x");
    assert!(world.ask(1, "LOOP STATS").starts_with("-NOPERM"));
}

#[test]
fn parts_add_up_to_the_turn_and_waits_are_counted_by_command() {
    let mut world = World::new(3, |_| {});
    world.send(1, "DEBUG SLEEP 0.002\r\n");
    world.send(2, "SELECT 3\r\nGET a\r\nGET a\r\n");
    world.turn();
    let state = world.server.state();
    let turn = state.recorder.turns.iter().next_back().copied().expect("a turn");
    assert_eq!((turn.busy_ns(), turn.requests, turn.visits), (2e6, 4, 2));
    assert_eq!((turn.longest_ns, turn.longest_client), (2e6, 1));
    let waiting = |name: &str| {
        let command = state.commands.find_full(name.as_bytes()).expect("a command");
        state.command_stats.get(command.id).waiting
    };
    assert_eq!(
        (waiting("get").requests, waiting("get").ticks, waiting("get").longest_ticks),
        (2, 4_000_000, 2_000_000)
    );
    assert_eq!((waiting("select").requests, waiting("select").ticks), (1, 2_000_000));
    assert_eq!(state.recorder.databases[0].ticks, 2_000_000);
    assert_eq!(state.recorder.databases[3].requests, 3);
    assert_eq!(state.users.default_user().usage().longest_ticks, 2_000_000);
    assert_eq!(state.recorder.waiting.sum_ns, 6_000_000);
    let parts = state.recorder.parts_ns.iter().sum::<f64>() as u64;
    let jobs: u64 = oneloop::observe::loop_stats::Job::ALL.iter().map(|job| state.loop_stats.job(*job).sum_ns).sum();
    assert_eq!(parts + jobs, state.loop_stats.busy_ns);
}

#[test]
fn the_recorder_takes_memory_as_it_fills_and_none_when_off() {
    let mut world = World::new(1, |_| {});
    let bytes = world.server.state().recorder.memory_bytes();
    assert!(bytes < 256 * 1024, "{bytes}");
    assert_eq!(world.ask(1, "CONFIG SET loop-recorder-size 0"), "+OK\r\n");
    assert_eq!(world.server.state().recorder.memory_bytes(), 0);
    assert_eq!(world.ask(1, "LOOP TURNS"), "*0\r\n");
    let left = world.server.state().recorder.leaving.count;
    world.ask(1, "PING");
    assert_eq!(world.server.state().recorder.leaving.count, left, "that would take a look at the clock");
    assert_eq!(world.ask(1, "CONFIG SET loop-recorder-size 1mb"), "+OK\r\n");
    world.ask(1, "PING");
    let turns = world.ask(1, "LOOP TURNS COUNT 2");
    assert!(turns.starts_with("*2\r\n*26\r\n$6\r\nnumber\r\n"), "{turns}");
}

#[test]
fn idle_turns_take_no_record() {
    let mut world = World::new(1, |_| {});
    let before = world.server.state().recorder.turns.fill().0;
    for _ in 0..100 {
        world.advance_ms(100);
        world.turn();
    }
    assert_eq!(world.server.state().recorder.turns.fill().0, before);
}

#[test]
fn the_slow_log_tells_how_long_a_command_waited_if_asked() {
    let mut world = World::new(2, |_| {});
    world.ask(2, "CONFIG SET slowlog-log-slower-than 1000");
    world.send(1, "DEBUG SLEEP 0.002\r\n");
    world.send(2, "DEBUG SLEEP 0.003\r\n");
    world.turn();
    let entry = world.ask(1, "SLOWLOG GET 1");
    assert!(entry.starts_with("*1\r\n*6\r\n:1\r\n") && entry.contains("\r\n:3000\r\n"), "{entry}");
    world.ask(1, "CONFIG SET slowlog-log-waiting yes");
    let entry = world.ask(1, "SLOWLOG GET 1");
    assert!(entry.starts_with("*1\r\n*7\r\n:1\r\n") && entry.ends_with("\r\n:2000\r\n"), "{entry}");
}

/// The sentence of the README, from what the loop tells the recorder.
#[test]
fn a_key_is_named_and_the_disk_comes_after_the_culprit() {
    let clock = Clock::virtual_at(START_MS);
    let registry = Registry::new(oneloop::commands::FAMILIES);
    let command = |name: &str| registry.find(name.as_bytes()).expect("a command").id;
    let mut recorder = LoopRecorder::default();
    recorder.set_clock(&clock);
    recorder.set_size(1 << 20, 16);
    recorder.begin_turn(1_000_000);
    let mut now = 1_100_000;
    for (client, name, took) in [(12, "smembers", 3_800_000), (7, "set", 10_000), (8, "get", 5_000)] {
        recorder.begin_batch(now, Some(command(name)));
        now += took;
        recorder.note_command(command(name), took);
        if took > 100_000 {
            recorder.note_slow(client, command(name), b"big:set");
        }
        recorder.end_batch(client, now, 1);
    }
    recorder.mark(Part::Finish, now + 1000);
    recorder.end_turn(&clock, &TurnFacts::default());
    let explain = |recorder: &LoopRecorder| {
        let explainer = Explainer { recorder, commands: &registry };
        explainer.slow_moments(10).into_iter().map(|moment| moment.sentence).collect::<Vec<_>>()
    };
    let waited = "SET of client 7 waited 3.9 ms behind SMEMBERS big:set (3.8 ms) of client 12";
    assert_eq!(explain(&recorder), [format!("{waited}, as did 1 other client")]);
    recorder.note_on_disk(&clock, 7, 4_910_000, 5_310_000, Some(command("set")));
    assert_eq!(explain(&recorder), [format!("{waited}, as did 1 other client, then 0.4 ms for the disk")]);
    recorder.note_sent(&clock, 7, 5_310_000, 7_310_000, Some(command("set")));
    let with_socket = format!("{waited}, as did 1 other client, then 0.4 ms for the disk, then 2.0 ms for its socket");
    assert_eq!(explain(&recorder), [with_socket]);
    // A turn that no request made long, and one whose visits are gone.
    recorder.begin_turn(200_000_000);
    recorder.note_job(Job::Save, 4_000_000);
    recorder.mark_jobs(204_000_000);
    recorder.mark(Part::Append, 205_000_000);
    recorder.end_turn(&clock, &TurnFacts::default());
    assert_eq!(explain(&recorder)[0], "turn 2 took 5.0 ms, most of it for the job save (4.0 ms)");
}

/// Redis's tests set a limit just above what is used, and turns that changed nothing went beyond it.
#[test]
fn the_record_is_no_part_of_the_memory_in_use() {
    let mut world = World::new(1, |_| {});
    world.ask(1, "PING");
    let before = (world.server.state().recorder.memory_bytes(), world.server.state().used_memory());
    (0..3000).for_each(|_| _ = world.ask(1, "PING"));
    let after = (world.server.state().recorder.memory_bytes(), world.server.state().used_memory());
    assert!(after.0 > before.0 + 200_000, "{before:?} {after:?}");
    assert!(after.1 < before.1 + 50_000, "{before:?} {after:?}");
}
