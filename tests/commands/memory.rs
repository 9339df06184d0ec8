//! MEMORY.

use crate::support::Harness;

#[test]
fn usage_grows_with_the_value() {
    let mut server = Harness::new();
    server.run("set a b");
    server.run(&format!("set long {}", "x".repeat(4000)));
    let bytes = |reply: String| reply.trim_start_matches(':').trim_end().parse::<usize>().expect("a number");
    let small = bytes(server.run("memory usage a"));
    let large = bytes(server.run("memory usage long samples 0"));
    assert!((12..64).contains(&small) && (4000..5200).contains(&large), "{small} {large}");
    server.expect("memory usage none", "$-1\r\n");
}

#[test]
fn usage_wants_its_options_whole() {
    let mut server = Harness::new();
    for request in ["memory usage a samples", "memory usage a foo 1", "memory usage a samples -1"] {
        server.expect(request, "-ERR syntax error\r\n");
    }
    server.expect("memory usage a samples x", "-ERR value is not an integer or out of range\r\n");
}

#[test]
fn stats_name_the_figures_of_redis() {
    let mut server = Harness::new();
    server.run("set a b");
    let text = server.run("memory stats");
    assert!(text.starts_with("*56\r\n$14\r\npeak.allocated\r\n:"), "{text}");
    for name in ["db.0", "overhead.hashtable.main", "keys.count\r\n:1\r\n", "dataset.percentage", "fragmentation.bytes"]
    {
        assert!(text.contains(name), "{name} in {text}");
    }
    server.run("hello 3");
    assert!(server.run("memory stats").starts_with("%28\r\n"));
}

#[test]
fn the_others_answer() {
    let mut server = Harness::new();
    server.expect("memory purge", "+OK\r\n");
    assert!(server.run("memory malloc-stats").contains("records: "));
    assert!(server.run("memory doctor").contains("too little"));
    assert!(server.run("memory help").contains("USAGE <key> [SAMPLES <count>]"));
}
