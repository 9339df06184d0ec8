//! Any bytes that are said to be a snapshot are refused, or become data that can be written and read again; however
//! they come in, the same is made of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oneloop::collections::hash::HashSeed;
use oneloop::config::Config;
use oneloop::keyspace::Keyspace;
use oneloop::storage::rdb::SanitizeLevel;
use oneloop::storage::snapshot::{
    Duplicates, LoadStep, Loader, LoaderSettings, Progress, Purpose, Snapshot, SnapshotSettings,
};
use oneloop::storage::values::LoadSettings;

fuzz_target!(|data: &[u8]| {
    // Most bytes fail at the header: give them a right one.
    for bytes in [data.to_vec(), [b"REDIS0012", data].concat()] {
        let whole = load(&bytes, usize::MAX);
        let in_pieces = load(&bytes, 7);
        assert_eq!(whole.is_some(), in_pieces.is_some());
        if let (Some(whole), Some(in_pieces)) = (whole, in_pieces) {
            let written = write(&whole);
            assert_eq!(write(&in_pieces).len(), written.len());
            assert!(load(&written, 1000).is_some(), "what is written can be read");
        }
    }
});

fn load(bytes: &[u8], chunk_bytes: usize) -> Option<Keyspace> {
    let mut keyspace = Keyspace::new(16, HashSeed::from_seed(1));
    let mut loader = Loader::new(LoaderSettings {
        values: LoadSettings::of(&Config::default()),
        scrutiny: SanitizeLevel::Full,
        checks_sum: false,
        expires_before_ms: None,
        duplicates: Duplicates::Refuse,
        keys_per_step: 0,
        purpose: Purpose::Load,
        input_bytes: bytes.len() as u64,
    });
    let mut chunks = bytes.chunks(chunk_bytes);
    loop {
        match loader.step(&mut keyspace).ok()? {
            LoadStep::More => {}
            LoadStep::Done => return Some(keyspace),
            LoadStep::NeedsInput => match chunks.next() {
                Some(chunk) => loader.feed(chunk),
                None => loader.end_input(),
            },
        }
    }
}

fn write(keyspace: &Keyspace) -> Vec<u8> {
    let settings = SnapshotSettings {
        compresses: true,
        ..SnapshotSettings::default()
    };
    let mut snapshot = Snapshot::pin(keyspace, settings);
    while snapshot.step() == Progress::More {}
    snapshot.take(Vec::new())
}
