//! Any bytes, split anyhow: the parser neither panics nor hoards memory, and short streams parse
//! alike however they are split.
//!
//! Run with `cargo fuzz run --fuzz-dir tests/fuzz resp_parser`. The first byte of the data chooses
//! the size of the reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oneloop::resp::{Batch, Limits, Parser, ProtocolError};

type Requests = Vec<Vec<Vec<u8>>>;

fuzz_target!(|data: &[u8]| {
    let Some((&first, stream)) = data.split_first() else { return };
    let split = run(stream, usize::from(first) + 1);
    if stream.len() <= 64 * 1024 {
        assert_eq!(split, run(stream, stream.len().max(1)));
    }
});

/// Everything that a connection makes of the stream when each read brings `read_bytes`.
fn run(stream: &[u8], read_bytes: usize) -> (Requests, Option<ProtocolError>) {
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    let mut requests = Vec::new();
    let mut leftover = Vec::new();
    for mut read in stream.chunks(read_bytes) {
        while let Some(target) = parser.big_target() {
            let count = target.spare().len().min(read.len());
            target.spare()[..count].copy_from_slice(&read[..count]);
            target.advance(count);
            read = &read[count..];
            if read.is_empty() {
                break;
            }
        }
        leftover.extend_from_slice(read);
        let mut at = 0;
        loop {
            let input = &leftover[at..];
            match parser.parse(input, &Limits::default(), &mut batch) {
                Ok(consumed) => at += consumed,
                Err(error) => return (requests, Some(error)),
            }
            for index in 0..batch.len() {
                requests.push(batch.args(index, input).iter().map(<[u8]>::to_vec).collect());
            }
            if batch.is_empty() || at == leftover.len() {
                break;
            }
        }
        leftover.drain(..at);
        assert!(parser.pending_bytes() <= 40 * stream.len() + 1024);
    }
    (requests, None)
}
