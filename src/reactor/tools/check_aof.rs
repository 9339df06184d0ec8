//! The tool that checks an append-only file and cuts off what is not whole: `oneloop check-aof`, or under the name
//! `redis-check-aof`.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};

use crate::collections::hash::HashSeed;
use crate::config::{Config, system_reason};
use crate::keyspace::Keyspace;
use crate::storage::aof::{AppendedReader, Found, Malformed, Manifest, Part, Strictness};
use crate::storage::rdb::SanitizeLevel;
use crate::storage::snapshot::{Duplicates, LoadStep, Loader, LoaderSettings, Purpose, begins_snapshot};
use crate::storage::values::LoadSettings;

pub(super) const USAGE: &str = "\
Usage: oneloop check-aof [--fix | --truncate-to-timestamp SECONDS] FILE

Checks an append-only file as redis-check-aof does. FILE is its manifest, which stands for all its files, or one of
them.

  --fix                            cut off, after a question, what is not whole at the end
  --truncate-to-timestamp SECONDS  cut off what was appended after that time, in seconds since 1970

The exit status is 0 if it is valid or was mended, else 1.
";

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
    name: &'a str,
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
    let mut tool = Tool { name, fixes, until_s, input, out };
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
                return match number {
                    0 => self.fail(error.reason),
                    _ => self.fail(&format!("{} (line {number}: '{line}')", error.reason)),
                };
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
        let mut rest = Vec::new();
        let begin = self.pass_snapshot(&mut file, &mut rest)?;
        let mut scan = Scan::new(name, begin);
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
        if let Some(error) = &scan.error {
            writeln!(self.out, "{error}")?;
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
                    writeln!(self.out, "At offset {}: {}", error.offset, error.reason())?;
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
            return self.fail(&format!(
                "If you insist, please delete all files after this file according to the manifest file and delete the \
                 corresponding records in manifest file manually. Then re-run {}.",
                self.name
            ));
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
struct Scan<'a> {
    /// The file, and where its commands begin.
    name: &'a str,
    begin: u64,
    reader: AppendedReader,
    in_transaction: bool,
    /// Where the last whole unit ends.
    valid: u64,
    /// Lines read, also of what is not whole.
    lines: u64,
    /// Where the last argument begins.
    last_argument: u64,
    /// What is wrong, as a line to be written.
    error: Option<String>,
}

