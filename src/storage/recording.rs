//! Recordings: the file that the tape of a loop goes to (`base::tape`), and the way back.
//!
//! ```text
//! "ONELOOP-RECORDING 1\n"   then pieces: length, checksum (four bytes each, the low ones first), bytes
//! the first piece           version, build, arguments of the process
//! the others                the tape
//! ```
//!
//! A thread writes the file. Where the disk cannot keep up the recording ends, and the server goes on. A file whose
//! last piece is not whole is good up to there: the process was killed, or the machine lost power.
//!
//! Never overwrites a file; others cannot read it, since it holds all that clients have sent.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use xxhash_rust::xxh3::xxh3_64;

use crate::base::sys::allocator::InTransit;
use crate::base::tape::{self, Entry, Input, Recorder};
use crate::config::system_reason;

const MAGIC: &[u8] = b"ONELOOP-RECORDING 1\n";
/// Bytes that may wait for the disk.
const PENDING_MAX_BYTES: usize = 64 << 20;
/// Longest piece that is taken for one.
const PIECE_MAX_BYTES: u32 = 1 << 30;

/// What a recording says of the process that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub version: String,
    /// A sum of the executable: another build may ask for other things.
    pub build: u64,
    /// With the program's name.
    pub arguments: Vec<String>,
}

impl Header {
    /// That of this process, with these arguments.
    ///
    /// Errors: the executable cannot be read.
    pub fn of_process(arguments: Vec<String>) -> io::Result<Header> {
        let executable = std::fs::read("/proc/self/exe")?;
        Ok(Header { version: env!("CARGO_PKG_VERSION").to_string(), build: xxh3_64(&executable), arguments })
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.version.write(&mut bytes);
        self.build.write(&mut bytes);
        self.arguments.write(&mut bytes);
        bytes
    }

    fn of_bytes(bytes: &[u8]) -> Option<Header> {
        let mut input = Input(bytes);
        Some(Header {
            version: Entry::read(&mut input)?,
            build: Entry::read(&mut input)?,
            arguments: Entry::read(&mut input)?,
        })
    }
}

/// What the thread that writes and the loop both know.
#[derive(Default)]
struct Shared {
    pending_bytes: AtomicUsize,
    failure: Mutex<Option<String>>,
}

/// How large and how long a recording may become, and what it holds besides what is asked for.
#[derive(Clone, Copy, Debug)]
pub struct RecordingOptions {
    pub bytes_max: u64,
    pub seconds_max: u64,
    /// Time between two digests of the data, in µs; 0: none.
    pub digest_period_us: u64,
}

/// A recording that is being made. Dropped, it is brought to its end.
pub struct Recording {
    thread: Option<JoinHandle<()>>,
}

