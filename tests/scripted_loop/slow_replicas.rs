//! Replicas that are further behind than the memory may hold, and the disk that keeps the stream for them: slow, full,
//! or broken.

use oneloop::net::scripted::peer::Peer;
use oneloop::storage::file::operations::Disk;
use oneloop::storage::file::operations::simulated::Operation;

use super::bench::{Bench, request};

const LIMIT_BYTES: usize = 256 * 1024;
/// What a socket holds until the replica reads.
const SOCKET_BYTES: usize = 64 * 1024;
const DISK_BYTES: u64 = 16 << 20;

/// A server that keeps the stream on the disk for replicas that are far behind, up to so many bytes.
fn bench(disk_bytes: u64) -> Bench {
    let mut bench = Bench::new(|config| {
        config.repl_log_disk_size = disk_bytes;
        config.repl_backlog_size = 16 * 1024;
        let limit = &mut config.client_output_buffer_limit.replica;
        (limit.hard_bytes, limit.soft_bytes) = (LIMIT_BYTES as u64, 0);
    });
    bench.settle();
    bench
}

/// A replica that has all data and whose socket holds little.
fn attach(bench: &mut Bench) -> Peer {
    let replica = bench.connect();
    bench.ask(&replica, "REPLCONF capa eof\r\n");
    let data = bench.ask(&replica, "PSYNC ? -1\r\n");
    assert!(data.starts_with("+FULLRESYNC"), "{data}");
    replica.send(&request(&["REPLCONF", "ACK", "0"]));
    bench.settle();
    replica.set_capacity(SOCKET_BYTES);
    replica
}

/// Writes five values of ten thousand bytes; gives what replicas are to be sent of that.
fn write(bench: &mut Bench, client: &Peer, round: usize) -> Vec<u8> {
    let commands: Vec<u8> =
        (0..5).flat_map(|number| request(&["SET", "key", &format!("{:010000}", round * 5 + number)])).collect();
    client.send(&commands);
    bench.settle();
    assert_eq!(client.receive_all(), b"+OK\r\n".repeat(5));
    match round {
        0 => [request(&["SELECT", "0"]), commands].concat(),
        _ => commands,
    }
}

/// Reads until nothing more comes.
fn read(bench: &mut Bench, replica: &Peer) -> Vec<u8> {
    let mut received = Vec::new();
    loop {
        let bytes = replica.receive_all();
        if bytes.is_empty() {
            return received;
        }
        received.extend(bytes);
        bench.run_helpers();
    }
}

/// A figure of INFO.
fn figure(bench: &mut Bench, client: &Peer, name: &str) -> u64 {
    let info = bench.ask(client, "INFO everything\r\n");
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

/// The files with a part of the stream.
fn files(bench: &Bench) -> Vec<String> {
    let names = Disk::Simulated(bench.disk.clone()).files().list(&std::env::current_dir().expect("there is one"));
    let names = names.unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with("temp-stream-")).collect()
}

#[test]
fn the_stream_goes_by_way_of_the_disk_and_comes_whole() {
    let mut bench = bench(DISK_BYTES);
    let client = bench.connect();
    let (slow, fast) = (attach(&mut bench), attach(&mut bench));
    let mut stream = Vec::new();
    let mut received = Vec::new();
    for round in 0..40 {
        stream.extend(write(&mut bench, &client, round));
        received.extend(read(&mut bench, &fast));
        bench.run_helpers();
    }
    assert!(received == stream, "one that reads is sent all at once");
    assert!(figure(&mut bench, &client, "repl_log_disk_bytes") > 1_000_000);
    assert!(figure(&mut bench, &client, "mem_total_replication_buffers") < 2 * LIMIT_BYTES as u64);
    assert!(!files(&bench).is_empty());
    assert_eq!(figure(&mut bench, &client, "connected_slaves"), 2);
    // It reads, and more is written meanwhile.
    let mut late = slow.receive(30_000);
    for round in 40..60 {
        stream.extend(write(&mut bench, &client, round));
        late.extend(slow.receive(30_000));
        received.extend(read(&mut bench, &fast));
        bench.run_helpers();
    }
    late.extend(read(&mut bench, &slow));
    assert!(late == stream, "{} bytes of {}", late.len(), stream.len());
    assert_eq!(figure(&mut bench, &client, "repl_log_disk_bytes"), 0);
    assert_eq!(files(&bench), [""; 0]);
    // It has caught up, and is sent what follows from memory; then it falls behind again.
    for round in 60..80 {
        stream.extend(write(&mut bench, &client, round));
        bench.run_helpers();
    }
    late.extend(read(&mut bench, &slow));
    assert!(late == stream);
    received.extend(read(&mut bench, &fast));
    assert!(received == stream, "the other one was behind as well");
}

