//! What a power cut takes from an increment that is no longer appended to, and what must not be loaded behind it.
//!
//! When a rewrite goes on to the next increment the one before may not be on the disk yet, and to wait for that would
//! hold every reply. So the next one begins with a note of how long the one before is:
//!
//! ```text
//! appendonly.aof.1.incr.aof   … RPUSH a 1 RPUSH a 2            1234 bytes
//! appendonly.aof.2.incr.aof   #PREVIOUS:1234 RPUSH a 3 …
//! ```
//!
//! Where the one before is shorter at the next start, a power cut has taken its end: what is behind it is not loaded,
//! so that what is found is a beginning of what was done. A reply that waited for the disk has waited for both files.
//! Other servers skip the note.

use std::path::Path;

use crate::config::system_reason;
use crate::storage::aof::{Manifest, Part};
use crate::storage::file::operations::{Disk, FileOperations};

use crate::storage::aof::append_only::AppendOnly;

const NOTE: &[u8] = b"#PREVIOUS:";
/// No note is longer, in bytes.
const NOTE_BYTES_MAX: usize = 64;

/// The note at the beginning of an increment.
pub(crate) fn note(length: u64) -> Vec<u8> {
    let mut note = NOTE.to_vec();
    note.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    note.extend_from_slice(b"\r\n");
    note
}

/// What the first bytes of an increment say.
#[derive(Debug, PartialEq, Eq)]
enum Noted {
    Nothing,
    /// The increment before was so long.
    Length(u64),
    /// The note is not whole: nothing else is in the file.
    Torn,
}

fn noted(bytes: &[u8]) -> Noted {
    let has_begun = NOTE.starts_with(bytes) && !bytes.is_empty() || bytes.starts_with(NOTE);
    if !has_begun {
        return Noted::Nothing;
    }
    let rest = bytes.get(NOTE.len()..).unwrap_or_default();
    let end = rest.windows(2).position(|pair| pair == b"\r\n");
    let Some(end) = end else {
        return Noted::Torn;
    };
    let digits = std::str::from_utf8(&rest[..end]).unwrap_or_default();
    digits.parse().map_or(Noted::Nothing, Noted::Length)
}

fn noted_in(disk: &Disk, path: &Path) -> Noted {
    let mut bytes = Vec::new();
    let file = disk.files().open(path);
    match file.and_then(|file| file.read(&mut bytes, NOTE_BYTES_MAX)) {
        Ok(_) => noted(&bytes),
        // That is met again when it is loaded.
        Err(_) => Noted::Nothing,
    }
}

impl AppendOnly {
    /// Empties what was appended behind something that is lost.
    ///
    /// # Errors
    ///
    /// The text for the log: that is not allowed, or cannot be done.
    pub(crate) fn discard_behind_loss(&self, manifest: &Manifest, is_allowed: bool) -> Result<(), String> {
        let increments = &manifest.increments;
        let path = |part: &Part| self.settings.places.part(&part.name);
        let is_lost = |pair: &[Part]| {
            let length = self.disk.files().length(&path(&pair[0]));
            match noted_in(&self.disk, &path(&pair[1])) {
                Noted::Nothing => false,
                Noted::Length(noted) => length.is_ok_and(|length| length < noted),
                Noted::Torn => true,
            }
        };
        let Some(last) = increments.windows(2).position(is_lost) else {
            return Ok(());
        };
        let name = &increments[last].name;
        if !is_allowed {
            return Err(format!(
                "The end of the append only file {name} is missing, and there is something behind it. You can set the \
                 'aof-load-truncated' configuration option to yes and restart the server: then what is behind it is discarded."
            ));
        }
        // From the end: a crash amid this finds what is still behind the loss with its note.
        for part in increments[last + 1..].iter().rev() {
            log::warn!(
                "!!! Warning: the end of the AOF file {name} is missing: discarding what is behind it, in {} !!!",
                part.name
            );
            let emptied = self.disk.files().open_to_append(&path(part));
            let emptied = emptied.and_then(|file| file.set_length(0).and_then(|()| file.sync()));
            emptied
                .map_err(|error| format!("Error truncating the AOF file {}: {}", part.name, system_reason(&error)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let note = note(1234);
        assert_eq!(noted(&note), Noted::Length(1234));
        for torn in 1..note.len() {
            assert_eq!(noted(&note[..torn]), Noted::Torn);
        }
        for other in [&b""[..], b"#TS:12\r\n", b"*1\r\n", b"#PREVIOUS:x\r\n"] {
            assert_eq!(noted(other), Noted::Nothing);
        }
    }
}
