//! Every command with numbers at the ends of their ranges: arithmetic that overflows ends the test, since debug builds
//! check it.

use oneloop::command::registry::Registry;
use oneloop::commands::FAMILIES;

use crate::key_access::{fill, is_left_out};
use crate::support::Harness;
use crate::support::requests::request_with;

/// Requests for each command.
const TRIES: usize = 250;

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775806",
    "-9223372036854775807",
    "4611686018427387904",
    "-4611686018427387905",
    "2305843009213693952",
    "1152921504606846976",
    "9223372036854775",
    "9223372036854776",
    "4294967296",
    "4294967295",
    "2147483648",
    "2147483647",
    "-2147483648",
    "-2147483649",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "-1e308",
    "inf",
    "nan",
];

#[test]
fn no_number_overflows() {
    let registry = Registry::new(FAMILIES);
    let mut random = fastrand::Rng::with_seed(17);
    let mut server = Harness::new();
    server.run("config set proto-max-bulk-len 1mb");
    let session = server.state.clients.get_mut(server.client);
    session.expect("the client is there").deny_blocking = true;
    fill(&mut server);
    for command in registry.iter().filter(|command| !is_left_out(command)) {
        for number in 0..TRIES {
            if number % 16 == 0 {
                fill(&mut server);
            }
            let words = request_with(command, &mut random, NUMBERS);
            // That many elements are drawn, the same again and again.
            let draws_many = command.full_name.contains("rand") && words.iter().any(|word| word.starts_with('-'));
            if draws_many {
                continue;
            }
            let slices: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            server.run_args(&slices);
        }
    }
}

/// An offset in fields, of which the first bit lies beyond what can be counted.
#[test]
fn offsets_that_overflow_are_refused() {
    let mut server = Harness::new();
    const REFUSED: &str = "-ERR bit offset is not an integer or out of range\r\n";
    for request in [
        "bitfield k set i8 #2305843009213693952 5",
        "bitfield k get i8 #2305843009213693952",
        "bitfield k incrby u32 #576460752303423488 1",
        "bitfield_ro k get i8 #2305843009213693952",
        "bitfield k get i64 #-1",
        "bitfield k get i64 9223372036854775808",
        "bitfield k get i64 -1",
        "setbit k 9223372036854775807 1",
        "setbit k -1 1",
        "getbit k 9223372036854775807",
    ] {
        server.expect(request, REFUSED);
    }
    server.expect("exists k", ":0\r\n");
}
