//! Any text as a script: it is refused, or runs in its sandbox and ends with a reply when it is told to.
#![no_main]

#[path = "../../support/mod.rs"]
mod support;

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use support::Harness;

/// Looks at the clock after which a script is suspended, and then ended.
const STEP_BUDGET: u64 = 20;

thread_local! {
    static SERVER: RefCell<Harness> = RefCell::new(Harness::new());
}

fuzz_target!(|text: &[u8]| {
    SERVER.with_borrow_mut(|server| {
        let loaded = server.run_args(&[b"script", b"load", text]);
        assert!(loaded.starts_with("$40\r\n") || loaded.starts_with("-ERR "), "{loaded}");
        server.state.scripting.set_step_budget(STEP_BUDGET);
        let mut reply = server.run_args(&[b"eval", text, b"1", b"key", b"argument"]);
        if reply.is_empty() {
            let other = server.connect();
            // One that has written is not killed: it goes on, but not for ever.
            server.run_as(other, &[b"script", b"kill"]);
            let mut slices = 0;
            while oneloop::drive::script::run::resume(&mut server.state) {
                slices += 1;
                if slices == 1000 {
                    // A server is cheaper than such a script.
                    *server = Harness::new();
                    return;
                }
            }
            server.state.remove_client(other);
            reply = String::from_utf8_lossy(&server.pushed(server.client)).into_owned();
        }
        assert!(!reply.is_empty());
        server.run("flushall");
        server.state.scripting.flush_scripts();
    });
});
