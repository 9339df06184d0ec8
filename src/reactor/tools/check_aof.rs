//! The tool that checks an append-only file and cuts off what is not whole: `oneloop check-aof`, or under the name `redis-check-aof`.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};

use crate::collections::hash::HashSeed;
use crate::config::{Config, system_reason};
use crate::keyspace::Keyspace;
use crate::storage::aof::{AppendedReader, Found, Manifest, Part};
use crate::storage::rdb::SanitizeLevel;
use crate::storage::snapshot::{Duplicates, LoadStep, Loader, LoaderSettings, Purpose, begins_snapshot};
use crate::storage::values::LoadSettings;

/// Read at a time, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// Why the tool ends; what is to be said of it has been written.
#[derive(Debug)]
pub struct CheckFailed;

impl From<io::Error> for CheckFailed {
    fn from(_: io::Error) -> CheckFailed {
        CheckFailed
    }
}

type Checked<T> = Result<T, CheckFailed>;

/// What is to be done.
struct Tool<'a, I, O> {
    fixes: bool,
    /// Everything after this time is cut off, in s since the epoch.
    until_s: Option<i64>,
    input: &'a mut I,
    out: &'a mut O,
}

/// What became of one file.
enum Outcome {
    Valid,
    Empty,
    CutOff,
    CutAtTime,
}

/// Runs the tool. `arguments` are those behind its name.
///
/// # Errors
///
/// The file is not valid, cannot be read, or the arguments make no sense; what is to be said of it has been written.
pub fn run(name: &str, arguments: &[OsString], input: &mut impl BufRead, out: &mut impl Write) -> Checked<()> {
    let (mut fixes, mut until_s) = (false, None);
    let path = match arguments {
        [path] => path,
        [option, path] if option == "--fix" => {
            fixes = true;
            path
        }
        [option, time, path] if option == "--truncate-to-timestamp" => {
            let time_s = time.to_str().and_then(|text| text.parse().ok());
            if time_s.is_none() {
                writeln!(out, "Invalid timestamp, aborting...")?;
                return Err(CheckFailed);
            }
            until_s = time_s;
            path
        }
        _ => {
            writeln!(out, "Usage: {name} [--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>")?;
            return Err(CheckFailed);
        }
    };
    let mut tool = Tool { fixes, until_s, input, out };
    tool.check(Path::new(path))
}

