//! When the files that the tls-* directives name were changed last, as one number: so that a change is noticed without
//! reading them.

use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::base::tape::{self, Kind};
use crate::config::Config;

/// A number that changes when one of the files is changed, replaced, added to the folder of authorities, or removed.
/// O(files).
pub fn files_stamp(config: &Config) -> u64 {
    tape::pass(Kind::Process, || real_stamp(config))
}

/// Whether reading the files can wait for nobody: a named pipe in the place of one has no end until another program
/// gives it one.
///
/// Errors: which is no regular file.
pub fn check_files(config: &Config) -> Result<(), String> {
    tape::pass(Kind::Process, || {
        let is_other = |path: &&str| fs::metadata(path).is_ok_and(|file| !file.is_file());
        match files(config).into_iter().find(is_other) {
            Some(path) => Err(format!("Not a regular file: {path}")),
            None => Ok(()),
        }
    })
}

fn files(config: &Config) -> [&str; 5] {
    [
        &config.tls_cert_file,
        &config.tls_key_file,
        &config.tls_client_cert_file,
        &config.tls_client_key_file,
        &config.tls_ca_cert_file,
    ]
}

fn real_stamp(config: &Config) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in files(config) {
        hash_file(&mut hasher, path.as_ref());
    }
    hash_folder(&mut hasher, config.tls_ca_cert_dir.as_ref());
    hasher.finish()
}

/// Links are followed: where certificates are mounted, a change is often another target of a link.
fn hash_file(hasher: &mut DefaultHasher, path: &Path) {
    path.hash(hasher);
    hash_metadata(hasher, &fs::metadata(path));
}

fn hash_metadata(hasher: &mut DefaultHasher, metadata: &io::Result<Metadata>) {
    let changed = metadata.as_ref().ok().map(|file| {
        (file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec())
    });
    changed.hash(hasher);
}

fn hash_folder(hasher: &mut DefaultHasher, folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    // The order in which a folder lists its files may change.
    paths.sort_unstable();
    for path in paths {
        hash_file(hasher, &path);
    }
}