/// Without the directive, and beyond what it allows, a replica is disconnected at its limit.
#[test]
fn a_replica_that_is_further_behind_than_the_disk_may_hold_is_disconnected() {
    for disk_bytes in [0, 1 << 20] {
        let mut bench = bench(disk_bytes);
        let client = bench.connect();
        let slow = attach(&mut bench);
        let mut rounds = 0;
        while !slow.is_over() {
            write(&mut bench, &client, rounds);
            rounds += 1;
            bench.run_helpers();
            assert!(rounds < 60, "it is never disconnected");
            let held = figure(&mut bench, &client, "mem_total_replication_buffers");
            assert!(held < 3 * LIMIT_BYTES as u64, "{held}");
        }
        let least = disk_bytes as usize + LIMIT_BYTES / 2;
        assert!((least / 55_000..3 * least / 50_000 + SOCKET_BYTES / 50_000 + 1).contains(&rounds), "{rounds}");
        assert_eq!(files(&bench), [""; 0]);
    }
}

#[test]
fn a_disk_that_fails_disconnects_those_who_need_it_and_nobody_else() {
    for (operation, after) in
        [(Operation::Create, 0), (Operation::Write, 0), (Operation::Sync, 0), (Operation::Open, 1)]
    {
        let mut bench = bench(DISK_BYTES);
        let client = bench.connect();
        let (slow, fast) = (attach(&mut bench), attach(&mut bench));
        if after == 0 {
            bench.disk.set_fault(operation, 100);
        }
        let mut stream = Vec::new();
        let mut received = Vec::new();
        for round in 0..40 {
            stream.extend(write(&mut bench, &client, round));
            received.extend(read(&mut bench, &fast));
            bench.run_helpers();
        }
        bench.disk.set_fault(operation, 100);
        read(&mut bench, &slow);
        assert!(received == stream, "{operation:?}");
        assert!(slow.is_over(), "{operation:?} {}", bench.ask(&client, "INFO replication\r\n"));
        assert_eq!(figure(&mut bench, &client, "connected_slaves"), 1);
        assert_eq!(figure(&mut bench, &client, "repl_log_disk_bytes"), 0);
        // Once the disk is mended it is used again.
        bench.disk.mend();
        let again = attach(&mut bench);
        let mut stream = Vec::new();
        for round in 40..80 {
            stream.extend(write(&mut bench, &client, round));
            read(&mut bench, &fast);
        }
        let late = read(&mut bench, &again);
        assert!(late.ends_with(&stream), "{operation:?}");
    }
}

/// Helper threads that do nothing for long: no more is kept in memory than twice the limit.
#[test]
fn a_disk_that_is_too_slow_is_no_memory() {
    let mut bench = bench(DISK_BYTES);
    let client = bench.connect();
    let slow = attach(&mut bench);
    let mut rounds = 0;
    while !slow.is_over() {
        write(&mut bench, &client, rounds);
        rounds += 1;
        assert!(rounds < 20, "it is never disconnected");
    }
    bench.run_helpers();
    assert_eq!(files(&bench), [""; 0]);
}

/// A replica that leaves takes what is on the disk for it along, and so does the end of the server.
#[test]
fn nothing_is_left_behind_on_the_disk() {
    for ends in [false, true] {
        let mut bench = bench(DISK_BYTES);
        let client = bench.connect();
        let slow = attach(&mut bench);
        for round in 0..40 {
            write(&mut bench, &client, round);
            bench.run_helpers();
        }
        assert!(!files(&bench).is_empty());
        if ends {
            client.send(b"SHUTDOWN NOW\r\n");
            bench.settle_or_end();
        } else {
            slow.reset();
            bench.settle();
        }
        while let Some(helper) = bench.disk.busy_helpers().first() {
            bench.disk.run_helper(*helper);
        }
        assert_eq!(files(&bench), [""; 0], "{ends}");
    }
}