impl<I: BufRead, O: Write> Tool<'_, I, O> {
    /// Says why the tool ends.
    fn fail<T>(&mut self, text: &str) -> Checked<T> {
        writeln!(self.out, "{text}")?;
        Err(CheckFailed)
    }

    fn check(&mut self, path: &Path) -> Checked<()> {
        if self.is_manifest(path)? {
            return self.check_parts(path);
        }
        writeln!(self.out, "Start checking Old-Style AOF")?;
        let name = path.display().to_string();
        let outcome = self.check_file(&name, path, true)?;
        self.tell("AOF", &name, &outcome)
    }

    /// Whether a file lists others: commands and snapshots begin otherwise.
    fn is_manifest(&mut self, path: &Path) -> Checked<bool> {
        let mut file = self.open(path, false)?;
        let mut head = Vec::new();
        (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut head)?;
        let mut lines = head.split(|byte| *byte == b'\n');
        Ok(lines.find(|line| line.first() != Some(&b'#')).is_some_and(|line| line.starts_with(b"file")))
    }

    fn open(&mut self, path: &Path, to_write: bool) -> Checked<File> {
        match OpenOptions::new().read(true).write(to_write).open(path) {
            Ok(file) => Ok(file),
            Err(error) => {
                let (path, reason) = (path.display(), system_reason(&error));
                self.fail(&format!("Cannot open file {path}: {reason}, aborting..."))
            }
        }
    }

    fn check_parts(&mut self, path: &Path) -> Checked<()> {
        writeln!(self.out, "Start checking Multi Part AOF")?;
        let manifest = match Manifest::parse(&fs::read(path)?) {
            Ok(manifest) => manifest,
            Err(error) => {
                let (line, number) = (error.line, error.line_number);
                return self.fail(&format!("{} (line {number}: '{line}')", error.reason));
            }
        };
        let folder = path.parent().map(PathBuf::from).unwrap_or_default();
        let count = manifest.parts().count();
        if let Some(base) = &manifest.base {
            self.check_part(&folder, base, "BASE AOF", count == 1)?;
        }
        if !manifest.increments.is_empty() {
            writeln!(self.out, "Start to check INCR files.")?;
        }
        for (index, part) in manifest.increments.iter().enumerate() {
            let is_last = index + 1 == manifest.increments.len();
            self.check_part(&folder, part, "INCR AOF", is_last)?;
        }
        writeln!(self.out, "All AOF files and manifest are valid")?;
        Ok(())
    }

    fn check_part(&mut self, folder: &Path, part: &Part, kind: &str, is_last: bool) -> Checked<()> {
        let path = folder.join(&part.name);
        if kind == "BASE AOF" {
            let mut head = [0; 6];
            let count = self.open(&path, false)?.read(&mut head)?;
            let is_snapshot = begins_snapshot(&head[..count]);
            let format = if is_snapshot { "RDB" } else { "RESP" };
            writeln!(self.out, "Start to check BASE AOF ({format} format).")?;
        }
        let outcome = self.check_file(&part.name, &path, is_last)?;
        self.tell(kind, &part.name, &outcome)
    }

    fn tell(&mut self, kind: &str, name: &str, outcome: &Outcome) -> Checked<()> {
        match (outcome, self.until_s) {
            (Outcome::Valid, _) => writeln!(self.out, "{kind} {name} is valid")?,
            (Outcome::Empty, _) => writeln!(self.out, "{kind} {name} is empty")?,
            (Outcome::CutAtTime, Some(time_s)) => {
                writeln!(self.out, "Successfully truncated AOF {name} to timestamp {time_s}")?
            }
            (Outcome::CutOff | Outcome::CutAtTime, _) => {
                writeln!(self.out, "Successfully truncated AOF {name}")?;
            }
        }
        Ok(())
    }

    fn check_file(&mut self, name: &str, path: &Path, is_last: bool) -> Checked<Outcome> {
        let mut file = self.open(path, self.fixes || self.until_s.is_some())?;
        let size = file.metadata()?.len();
        if size == 0 {
            return Ok(Outcome::Empty);
        }
        let mut scan = Scan::default();
        let mut rest = Vec::new();
        let begin = self.pass_snapshot(&mut file, &mut rest)?;
        scan.reader.feed(&rest);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let before_s = scan.walk(self.until_s);
            if let Some(at) = before_s {
                return self.cut_at_time(name, &file, begin + at, is_last);
            }
            let count = match scan.error {
                Some(_) => 0,
                None => file.read(&mut chunk)?,
            };
            if count == 0 {
                break;
            }
            scan.reader.feed(&chunk[..count]);
        }
        scan.note_end();
        if let Some((offset, reason)) = &scan.error {
            writeln!(self.out, "0x{:>16x}: {reason}", begin + offset)?;
        }
        let valid = begin + scan.valid;
        if valid == size
            && let Some(time_s) = self.until_s
        {
            writeln!(self.out, "Truncate nothing in AOF {name} to timestamp {time_s}")?;
            return Ok(Outcome::Valid);
        }
        writeln!(
            self.out,
            "AOF analyzed: filename={name}, size={size}, ok_up_to={valid}, ok_up_to_line={}, diff={}",
            scan.lines + 1,
            size - valid
        )?;
        match valid == size {
            true => Ok(Outcome::Valid),
            false => self.cut_off(name, &file, (size, valid), is_last),
        }
    }

    /// Reads the snapshot that the file may begin with; gives where it ends, and what was read beyond it.
    fn pass_snapshot(&mut self, file: &mut File, rest: &mut Vec<u8>) -> Checked<u64> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let count = file.read(&mut chunk)?;
        if !begins_snapshot(&chunk[..count]) {
            rest.extend_from_slice(&chunk[..count]);
            return Ok(0);
        }
        // What is in it is looked at as it would be to be loaded.
        let mut keyspace = Keyspace::new(0, HashSeed::from_seed(0));
        let mut loader = Loader::new(LoaderSettings {
            values: LoadSettings::of(&Config::default()),
            scrutiny: SanitizeLevel::Full,
            checks_sum: true,
            expires_before_ms: None,
            duplicates: Duplicates::Refuse,
            keys_per_step: 0,
            purpose: Purpose::Check,
            input_bytes: 0,
        });
        loader.feed(&chunk[..count]);
        loop {
            match loader.step(&mut keyspace) {
                Ok(LoadStep::More) => {}
                Ok(LoadStep::Done) => break,
                Ok(LoadStep::NeedsInput) => match file.read(&mut chunk)? {
                    0 => loader.end_input(),
                    count => loader.feed(&chunk[..count]),
                },
                Err(error) => {
                    writeln!(self.out, "At offset {}: {error}", error.offset)?;
                    return self.fail("RDB preamble of AOF file is not sane, aborting.");
                }
            }
        }
        writeln!(self.out, "RDB preamble is OK, proceeding with AOF tail...")?;
        rest.extend_from_slice(loader.rest());
        Ok(loader.offset())
    }

    fn cut_at_time(&mut self, name: &str, file: &File, at: u64, is_last: bool) -> Checked<Outcome> {
        let time_s = self.until_s.unwrap_or(0);
        if at == 0 {
            return self.fail(&format!("AOF {name} has nothing before timestamp {time_s}, aborting..."));
        }
        if !is_last {
            writeln!(
                self.out,
                "Failed to truncate AOF {name} to timestamp {time_s} to offset {at} because it is not the last file."
            )?;
            return self.fail(
                "If you insist, please delete all files after this file according to the manifest file and delete the \
                 corresponding records in manifest file manually. Then re-run redis-check-aof.",
            );
        }
        if file.set_len(at).and_then(|()| file.sync_all()).is_err() {
            return self.fail(&format!("Failed to truncate AOF {name} to timestamp {time_s}"));
        }
        Ok(Outcome::CutAtTime)
    }

    fn cut_off(&mut self, name: &str, file: &File, (size, valid): (u64, u64), is_last: bool) -> Checked<Outcome> {
        if !self.fixes {
            return self.fail(&format!("AOF {name} is not valid. Use the --fix option to try fixing it."));
        }
        if !is_last {
            return self.fail(&format!("Failed to truncate AOF {name} because it is not the last file"));
        }
        writeln!(
            self.out,
            "This will shrink the AOF {name} from {size} bytes, with {} bytes, to {valid} bytes",
            size - valid
        )?;
        write!(self.out, "Continue? [y/N]: ")?;
        self.out.flush()?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        if !answer.trim_start().to_ascii_lowercase().starts_with('y') {
            return self.fail("Aborting...");
        }
        if file.set_len(valid).and_then(|()| file.sync_all()).is_err() {
            return self.fail(&format!("Failed to truncate AOF {name}"));
        }
        Ok(Outcome::CutOff)
    }
}

