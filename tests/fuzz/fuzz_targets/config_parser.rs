//! Any configuration text loads or is refused with a reason: no crash, no hang.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oneloop::config::Config;

fuzz_target!(|text: &[u8]| {
    // An included file would make a run depend on the machine.
    if text.to_ascii_lowercase().windows(7).any(|word| word == b"include") {
        return;
    }
    match Config::parse_text(text) {
        Ok((config, _)) => assert!(!config.get(&[b"*"]).is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
