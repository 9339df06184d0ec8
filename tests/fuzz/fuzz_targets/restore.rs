//! Any bytes, given to RESTORE as a value: they are refused, or the value can be used like any other.
//!
//! The first byte chooses a sound value, with which the others are combined by exclusive or: so even short inputs are
//! near a sound one.
#![no_main]

#[path = "../../support/mod.rs"]
mod support;

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use support::Harness;
use support::exercise::{VALUES, exercise, payload};

thread_local! {
    static SERVER: RefCell<Harness> = RefCell::new(Harness::with_debug());
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, changes)) = data.split_first() else { return };
    // One choice beyond the last stands for no value at all: the bytes as they are.
    let which = usize::from(first) % (VALUES.len() + 1);
    let mut value = VALUES.get(which).map_or(Vec::new(), |value| value.to_vec());
    value.resize(value.len().max(changes.len()), 0);
    value.iter_mut().zip(changes).for_each(|(byte, change)| *byte ^= change);
    let version = if first & 0x80 == 0 { 12 } else { 80 };
    let payload = payload(&value, version);
    SERVER.with_borrow_mut(|server| {
        if server.run_args(&[b"restore", b"key", b"0", &payload]) == "+OK\r\n" {
            exercise(server);
        }
        assert_eq!(server.run("dbsize"), ":0\r\n");
    });
});