/// Commands that are gone through.
#[derive(Default)]
struct Scan {
    reader: AppendedReader,
    in_transaction: bool,
    /// Where the last whole unit ends, and the line there.
    valid: u64,
    lines: u64,
    /// What is wrong, and where.
    error: Option<(u64, String)>,
}

impl Scan {
    /// Goes through what is there. Gives where something begins that was done after that time.
    fn walk(&mut self, until_s: Option<i64>) -> Option<u64> {
        while self.error.is_none() {
            let at = self.reader.offset();
            match self.reader.advance() {
                Ok(Found::Incomplete) => return None,
                Ok(Found::Time(time_s)) if until_s.is_some_and(|until_s| time_s > until_s) => {
                    return Some(at);
                }
                Ok(Found::Time(_) | Found::Annotation) => {}
                Ok(Found::Command) => self.note_command(at),
                Err(malformed) => self.error = Some((malformed.offset, malformed.reason)),
            }
            if !self.in_transaction && self.error.is_none() {
                (self.valid, self.lines) = (self.reader.offset(), self.reader.lines());
            }
        }
        None
    }

    fn note_command(&mut self, at: u64) {
        let is = |name: &str| self.reader.len() == 1 && self.reader.argument(0).eq_ignore_ascii_case(name.as_bytes());
        match (is("multi"), is("exec"), self.in_transaction) {
            (true, _, true) => self.error = Some((at, "Unexpected MULTI in AOF".into())),
            (_, true, false) => self.error = Some((at, "Unexpected EXEC in AOF".into())),
            (true, _, false) => self.in_transaction = true,
            (_, true, true) => self.in_transaction = false,
            (false, false, _) => {}
        }
    }