impl Recording {
    /// Records from now on what this thread's loop asks for, until the file is as large, or as long, as it may be.
    ///
    /// Errors: there is such a file already, or it cannot be made.
    pub fn begin(path: &Path, header: &Header, options: RecordingOptions) -> Result<Recording, String> {
        let failed = |error: io::Error| format!("Cannot record to {}: {}", path.display(), system_reason(&error));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(MAGIC).and_then(|()| write_piece(&mut file, &header.bytes())).map_err(failed)?;
        let (sender, pieces) = channel::<InTransit>();
        let shared = Arc::new(Shared::default());
        let told = Arc::clone(&shared);
        let work = move || write_pieces(file, &pieces, &told);
        let thread = thread::Builder::new().name("recording".into()).spawn(work).map_err(failed)?;
        let mut room_bytes = options.bytes_max;
        let recorder = Recorder::new(Box::new(move |piece| {
            room_bytes = room_bytes.checked_sub(piece.len() as u64).ok_or("the file is as large as it may be")?;
            hand_over(piece, &sender, &shared)
        }));
        tape::record(recorder.with_seconds_max(options.seconds_max).with_digests(options.digest_period_us));
        Ok(Recording { thread: Some(thread) })
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        tape::stop();
        // The sender has gone with the tape, so the thread comes to its end. One that has panicked has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Makes the file of a recording; what is returned appends a piece of the tape to it.
///
/// Errors: there is such a file already, or it cannot be made.
pub fn create(path: &Path, header: &Header) -> Result<impl FnMut(Vec<u8>) -> Result<(), String> + use<>, String> {
    let failed = |error: io::Error| format!("Cannot record to {}: {}", path.display(), system_reason(&error));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(MAGIC).and_then(|()| write_piece(&mut file, &header.bytes())).map_err(failed)?;
    Ok(move |piece: Vec<u8>| write_piece(&mut file, &piece).map_err(|error| system_reason(&error)))
}

fn hand_over(piece: Vec<u8>, sender: &Sender<InTransit>, shared: &Shared) -> Result<(), String> {
    if let Some(reason) = shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(reason);
    }
    if shared.pending_bytes.fetch_add(piece.len(), Ordering::Relaxed) > PENDING_MAX_BYTES {
        return Err("the disk cannot keep up".to_string());
    }
    // What waits for the disk is not the loop's memory: it would count against the memory limit.
    sender.send(InTransit::new(piece)).map_err(|_| "the thread that writes it is gone".to_string())
}

fn write_pieces(mut file: File, pieces: &Receiver<InTransit>, shared: &Shared) {
    for piece in pieces {
        if let Err(error) = write_piece(&mut file, &piece) {
            *shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(system_reason(&error));
            return;
        }
        shared.pending_bytes.fetch_sub(piece.len(), Ordering::Relaxed);
    }
}

fn write_piece(file: &mut File, piece: &[u8]) -> io::Result<()> {
    let length = u32::try_from(piece.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(piece.len() + 8);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&checksum(piece).to_le_bytes());
    bytes.extend_from_slice(piece);
    file.write_all(&bytes)
}

fn checksum(piece: &[u8]) -> u32 {
    xxh3_64(piece) as u32
}

/// A recording that is read.
#[derive(Debug)]
pub struct RecordingReader {
    file: BufReader<File>,
    pub header: Header,
}

impl RecordingReader {
    /// Opens a recording.
    ///
    /// Errors: it cannot be read, or is none.
    pub fn open(path: &Path) -> Result<RecordingReader, String> {
        let failed = |error: io::Error| format!("Cannot read {}: {}", path.display(), system_reason(&error));
        let mut file = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
        let mut magic = Vec::new();
        file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic).map_err(failed)?;
        let header = (magic == MAGIC).then(|| next_piece(&mut file)).flatten();
        let header = header.as_deref().and_then(Header::of_bytes);
        let header = header.ok_or_else(|| format!("{} is no recording.", path.display()))?;
        Ok(RecordingReader { file, header })
    }

    /// Whether a file begins as recordings do.
    pub fn is_recording(path: &Path) -> bool {
        let mut magic = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut magic));
        read.is_ok() && magic == MAGIC
    }

    /// The next piece of the tape; nothing at its end.
    pub fn next_piece(&mut self) -> Option<Vec<u8>> {
        next_piece(&mut self.file)
    }
}

