//! Any bytes, read as an append-only file: however they come in pieces, the same is found, and it ends at the same
//! place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oneloop::storage::aof::{AppendedReader, Found, Manifest};

/// What is found, and where it ends or goes wrong.
fn read(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, u64, bool) {
    let mut reader = AppendedReader::default();
    let mut found = Vec::new();
    for chunk in chunks {
        reader.feed(chunk);
        loop {
            match reader.advance() {
                Ok(Found::Incomplete) => break,
                Ok(Found::Command) => found.extend(reader.arguments().map(<[u8]>::to_vec)),
                Ok(Found::Time(time_s)) => found.push(time_s.to_string().into_bytes()),
                Ok(Found::History(mark)) => found.push(format!("{mark:?}").into_bytes()),
                Ok(Found::Annotation | Found::BadTime) => {}
                Err(malformed) => return (found, malformed.offset, true),
            }
        }
    }
    (found, reader.offset(), false)
}

fuzz_target!(|data: &[u8]| {
    let Some((&cut, data)) = data.split_first() else { return };
    let cut = usize::from(cut).min(data.len());
    assert_eq!(read(&[data]), read(&[&data[..cut], &data[cut..]]));
    if let Ok(manifest) = Manifest::parse(data) {
        let text = manifest.text();
        let again = Manifest::parse(text.as_bytes());
        assert!(manifest.is_empty() && manifest.history.is_empty() || again.is_ok(), "{text}");
    }
});
