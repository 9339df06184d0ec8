//! What came to a recorded server, apart from how it was served: clients that come, ask and go, turn by turn.
//!
//! ```text
//! a folder, removed with the scenario     turns       a piece for each turn: length (four bytes), date, events
//!                                         data.rdb    what was loaded from files, if anything was
//! ```
//!
//! It is gathered while the recording is replayed, and lies in a file, so that it takes no memory however long it is.

use std::cell::RefCell;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use slab::Slab;

use crate::base::sys::machine::Machine;
use crate::base::tape::{self, Entry, Input};
use crate::config::system_reason;
use crate::drive::save;
use crate::engine::session::Session;
use crate::engine::state::ServerState;
use crate::net::address::Address;
use crate::net::connection::Connection;
use crate::reactor::watching::{Ran, Watcher};
use crate::storage::snapshot::{Origin, Progress, Snapshot};

use super::figures::Figures;

/// Names that are tried for the folder.
const FOLDERS_MAX: u32 = 100;

/// Something that came to the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Connected { client: u64, address: (String, String, bool) },
    Asked { client: u64, arguments: Vec<Vec<u8>> },
    Closed { client: u64 },
}

const CONNECTED: u8 = 0;
const ASKED: u8 = 1;
const CLOSED: u8 = 2;

impl Event {
    fn read(input: &mut Input<'_>) -> Option<Event> {
        let kind = input.byte()?;
        let client = u64::read(input)?;
        Some(match kind {
            CONNECTED => Event::Connected { client, address: read_address(input)? },
            ASKED => {
                let count = usize::read(input)?;
                Event::Asked { client, arguments: (0..count).map(|_| Vec::read(input)).collect::<Option<_>>()? }
            }
            CLOSED => Event::Closed { client },
            _ => return None,
        })
    }
}

fn read_address(input: &mut Input<'_>) -> Option<(String, String, bool)> {
    Some((String::read(input)?, String::read(input)?, bool::read(input)?))
}

/// What came in one turn.
#[derive(Debug, Default)]
pub struct Turn {
    /// When it began, in µs since the epoch.
    pub date_us: u64,
    pub events: Vec<Event>,
}

/// All that came to a recorded server.
pub struct Scenario {
    /// The recording.
    pub recording: String,
    folder: PathBuf,
    /// What was loaded from files, if anything was.
    pub data: Option<PathBuf>,
    /// Whether the data come from another server.
    follows_primary: bool,
    /// What the recorded server has counted and measured.
    pub figures: Figures,
    pub requests: u64,
}

impl Drop for Scenario {
    fn drop(&mut self) {
        // Whatever is left is in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Scenario {
    /// The turns from the first one on.
    ///
    /// Errors: the text for the user.
    pub fn turns(&self) -> Result<Turns, String> {
        let file = File::open(self.folder.join("turns")).map_err(|error| unusable(&self.folder, &error))?;
        Ok(Turns { file: BufReader::with_capacity(1 << 20, file), piece: Vec::new() })
    }
}

/// A new folder among the temporary ones, which others cannot read.
fn make_folder() -> Result<PathBuf, String> {
    let process = Machine::default().process_id();
    // A process of the same number may have left one behind.
    for attempt in 0..FOLDERS_MAX {
        let folder = std::env::temp_dir().join(format!("oneloop-replay-{process}-{attempt}"));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt + 1 < FOLDERS_MAX => {}
            made => return made.map(|()| folder.clone()).map_err(|error| unusable(&folder, &error)),
        }
    }
    Err("There is no name for a temporary folder.".to_string())
}

fn unusable(folder: &Path, error: &io::Error) -> String {
    format!("Cannot keep the requests in {}: {}", folder.display(), system_reason(error))
}

/// The turns of a scenario.
pub struct Turns {
    file: BufReader<File>,
    piece: Vec<u8>,
}

impl Turns {
    /// The next turn; nothing at the end.
    pub fn next_turn(&mut self) -> Option<Turn> {
        let mut length = [0; 4];
        self.file.read_exact(&mut length).ok()?;
        self.piece.resize(u32::from_le_bytes(length) as usize, 0);
        self.file.read_exact(&mut self.piece).ok()?;
        let mut input = Input(&self.piece);
        let mut turn = Turn { date_us: u64::read(&mut input)?, events: Vec::new() };
        while !input.0.is_empty() {
            turn.events.push(Event::read(&mut input)?);
        }
        Some(turn)
    }
}

/// Gathers a scenario while a recording is replayed.
pub struct Gatherer {
    scenario: Option<Scenario>,
    file: BufWriter<File>,
    events: Vec<u8>,
    /// Requests that come while data are being loaded are refused, whatever they are.
    is_loaded: bool,
    failure: Option<String>,
    busy_ns: u64,
    commands: u64,
}

