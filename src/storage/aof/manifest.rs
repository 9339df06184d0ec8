//! The list of the parts of an append-only file: one base, then what was appended since, and parts that are no longer
//! needed.
//!
//! ```text
//! file appendonly.aof.2.base.rdb seq 2 type b
//! file appendonly.aof.1.incr.aof seq 1 type h
//! file appendonly.aof.2.incr.aof seq 2 type i
//! ```

use std::fmt::Write as _;

use crate::text::quoting;

/// Longest line, its end included, in bytes.
const LINE_MAX: usize = 1024;
/// A longer line is not shown.
const TOO_LONG: &str = "The AOF manifest file contains too long line";

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    Base,
    /// What was appended.
    Increment,
    /// No longer needed, to be removed.
    History,
}

impl PartKind {
    fn letter(self) -> char {
        match self {
            PartKind::Base => 'b',
            PartKind::Increment => 'i',
            PartKind::History => 'h',
        }
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    pub sequence: u64,
    pub kind: PartKind,
}

/// The form of a base file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseFormat {
    Snapshot,
    Commands,
}

/// All parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub base: Option<Part>,
    pub increments: Vec<Part>,
    pub history: Vec<Part>,
    base_sequence: u64,
    increment_sequence: u64,
}

/// What is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    pub reason: &'static str,
    /// Counted from 1; 0 if no line is to be shown.
    pub line_number: usize,
    pub line: String,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    ///
    /// The first line that is wrong, or that there is none.
    pub fn parse(text: &[u8]) -> Result<Manifest, ManifestError> {
        let mut manifest = Manifest::default();
        let mut last_sequence = 0;
        let mut number = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            number += 1;
            if line.first() == Some(&b'#') {
                continue;
            }
            let mut add = |manifest: &mut Manifest| {
                if line.last() != Some(&b'\n') || line.len() > LINE_MAX {
                    return Err(TOO_LONG);
                }
                manifest.add(parse_line(line)?, &mut last_sequence)
            };
            add(&mut manifest).map_err(|reason| match reason {
                TOO_LONG => ManifestError { reason, line_number: 0, line: String::new() },
                _ => ManifestError {
                    reason,
                    line_number: number,
                    line: String::from_utf8_lossy(line.trim_ascii()).into_owned(),
                },
            })?;
        }
        if number == 0 {
            return Err(ManifestError { reason: "Found an empty AOF manifest", line_number: 0, line: String::new() });
        }
        Ok(manifest)
    }

    fn add(&mut self, part: Part, last_sequence: &mut u64) -> Result<(), &'static str> {
        match part.kind {
            PartKind::Base if self.base.is_some() => {
                return Err("Found duplicate base file information");
            }
            PartKind::Base => {
                self.base_sequence = self.base_sequence.max(part.sequence);
                self.base = Some(part);
            }
            PartKind::Increment if part.sequence <= *last_sequence => {
                return Err("Found a non-monotonic sequence number");
            }
            PartKind::Increment => {
                *last_sequence = part.sequence;
                self.increment_sequence = self.increment_sequence.max(part.sequence);
                self.increments.push(part);
            }
            PartKind::History => {
                // As long as it is there no other file may have its name.
                let sequence = match part.name.contains(".base.") {
                    true => &mut self.base_sequence,
                    false => &mut self.increment_sequence,
                };
                *sequence = (*sequence).max(part.sequence);
                self.history.push(part);
            }
        }
        Ok(())
    }

    /// A file of before there were parts, as the base.
    pub fn of_old_file(name: &str) -> Manifest {
        Manifest {
            base: Some(Part { name: name.to_string(), sequence: 1, kind: PartKind::Base }),
            base_sequence: 1,
            ..Manifest::default()
        }
    }

    /// The text of the manifest.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let parts = self.base.iter().chain(&self.history).chain(&self.increments);
        for part in parts {
            let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\' && byte != b'\'';
            let name = match part.name.bytes().all(plain) {
                true => part.name.clone(),
                false => quoting::quote(part.name.as_bytes()),
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "file {name} seq {} type {}", part.sequence, part.kind.letter());
        }
        text
    }

    /// The next base file; the one there was and everything appended before the last increment are history from now on
    /// (also the last, if nothing is being appended to it).
    pub fn replace_base(&mut self, file_name: &str, format: BaseFormat, appends: bool) -> &Part {
        let old = self.base.take().into_iter();
        let kept = self.increments.len() - usize::from(appends).min(self.increments.len());
        for mut part in old.chain(self.increments.drain(..kept)).collect::<Vec<_>>() {
            part.kind = PartKind::History;
            self.history.insert(0, part);
        }
        self.base_sequence += 1;
        let ending = match format {
            BaseFormat::Snapshot => "rdb",
            BaseFormat::Commands => "aof",
        };
        self.base.insert(Part {
            name: format!("{file_name}.{}.base.{ending}", self.base_sequence),
            sequence: self.base_sequence,
            kind: PartKind::Base,
        })
    }

    /// Adds a file to append to.
    pub fn add_increment(&mut self, file_name: &str) -> &Part {
        self.increment_sequence += 1;
        self.increments.push(Part {
            name: format!("{file_name}.{}.incr.aof", self.increment_sequence),
            sequence: self.increment_sequence,
            kind: PartKind::Increment,
        });
        &self.increments[self.increments.len() - 1]
    }

    /// The numbers that another list has given to files are not given again.
    pub fn skip_numbers_of(&mut self, other: &Manifest) {
        self.base_sequence = self.base_sequence.max(other.base_sequence);
        self.increment_sequence = self.increment_sequence.max(other.increment_sequence);
    }

    /// Whether there is nothing to load.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.increments.is_empty()
    }

    /// The parts to be loaded, in order.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.base.iter().chain(&self.increments)
    }
}

