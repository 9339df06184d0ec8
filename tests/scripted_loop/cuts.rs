//! Requests that arrive in pieces: at every boundary, in every order, they are answered as in one piece.

use oneloop::net::scripted::peer::Peer;

use super::bench::{Bench, request, text};

/// A pipeline of every form that a request may have.
fn batch(name: &str) -> Vec<u8> {
    let value = format!("value of {name}");
    let mut bytes = request(&["SET", name, &value]);
    bytes.extend(format!("GET {name}\r\n").into_bytes());
    bytes.extend(request(&["MULTI"]));
    bytes.extend(request(&["INCR", &format!("{name}:n")]));
    bytes.extend(request(&["APPEND", name, ""]));
    bytes.extend(request(&["EXEC"]));
    bytes.extend(b"*0\r\n\r\nPING 'a b'\r\n".iter());
    bytes.extend(request(&["RPUSH", &format!("{name}:l"), "\r\n$3\r\n", "*"]));
    bytes.extend(request(&["LRANGE", &format!("{name}:l"), "0", "-1"]));
    bytes.extend(request(&["NOSUCH", "command"]));
    bytes
}

fn whole(bench: &mut Bench, peer: &Peer, bytes: &[u8]) -> String {
    bench.ask(peer, "FLUSHALL\r\n");
    peer.send(bytes);
    bench.settle();
    text(&peer.receive_all())
}

#[test]
fn a_batch_is_answered_alike_wherever_it_is_cut() {
    let mut bench = Bench::new(|_| {});
    let peer = bench.connect();
    let bytes = batch("key");
    let expected = whole(&mut bench, &peer, &bytes);
    assert!(expected.starts_with("+OK\r\n$12\r\nvalue of key\r\n+OK\r\n+QUEUED"), "{expected}");
    for cut in 0..=bytes.len() {
        for comes_right_behind in [false, true] {
            bench.ask(&peer, "FLUSHALL\r\n");
            peer.send(&bytes[..cut]);
            if comes_right_behind {
                peer.send_after_read(&bytes[cut..]);
            } else {
                bench.settle();
                peer.send(&bytes[cut..]);
            }
            bench.settle();
            assert_eq!(text(&peer.receive_all()), expected, "cut at {cut}, {comes_right_behind}");
        }
    }
}

#[test]
fn a_batch_may_come_byte_by_byte_and_leave_so() {
    let mut bench = Bench::new(|_| {});
    let peer = bench.connect();
    let bytes = batch("key");
    let expected = whole(&mut bench, &peer, &bytes);
    for piece in 1..9 {
        bench.ask(&peer, "FLUSHALL\r\n");
        peer.set_capacity(piece);
        bytes.chunks(piece).for_each(|chunk| peer.send_after_read(chunk));
        let mut got = Vec::new();
        while got.len() < expected.len() {
            bench.settle();
            let taken = peer.receive(piece);
            assert!(!taken.is_empty(), "pieces of {piece}: {} of {} bytes", got.len(), expected.len());
            got.extend(taken);
        }
        assert_eq!(text(&got), expected, "pieces of {piece}");
        peer.set_capacity(usize::MAX);
    }
}

/// All orders in which the two pieces of one and the two pieces of another can come.
const ORDERS: [[usize; 4]; 6] = [[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0]];

#[test]
fn two_clients_are_answered_alike_in_whatever_order_their_pieces_come() {
    let mut bench = Bench::new(|_| {});
    let peers = [bench.connect(), bench.connect()];
    let batches = [batch("one"), batch("two")];
    let expected = [0, 1].map(|who| whole(&mut bench, &peers[who], &batches[who]));
    let sources = [peers[0].source(), peers[1].source()];
    for (number, cut) in (0..batches[0].len()).step_by(3).enumerate() {
        let cuts = [cut, (cut * 7 + number) % batches[1].len()];
        for order in ORDERS {
            // One turn for each piece, or one for all that was sent, the first or the last one first.
            for turns in 0..3 {
                bench.ask(&peers[0], "FLUSHALL\r\n");
                let mut sent = [0, 0];
                for who in order {
                    let piece = if sent[who] == 0 { &batches[who][..cuts[who]] } else { &batches[who][cuts[who]..] };
                    sent[who] += 1;
                    match turns {
                        0 => peers[who].send(piece),
                        _ => peers[who].send_after_read(piece),
                    }
                    if turns == 0 {
                        bench.turn();
                    }
                }
                if turns == 2 {
                    bench.turn_for(&[sources[1], sources[0]]);
                }
                bench.settle();
                for who in [0, 1] {
                    let got = text(&peers[who].receive_all());
                    assert_eq!(got, expected[who], "client {who}, cuts {cuts:?}, order {order:?}, {turns}");
                }
            }
        }
    }
}

/// A large argument is received in a buffer of its own, with vectored reads.
#[test]
fn a_large_argument_is_received_wherever_it_is_cut() {
    let mut bench = Bench::new(|_| {});
    let peer = bench.connect();
    let value = "v".repeat(100_000);
    let mut bytes = request(&["SET", "big", &value]);
    bytes.extend(request(&["STRLEN", "big"]));
    let ends = (0..60).chain(bytes.len() - 60..bytes.len());
    let buffers = [65_530, 65_536, 65_542, 99_990, 100_040].into_iter();
    for cut in ends.chain(buffers) {
        peer.send(&bytes[..cut]);
        peer.send_after_read(&bytes[cut..]);
        bench.settle();
        assert_eq!(text(&peer.receive_all()), "+OK\r\n:100000\r\n", "cut at {cut}");
    }
}