    fn note_end(&mut self) {
        if self.error.is_none() && self.in_transaction {
            let reason = "Reached EOF before reading EXEC for MULTI";
            self.error = Some((self.reader.offset(), reason.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(folder: &Path, arguments: &[&str], answer: &str) -> (bool, String) {
        let arguments: Vec<OsString> = arguments
            .iter()
            .map(|argument| match argument.strip_prefix('@') {
                Some(name) => folder.join(name).into(),
                None => argument.into(),
            })
            .collect();
        let mut out = Vec::new();
        let done = run("tool", &arguments, &mut answer.as_bytes(), &mut out);
        (done.is_ok(), String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn a_torn_file_is_found_and_cut_off() {
        let folder = std::env::temp_dir().join(format!("oneloop-check-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let whole = "#TS:5\r\n*1\r\n$1\r\na\r\n#TS:7\r\n*1\r\n$5\r\nMULTI\r\n*1\r\n$1\r\nb\r\n*1\r\n$4\r\nEXEC\r\n";
        let file = folder.join("file");
        for cut in 0..whole.len() {
            fs::write(&file, &whole[..cut]).unwrap();
            let valid = [0, 7, 18, 25].iter().rev().find(|end| **end <= cut).unwrap();
            let (done, text) = check(&folder, &["@file"], "");
            assert_eq!(done, cut == *valid, "cut at {cut}: {text}");
            let (done, text) = check(&folder, &["--fix", "@file"], "y\n");
            assert!(done, "cut at {cut}: {text}");
            assert_eq!(fs::read(&file).unwrap().len(), *valid, "cut at {cut}");
        }
        fs::write(&file, whole).unwrap();
        let (done, text) = check(&folder, &["@file"], "");
        assert!(done && text.contains("is valid"), "{text}");
        let (done, text) = check(&folder, &["--truncate-to-timestamp", "6", "@file"], "");
        assert!(done && text.contains("Successfully truncated"), "{text}");
        assert_eq!(fs::read(&file).unwrap(), &whole.as_bytes()[..18]);
        let (done, _) = check(&folder, &["--truncate-to-timestamp", "4", "@file"], "");
        assert!(!done);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn only_the_last_part_is_cut() {
        let folder = std::env::temp_dir().join(format!("oneloop-parts-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let list = "file base seq 1 type b\nfile incr seq 1 type i\n";
        fs::write(folder.join("list"), list).unwrap();
        fs::write(folder.join("base"), "*1\r\n$1\r\na\r\n*1").unwrap();
        fs::write(folder.join("incr"), "*1\r\n$1\r\na\r\n").unwrap();
        let (done, text) = check(&folder, &["--fix", "@list"], "y\n");
        assert!(!done && text.contains("not the last file"), "{text}");
        fs::write(folder.join("base"), "*1\r\n$1\r\na\r\n").unwrap();
        fs::write(folder.join("incr"), "*1\r\n$1\r\na\r\n!!!").unwrap();
        let (done, text) = check(&folder, &["@list"], "");
        assert!(!done && text.contains("ok_up_to_line=4"), "{text}");
        let (done, text) = check(&folder, &["--fix", "@list"], "y\n");
        assert!(done && text.contains("All AOF files"), "{text}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
