//! `oneloop check-backup FOLDER`: tells whether a backup is complete and as it was made.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use sha2::{Digest, Sha256};

use super::check_rdb;
use crate::config::system_reason;
use crate::storage::backup::{DATA_NAME, MANIFEST_NAME, Manifest, hex};

/// What `--help` prints.
pub const USAGE: &str = "\
Usage: oneloop check-backup FOLDER

Checks a backup that BACKUP TO has made: that its manifest is there, that dump.rdb has the length and the SHA-256 sum
that the manifest says, and that a server can load it.

The exit status is 0 if it is sound, and 1 if not.
";

/// Read at a time, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// Checks the backup that the arguments name; gives the exit status.
pub fn main(arguments: &[String], out: &mut impl Write) -> ExitCode {
    let [folder] = arguments else {
        let _ = out.write_all(USAGE.as_bytes());
        return ExitCode::FAILURE;
    };
    match check(Path::new(folder)) {
        Ok(manifest) => {
            let Manifest { server, keys, data_bytes, began_ms, .. } = &manifest;
            let _ = writeln!(
                out,
                "The backup is complete: {keys} keys and {data_bytes} bytes of Oneloop {server}, as they were at Unix \
                 time {began_ms} ms."
            );
            check_rdb::main("oneloop check-backup", &[Path::new(folder).join(DATA_NAME).display().to_string()])
        }
        Err(reason) => {
            let _ = writeln!(out, "This is no sound backup: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Compares a backup with its manifest.
fn check(folder: &Path) -> Result<Manifest, String> {
    let text = match fs::read_to_string(folder.join(MANIFEST_NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!("there is no {MANIFEST_NAME}; it was given up, or is still being made"));
        }
        Err(error) => return Err(format!("{MANIFEST_NAME} cannot be read: {}", system_reason(&error))),
    };
    let manifest = Manifest::of_text(&text).map_err(|reason| format!("{MANIFEST_NAME}: {reason}"))?;
    let unreadable = |error: io::Error| format!("{DATA_NAME} cannot be read: {}", system_reason(&error));
    let mut file = File::open(folder.join(DATA_NAME)).map_err(unreadable)?;
    let (mut sum, mut bytes) = (Sha256::new(), 0);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk).map_err(unreadable)? {
            0 => break,
            count => {
                sum.update(&chunk[..count]);
                bytes += count as u64;
            }
        }
    }
    if bytes != manifest.data_bytes {
        return Err(format!("{DATA_NAME} has {bytes} bytes, the manifest says {}", manifest.data_bytes));
    }
    let sum: [u8; 32] = sum.finalize().into();
    if sum != manifest.data_sha256 {
        let [found, said] = [sum, manifest.data_sha256].map(|sum| hex(&sum));
        return Err(format!("{DATA_NAME} has the SHA-256 sum {found}, the manifest says {said}"));
    }
    Ok(manifest)
}
