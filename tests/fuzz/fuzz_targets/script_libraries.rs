//! Any bytes, taken apart by cjson, cmsgpack and struct, or searched with a pattern: an error, or a value that can be
//! put together again.
//!
//! The first byte chooses what is done with the others.
#![no_main]

#[path = "../../support/mod.rs"]
mod support;

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use support::Harness;

/// What was put together of what was taken apart is taken apart again, or is an error: what is nested too deep, say.
const SCRIPTS: &[&str] = &[
    "local ok, value = pcall(cjson.decode, ARGV[1]) if not ok then return 'refused' end
     local again, text = pcall(cjson.encode, value) if not again then return 'refused' end
     cjson.decode(text) return 'sound'",
    "local values = {pcall(cmsgpack.unpack, ARGV[1])} if not values[1] then return 'refused' end
     local again, text = pcall(cmsgpack.pack, unpack(values, 2)) if not again then return 'refused' end
     return pcall(cmsgpack.unpack, text) and 'sound' or 'refused'",
    "local ok = pcall(cmsgpack.unpack_limit, ARGV[1], 2, #ARGV[1] % 7) local one = pcall(cmsgpack.unpack_one, ARGV[1], #ARGV[1] % 5)
     return ok and one and 'sound' or 'refused'",
    "local format, data = ARGV[1]:match('^(.-)|(.*)$') if not format then return 'refused' end
     local sized, size = pcall(struct.size, format)
     local values = {pcall(struct.unpack, format, data)} if not values[1] then return 'refused' end
     local again, text = pcall(struct.pack, format, unpack(values, 2)) return again and 'sound' or 'refused'",
    "local pattern, text = ARGV[1]:match('^([^|]*)|(.*)$') if not pattern then return 'refused' end
     pcall(string.find, text, pattern) pcall(string.gsub, text, pattern, '%0%1') pcall(string.format, pattern, 1, text)
     return pcall(function() for a, b in text:gmatch(pattern) do end end) and 'sound' or 'refused'",
];

/// Looks at the clock after which a script that goes on is ended: some million instructions.
const STEP_BUDGET: u64 = 300;

thread_local! {
    static SERVER: RefCell<Harness> = RefCell::new(Harness::new());
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    let script = SCRIPTS[usize::from(first) % SCRIPTS.len()];
    SERVER.with_borrow_mut(|server| {
        server.state.scripting.set_step_budget(STEP_BUDGET);
        let reply = server.run_args(&[b"eval", script.as_bytes(), b"0", bytes]);
        if reply.is_empty() {
            let other = server.connect();
            assert_eq!(server.run_as(other, &[b"script", b"kill"]), b"+OK\r\n");
            while oneloop::drive::script::run::resume(&mut server.state) {}
            server.state.remove_client(other);
            server.pushed(server.client);
            return;
        }
        assert!(matches!(reply.as_str(), "$7\r\nrefused\r\n" | "$5\r\nsound\r\n"), "{reply}");
    });
});
