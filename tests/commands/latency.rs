//! LATENCY.

use crate::support::Harness;

fn with_spikes() -> Harness {
    let mut server = Harness::with_debug();
    server.run("config set latency-monitor-threshold 100");
    server.run("debug sleep 0.2");
    server.run("debug sleep 0.9");
    server.run("debug sleep 0.15");
    server
}

#[test]
fn spikes_are_kept_by_the_second() {
    let mut server = with_spikes();
    server.run("debug sleep 0.05");
    server.expect("latency history command", "*2\r\n*2\r\n:1700000000\r\n:200\r\n*2\r\n:1700000001\r\n:900\r\n");
    server.expect("latency latest", "*1\r\n*4\r\n$7\r\ncommand\r\n:1700000001\r\n:900\r\n:900\r\n");
    server.expect("latency history foo", "*0\r\n");
}

#[test]
fn events_are_forgotten_one_by_one_or_all() {
    let mut server = with_spikes();
    server.expect("latency reset foo", ":0\r\n");
    server.expect("latency reset foo command command", ":1\r\n");
    server.expect("latency latest", "*0\r\n");
    server.run("debug sleep 0.2");
    server.expect("latency reset", ":1\r\n");
    server.expect("latency reset", ":0\r\n");
}

#[test]
fn a_graph_shows_high_and_low() {
    let mut server = with_spikes();
    let text = server.run("latency graph command");
    assert!(text.contains("command - high 900 ms, low 200 ms (all time high 900 ms)\n"), "{text}");
    assert!(text.contains("\n #\n |\n |\n_|\n  \n10\nss\n"), "{text}");
    server.expect("latency graph foo", "-ERR No samples available for event 'foo'\r\n");
}

#[test]
fn the_doctor_looks_at_every_event() {
    let mut server = Harness::with_debug();
    assert!(server.run("latency doctor").contains("CONFIG SET latency-monitor-threshold"));
    server.run("config set latency-monitor-threshold 100");
    assert!(server.run("latency doctor").contains("Nothing took 100 ms"));
    server.run("debug sleep 0.5");
    assert!(server.run("latency doctor").contains(
        "command: 1 latency spikes (average 500ms, mean deviation 0ms, period 0.00 sec). Worst all time event 500ms."
    ));
}

#[test]
fn the_doctor_tells_how_spikes_differ() {
    let mut server = with_spikes();
    let text = server.run("latency doctor");
    let figures =
        "command: 2 latency spikes (average 550ms, mean deviation 350ms, period 0.50 sec). Worst all time event 900ms.";
    assert!(text.contains(figures), "{text}");
}

#[test]
fn a_histogram_doubles() {
    let mut server = Harness::with_debug();
    server.run("debug sleep 0.000003");
    server.run("debug sleep 0.00003");
    server.run("debug sleep 0.00003");
    server.run("debug sleep 0.3");
    server.expect(
        "latency histogram debug nonsense get",
        "*2\r\n$5\r\ndebug\r\n*4\r\n$5\r\ncalls\r\n:4\r\n$14\r\nhistogram_usec\r\n\
         *6\r\n:4\r\n:1\r\n:33\r\n:3\r\n:541065\r\n:4\r\n",
    );
    assert!(!server.run("latency histogram config").contains("config|set"));
    server.run("config get hz");
    assert!(server.run("latency histogram config").starts_with("*2\r\n$10\r\nconfig|get\r\n"));
    assert!(server.run("latency histogram").contains("latency|histogram"));
    server.run("hello 3");
    assert!(server.run("latency histogram debug").starts_with("%1\r\n$5\r\ndebug\r\n%2\r\n$5\r\ncalls\r\n:4\r\n"));
}