impl Gatherer {
    /// One that keeps what it gathers in a folder for temporary files.
    ///
    /// Errors: the text for the user.
    pub fn new(recording: &str) -> Result<Gatherer, String> {
        let folder = make_folder()?;
        let failed = |error: io::Error| unusable(&folder, &error);
        let scenario = Scenario {
            recording: recording.to_string(),
            folder: folder.clone(),
            data: None,
            follows_primary: false,
            figures: Figures::default(),
            requests: 0,
        };
        let file = File::create(folder.join("turns")).map_err(failed)?;
        Ok(Gatherer {
            scenario: Some(scenario),
            file: BufWriter::with_capacity(1 << 20, file),
            events: Vec::new(),
            is_loaded: false,
            failure: None,
            busy_ns: 0,
            commands: 0,
        })
    }

    /// What was gathered.
    ///
    /// Errors: the text for the user.
    pub fn finish(&mut self) -> Result<Scenario, String> {
        let Some(scenario) = self.scenario.take() else {
            return Err("The scenario was taken already.".to_string());
        };
        let flushed = self.file.flush().map_err(|error| unusable(&scenario.folder, &error));
        self.failure.take().map_or(flushed, Err)?;
        match scenario.follows_primary {
            true => Err("The recorded server followed a primary, whose stream cannot be run otherwise.".to_string()),
            false => Ok(scenario),
        }
    }

    fn add(&mut self, kind: u8, client: u64) {
        self.events.push(kind);
        client.write(&mut self.events);
    }
}

impl Gatherer {
    fn loaded(&mut self, state: &ServerState) {
        self.is_loaded = true;
        let Some(scenario) = &mut self.scenario else { return };
        if state.keyspace.databases().any(|database| !database.is_empty()) {
            let path = scenario.folder.join("data.rdb");
            match tape::aside(|| write_snapshot(state, &path)) {
                Ok(()) => scenario.data = Some(path),
                Err(error) => self.failure = Some(unusable(&scenario.folder, &error)),
            }
        }
    }

    fn connected(&mut self, session: &Session) {
        self.add(CONNECTED, session.id);
        let Address { peer, local, unix } = &session.address;
        peer.write(&mut self.events);
        local.write(&mut self.events);
        unix.write(&mut self.events);
    }

    fn closed(&mut self, client: u64) {
        self.add(CLOSED, client);
    }

    fn ran(&mut self, ran: &Ran<'_>) {
        if !self.is_loaded {
            return;
        }
        self.add(ASKED, ran.session.id);
        ran.args.len().write(&mut self.events);
        for argument in ran.args.iter() {
            argument.len().write(&mut self.events);
            self.events.extend_from_slice(argument);
        }
        if let Some(scenario) = &mut self.scenario {
            scenario.requests += 1;
        }
    }

    fn turned(&mut self, state: &ServerState) {
        let Some(scenario) = &mut self.scenario else { return };
        scenario.follows_primary |= state.replication.is_replica();
        let (busy_ns, commands) = (state.loop_stats.busy_ns, state.stats.commands);
        let has_run = commands > std::mem::replace(&mut self.commands, commands);
        let turn_ns = busy_ns.saturating_sub(std::mem::replace(&mut self.busy_ns, busy_ns));
        if has_run {
            scenario.figures.note_turn(turn_ns);
        }
        scenario.figures.note_state(state);
        let mut piece = Vec::new();
        state.clock.now_us().write(&mut piece);
        let length = (piece.len() + self.events.len()) as u32;
        let parts = [&length.to_le_bytes()[..], &piece, &self.events];
        let written = parts.into_iter().try_for_each(|part| self.file.write_all(part));
        if let Err(error) = written {
            self.failure.get_or_insert(unusable(&scenario.folder, &error));
        }
        self.events.clear();
    }
}

/// Writes all data to a file, as a snapshot.
fn write_snapshot(state: &ServerState, path: &Path) -> io::Result<()> {
    let mut settings = save::snapshot_settings(state, Origin::Plain);
    settings.compresses = false;
    let mut snapshot = Snapshot::pin(&state.keyspace, settings);
    let mut file = BufWriter::new(File::create(path)?);
    loop {
        let progress = snapshot.step();
        file.write_all(&snapshot.take(Vec::new()))?;
        if progress == Progress::Done {
            return file.flush();
        }
    }
}

/// A gatherer that looks on, and is asked for what it has gathered afterwards.
pub struct Shared(pub Rc<RefCell<Gatherer>>);

impl Watcher for Shared {
    fn loaded(&mut self, state: &mut ServerState) {
        self.0.borrow_mut().loaded(state);
    }

    fn connected(&mut self, session: &Session) {
        self.0.borrow_mut().connected(session);
    }

    fn closed(&mut self, client: u64) {
        self.0.borrow_mut().closed(client);
    }

    fn ran(&mut self, _: &mut ServerState, ran: &Ran<'_>) {
        self.0.borrow_mut().ran(ran);
    }

    fn turned(&mut self, state: &mut ServerState, _: &Slab<Connection>) {
        self.0.borrow_mut().turned(state);
    }
}