const INVALID: &str = "Invalid AOF manifest file format";

fn parse_line(line: &[u8]) -> Result<Part, &'static str> {
    let words = quoting::split_arguments(line.trim_ascii()).ok_or(INVALID)?;
    // More words are from a newer version.
    if words.len() < 6 || words.len() % 2 == 1 {
        return Err(INVALID);
    }
    let (mut name, mut sequence, mut kind) = (None, 0, None);
    for pair in words.chunks_exact(2) {
        let (key, value) = (&pair[0], &pair[1]);
        if key.eq_ignore_ascii_case(b"file") {
            let text = String::from_utf8(value.clone()).map_err(|_| INVALID)?;
            if text.contains(['/', '\\']) {
                return Err("File can't be a path, just a filename");
            }
            name = Some(text).filter(|text| !text.is_empty());
        } else if key.eq_ignore_ascii_case(b"seq") {
            let text = std::str::from_utf8(value).unwrap_or_default();
            sequence = text.parse().unwrap_or(0);
        } else if key.eq_ignore_ascii_case(b"type") {
            kind = value.first().copied();
        }
    }
    let (Some(name), Some(letter), 1..) = (name, kind, sequence) else {
        return Err(INVALID);
    };
    let kinds = [PartKind::Base, PartKind::Increment, PartKind::History];
    let kind = kinds.into_iter().find(|kind| kind.letter() as u8 == letter).ok_or("Unknown AOF file type")?;
    Ok(Part { name, sequence, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_survives_being_written_and_read() {
        let mut manifest = Manifest::default();
        manifest.replace_base("a b.aof", BaseFormat::Snapshot, true);
        manifest.add_increment("a b.aof");
        assert_eq!(
            manifest.text(),
            "file \"a b.aof.1.base.rdb\" seq 1 type b\nfile \"a b.aof.1.incr.aof\" seq 1 type i\n"
        );
        assert_eq!(Manifest::parse(manifest.text().as_bytes()), Ok(manifest.clone()));
        manifest.add_increment("x");
        manifest.replace_base("x", BaseFormat::Commands, true);
        assert_eq!(
            manifest.text(),
            "file x.2.base.aof seq 2 type b\nfile \"a b.aof.1.incr.aof\" seq 1 type h\n\
             file \"a b.aof.1.base.rdb\" seq 1 type h\nfile x.2.incr.aof seq 2 type i\n"
        );
        assert_eq!(Manifest::parse(manifest.text().as_bytes()), Ok(manifest));
    }

    /// What is history may still be there, under a name that another file would share.
    #[test]
    fn the_numbers_of_history_are_not_given_again() {
        let text = b"file a.2.base.rdb seq 2 type b\nfile a.3.base.rdb seq 3 type h\nfile a.2.incr.aof seq 2 type h\n";
        let mut manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.add_increment("a").name, "a.3.incr.aof");
        let base = manifest.replace_base("a", BaseFormat::Snapshot, true);
        assert_eq!(base.name, "a.4.base.rdb");
    }

    #[test]
    fn what_is_wrong_is_told() {
        let long = format!("file a seq 1 type b {}\n", "k v ".repeat(300));
        for (text, reason) in [
            ("", "Found an empty AOF manifest"),
            ("\n", INVALID),
            ("file a seq 1 type b", TOO_LONG),
            (&long, TOO_LONG),
            ("filx a seq 1 type b\n", INVALID),
            ("file a seq 0 type b\n", INVALID),
            ("file a seq 1 type b c\n", INVALID),
            ("file a type b\n", INVALID),
            ("file a/b seq 1 type b\n", "File can't be a path, just a filename"),
            ("file a seq 1 type x\n", "Unknown AOF file type"),
            ("file a seq 1 type b\nfile b seq 2 type b\n", "Found duplicate base file information"),
            ("file a seq 2 type i\nfile b seq 2 type i\n", "Found a non-monotonic sequence number"),
        ] {
            let error = Manifest::parse(text.as_bytes()).expect_err(text);
            assert_eq!(error.reason, reason, "{text}");
        }
        let newer = b"# a comment\nfile a seq 1 type b more words\n";
        assert!(Manifest::parse(newer).is_ok());
    }
}