impl<'a> Scan<'a> {
    fn new(name: &'a str, begin: u64) -> Scan<'a> {
        Scan {
            name,
            begin,
            reader: AppendedReader::new(Strictness::Strict),
            in_transaction: false,
            valid: 0,
            lines: 0,
            last_argument: 0,
            error: None,
        }
    }

    fn fail(&mut self, offset: u64, reason: &str) {
        self.error = Some(format!("0x{:>16x}: {reason}", self.begin + offset));
    }

    fn refuse(&mut self, malformed: &Malformed) {
        self.lines = malformed.lines;
        self.fail(malformed.offset, &malformed.reason);
    }

    /// Goes through what is there. Gives where something begins that was done after that time.
    fn walk(&mut self, until_s: Option<i64>) -> Option<u64> {
        while self.error.is_none() {
            let at = self.reader.offset();
            match self.reader.advance() {
                Ok(Found::Incomplete) => return None,
                Ok(Found::Time(time_s)) if until_s.is_some_and(|until_s| time_s > until_s) => {
                    return Some(at);
                }
                Ok(Found::BadTime) if until_s.is_some() => {
                    self.error = Some("Invalid timestamp annotation".to_string());
                }
                Ok(Found::Time(_) | Found::BadTime | Found::History(_) | Found::Annotation) => {}
                Ok(Found::Command) => self.note_command(),
                Err(malformed) if malformed.offset == at && !self.reader.begins_command() => {
                    self.error = Some(format!("AOF {} format error", self.name));
                }
                Err(malformed) => self.refuse(&malformed),
            }
            if self.error.is_none() {
                self.lines = self.reader.lines();
                if !self.in_transaction {
                    self.valid = self.reader.offset();
                }
            }
        }
        None
    }

    fn note_command(&mut self) {
        let is = |name: &str| self.reader.len() == 1 && self.reader.argument(0).eq_ignore_ascii_case(name.as_bytes());
        self.last_argument = self.reader.last_argument_offset();
        let unexpected = match (is("multi"), is("exec"), self.in_transaction) {
            (true, _, true) => "MULTI",
            (_, true, false) => "EXEC",
            (is_begin, is_end, _) => {
                self.in_transaction = (self.in_transaction || is_begin) && !is_end;
                return;
            }
        };
        self.lines = self.reader.lines();
        let reason = format!("Unexpected {unexpected} in AOF {}", self.name);
        self.fail(self.last_argument, &reason);
    }

    fn note_end(&mut self) {
        if self.error.is_some() {
            return;
        }
        if let Some(missing) = self.reader.missing() {
            self.refuse(&missing);
        } else if self.in_transaction {
            let reason = "Reached EOF before reading EXEC for MULTI";
            self.fail(self.last_argument, reason);
        } else if self.reader.rest_is_annotation() {
            self.valid = self.reader.end();
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
            let ends = [0, 7, 18, 25].into_iter().rev();
            let begun = ends.into_iter().find(|end| *end <= cut).unwrap();
            // No command is lost with a torn annotation.
            let valid = match &whole[begun..cut] {
                torn if torn.starts_with('#') => cut,
                _ => begun,
            };
            let (done, text) = check(&folder, &["@file"], "");
            assert_eq!(done, cut == valid, "cut at {cut}: {text}");
            let (done, text) = check(&folder, &["--fix", "@file"], "y\n");
            assert!(done, "cut at {cut}: {text}");
            assert_eq!(fs::read(&file).unwrap().len(), valid, "cut at {cut}");
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
    fn what_is_wrong_is_told_as_redis_tells_it() {
        let folder = std::env::temp_dir().join(format!("oneloop-told-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let set = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
        let (multi, exec) = ("*1\r\n$5\r\nMULTI\r\n", "*1\r\n$4\r\nEXEC\r\n");
        let argument = "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2";
        for (end, line, told) in [
            ("*3\n$3\r\nSET\r\n".to_string(), 8, "0x              1b: Expected \\r\\n, got: 0a00\n"),
            (format!("{argument}xx"), 14, "0x              33: Expected \\r\\n, got: 7878\n"),
            (format!("{argument}\r"), 14, "0x              33: Expected to read 3 bytes, got 2 bytes\n"),
            ("!!!\r\n".to_string(), 8, "AOF FILE format error\n"),
            (format!("{multi}{set}"), 18, "0x              42: Reached EOF before reading EXEC for MULTI\n"),
            (format!("{multi}{multi}{exec}"), 14, "0x              32: Unexpected MULTI in AOF FILE\n"),
            (exec.to_string(), 11, "0x              23: Unexpected EXEC in AOF FILE\n"),
        ] {
            fs::write(folder.join("file"), format!("{set}{end}")).unwrap();
            let (done, text) = check(&folder, &["@file"], "");
            let text = text.replace(folder.join("file").to_str().unwrap(), "FILE");
            let (size, diff) = (set.len() + end.len(), end.len());
            let expected = format!(
                "Start checking Old-Style AOF\n{told}\
                 AOF analyzed: filename=FILE, size={size}, ok_up_to=27, ok_up_to_line={line}, diff={diff}\n\
                 AOF FILE is not valid. Use the --fix option to try fixing it.\n"
            );
            assert_eq!(text, expected);
            assert!(!done);
        }
        for end in ["#by hand\n", "#by hand", "#TS:x\r\n"] {
            fs::write(folder.join("file"), format!("{set}{end}")).unwrap();
            let (done, text) = check(&folder, &["@file"], "");
            assert!(done && text.contains("ok_up_to_line=8, diff=0"), "{text}");
        }
        let (done, text) = check(&folder, &["--truncate-to-timestamp", "6", "@file"], "");
        assert!(!done && text.contains("Invalid timestamp annotation"), "{text}");
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