fn next_piece(file: &mut BufReader<File>) -> Option<Vec<u8>> {
    let (mut length, mut sum) = ([0; 4], [0; 4]);
    file.read_exact(&mut length).ok()?;
    file.read_exact(&mut sum).ok()?;
    let length = u32::from_le_bytes(length);
    if length > PIECE_MAX_BYTES {
        return None;
    }
    let mut piece = Vec::new();
    file.take(length.into()).read_to_end(&mut piece).ok()?;
    let is_whole = piece.len() == length as usize && checksum(&piece) == u32::from_le_bytes(sum);
    is_whole.then_some(piece)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tape::{End, Kind, Player};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    const UNLIMITED: RecordingOptions =
        RecordingOptions { bytes_max: u64::MAX, seconds_max: u64::MAX, digest_period_us: 0 };

    fn header() -> Header {
        Header { version: "1".into(), build: 7, arguments: vec!["oneloop".into(), "--port".into(), "0".into()] }
    }

    /// A recording of these answers, each in a turn of its own.
    fn record(name: &str, answers: u64) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("oneloop-recording-{name}-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let recording = Recording::begin(&path, &header(), UNLIMITED).unwrap();
        for answer in 0..answers {
            tape::pass(Kind::Read, || vec![answer as u8; 1000]);
            assert_eq!(tape::end_turn(), None);
        }
        drop(recording);
        assert!(!tape::is_recording());
        path
    }

    /// How many answers come back until the end.
    fn replay(path: &Path) -> u64 {
        let mut reader = RecordingReader::open(path).unwrap();
        assert_eq!(reader.header, header());
        let on_end = |end: &End| -> std::convert::Infallible { std::panic::panic_any(end.clone()) };
        tape::replay(Player::new(Box::new(move || reader.next_piece()), Box::new(on_end)));
        let mut answers = 0;
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            loop {
                assert_eq!(tape::pass(Kind::Read, Vec::<u8>::new), vec![answers as u8; 1000]);
                tape::end_turn();
                answers += 1;
            }
        }));
        assert!(matches!(ended.unwrap_err().downcast_ref(), Some(End::Complete { .. })));
        tape::remove();
        answers
    }

    #[test]
    fn what_was_recorded_comes_back() {
        let path = record("whole", 2000);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(replay(&path), 2000);
        let again = Recording::begin(&path, &header(), UNLIMITED).err().unwrap();
        assert!(again.contains("File exists"), "{again}");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_recording_ends_at_its_largest_size() {
        let path = std::env::temp_dir().join(format!("oneloop-recording-large-{}", std::process::id()));
        let options = RecordingOptions { bytes_max: 1_000_000, ..UNLIMITED };
        let recording = Recording::begin(&path, &header(), options).unwrap();
        let mut reason = None;
        for _ in 0..2000 {
            tape::pass(Kind::Read, || vec![7; 1000]);
            reason = reason.or(tape::end_turn());
        }
        assert_eq!(reason.as_deref(), Some("the file is as large as it may be"));
        drop(recording);
        let bytes = fs::metadata(&path).unwrap().len();
        assert!((500_000..=1_000_200).contains(&bytes), "{bytes}");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_recording_ends_after_its_longest_time() {
        let path = std::env::temp_dir().join(format!("oneloop-recording-long-{}", std::process::id()));
        let options = RecordingOptions { seconds_max: 3, ..UNLIMITED };
        let recording = Recording::begin(&path, &header(), options).unwrap();
        // A tick is a nanosecond.
        tape::begin_clock(1000, 1 << 40);
        let mut reasons = Vec::new();
        for ticks in [1500, 3_000_000_900, 3_000_001_000, 9_000_000_000] {
            tape::pass_ticks(|| ticks);
            reasons.push(tape::end_turn());
        }
        let reason = "it is as long as it may be".to_string();
        assert_eq!(reasons, [None, None, Some(reason), None]);
        assert!(!tape::is_recording());
        drop(recording);
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_file_that_was_cut_or_damaged_is_good_up_to_there() {
        let path = record("cut", 2000);
        let bytes = fs::read(&path).unwrap();
        let mut last = u64::MAX;
        for length in [bytes.len() - 1, bytes.len() / 2, 300] {
            fs::write(&path, &bytes[..length]).unwrap();
            let answers = replay(&path);
            assert!(answers < last.min(2000), "{answers}");
            last = answers;
        }
        let mut damaged = bytes.clone();
        damaged[bytes.len() / 2] ^= 1;
        fs::write(&path, &damaged).unwrap();
        assert!(replay(&path) < 2000);
        fs::write(&path, b"REDIS0011").unwrap();
        assert!(RecordingReader::open(&path).unwrap_err().contains("is no recording"));
        fs::remove_file(path).unwrap();
    }
}
