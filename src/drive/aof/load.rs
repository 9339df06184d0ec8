//! Loading: the base and what was appended since are read in slices, and every command is carried out once more.
//!
//! Nothing expires meanwhile: what had expired was passed on as removed, and what had not yet was still there for the
//! commands that follow.

use crate::drive::save::loading;
use std::collections::VecDeque;
use std::ops::Range;

use smallvec::SmallVec;

use crate::acl::Users;
use crate::base::logging;
use crate::base::wake::Wake;
use crate::config::system_reason;
use crate::drive::script::run;
use crate::engine::apply;
use crate::engine::enforcement;
use crate::engine::history::LoadedHistory;
use crate::engine::loading::LoadingStep;
use crate::engine::loading::Replay;
use crate::engine::origin::Origin;
use crate::engine::session::{Session, Token};
use crate::engine::state::ServerState;
use crate::net::address::Address;
use crate::replication::{Position, ReplicationId};
use crate::resp::{Args, Protocol, Reply};
use crate::scripting::functions::RestorePolicy;
use crate::storage::aof::history::HistoryMark;
use crate::storage::aof::{AppendedReader, Found, Manifest};
use crate::storage::file::reader::{FileReader, Read};
use crate::storage::snapshot::{Duplicates, LoadStep, Loader};

use crate::storage::aof::part::{Content, Open, PartToLoad};
use crate::storage::aof::paths::AofPaths;
use crate::storage::aof::size_estimator::SizeEstimator;

/// Commands carried out in one step.
const STEP_COMMANDS: usize = 32;
/// A token that no client has.
const NOBODY: Token = Token { slot: u32::MAX, generation: 0 };
/// Arguments of a command that need no allocation.
const WORDS_INLINE: usize = 16;

impl Replay {
    /// What the manifest lists is to be loaded.
    ///
    /// # Errors
    ///
    /// The text for the log: a file is not there.
    pub fn new(state: &ServerState, places: AofPaths, manifest: &Manifest, wake: Wake) -> Result<Replay, String> {
        let mut sizes = Vec::new();
        for part in manifest.parts() {
            let path = places.part(&part.name);
            match state.disk.files().length(&path) {
                Ok(bytes) => sizes.push(bytes),
                Err(error) => {
                    return Err(format!(
                        "Unable to obtain the AOF file {} length. stat: {}",
                        logging::whole_path(&path),
                        system_reason(&error)
                    ));
                }
            }
        }
        let parts = manifest.parts().enumerate();
        let parts = parts.map(|(index, part)| PartToLoad {
            name: part.name.clone(),
            is_base: index == 0 && manifest.base.is_some(),
        });
        let now_ms = state.now_ms();
        let user = Users::unrestricted(enforcement::acl_context(state));
        let session = Box::new(Session::new(0, NOBODY, Address::default(), now_ms, user, Origin::Replay));
        Ok(Replay {
            parts: parts.collect(),
            places,
            open: None,
            session,
            reply: Reply::new(Protocol::Resp2),
            transaction: None,
            pending: VecDeque::new(),
            wake,
            started_ms: now_ms,
            started_us: state.clock.monotonic_us(),
            total_bytes: sizes.iter().sum(),
            done_bytes: 0,
            used_memory: 0,
            sizes,
            history: None,
            is_marked: false,
        })
    }

    /// A mark says how far the history had come.
    fn note_history(&mut self, mark: HistoryMark) {
        let id = match mark.id {
            Some(id) => ReplicationId::parse(id.as_bytes()),
            None => self.history.map(|history| history.position.id),
        };
        self.is_marked = id.is_some();
        self.history = id
            .map(|id| LoadedHistory { position: Position { id, offset: mark.offset }, database: Some(mark.database) });
    }

    /// The place in a history that the file ends with, if it says so.
    pub fn history(&self) -> Option<LoadedHistory> {
        self.history.filter(|_| self.is_marked)
    }

    /// Bytes of each part.
    pub fn sizes(&self) -> &[u64] {
        &self.sizes
    }

    /// Loads a piece: some ten microseconds' worth, or one command. With `waits` it waits for the disk rather than
    /// saying so.
    ///
    /// # Errors
    ///
    /// The text for the log. What was loaded before stays in the keyspace.
    pub fn step(&mut self, state: &mut ServerState, waits: bool) -> Result<LoadingStep, String> {
        let Some(mut open) = self.open.take() else {
            return self.open_next(state);
        };
        let stepped = match &mut open.content {
            Content::Unknown => Ok(Stepped::NeedsInput),
            Content::Snapshot(loader) => self.load_snapshot(state, &open.path, loader),
            Content::Commands(_) => {
                let policy = self.session.policy;
                state.with_policy(policy, |state| self.run_commands(state, &mut open))
            }
        }?;
        match stepped {
            Stepped::More => {}
            Stepped::NeedsScript if waits => {
                run::resume(state);
            }
            Stepped::NeedsScript => {
                self.open = Some(open);
                return Ok(LoadingStep::Waits);
            }
            Stepped::SnapshotDone => open.begin_commands(),
            Stepped::NeedsInput if open.has_ended => {
                self.end_part(state, open)?;
                return Ok(LoadingStep::More);
            }
            Stepped::NeedsInput => {
                let read = if waits { open.file.wait() } else { open.file.read() };
                if !self.take_in(state, &mut open, read)? {
                    self.open = Some(open);
                    return Ok(LoadingStep::Waits);
                }
            }
        }
        self.open = Some(open);
        Ok(LoadingStep::More)
    }

    fn open_next(&mut self, state: &ServerState) -> Result<LoadingStep, String> {
        let Some(part) = self.parts.pop_front() else {
            let elapsed_us = state.clock.monotonic_us() - self.started_us;
            log::info!("DB loaded from append only file: {:.3} seconds", elapsed_us as f64 / 1e6);
            return Ok(LoadingStep::Done);
        };
        let path = self.places.part(&part.name);
        let file = FileReader::open(&state.disk, &path, self.wake.clone()).map_err(|error| {
            format!(
                "Fatal error: can't open the append log file {} for reading: {}",
                logging::whole_path(&path),
                system_reason(&error)
            )
        })?;
        self.open = Some(Open {
            part,
            path,
            file,
            content: Content::Unknown,
            started_us: state.clock.monotonic_us(),
            begin: 0,
            valid: 0,
            size_estimator: SizeEstimator::default(),
            has_ended: false,
        });
        // Each part says which database it is for.
        self.session.database = 0;
        Ok(LoadingStep::More)
    }

    /// Takes in what was read; says whether there was anything.
    fn take_in(&mut self, state: &ServerState, open: &mut Open, read: Read) -> Result<bool, String> {
        match read {
            Read::NotYet => return Ok(false),
            Read::Chunk(chunk) => {
                if let Content::Unknown = open.content {
                    let input_bytes = open.file.length();
                    open.content =
                        Open::content_of(&chunk, || loading::loader_settings(state, Duplicates::Refuse, input_bytes));
                }
                match &mut open.content {
                    Content::Unknown => {}
                    Content::Snapshot(loader) => loader.feed(&chunk),
                    Content::Commands(reader) => reader.feed(&chunk),
                }
                open.file.give_back(chunk);
            }
            Read::End => {
                open.has_ended = true;
                if let Content::Snapshot(loader) = &mut open.content {
                    loader.end_input();
                }
            }
            Read::Failed(error) => {
                return Err(format!(
                    "Unrecoverable error reading the append only file {}: {}",
                    logging::whole_path(&open.path),
                    system_reason(&error)
                ));
            }
        }
        Ok(true)
    }

    fn load_snapshot(
        &mut self,
        state: &mut ServerState,
        path: &std::path::Path,
        loader: &mut Loader,
    ) -> Result<Stepped, String> {
        let step = loader.step(&mut state.keyspace).map_err(|error| {
            log::warn!("Bad snapshot at offset {}: {}", error.offset, error.reason());
            format!("Error reading the RDB base file {}, AOF loading aborted", logging::whole_path(path))
        })?;
        Ok(match step {
            LoadStep::More => Stepped::More,
            LoadStep::NeedsInput => Stepped::NeedsInput,
            LoadStep::Done => {
                self.used_memory = loader.notes.used_memory.unwrap_or(0);
                loading::note_loaded(state, loader, RestorePolicy::Append)?;
                Stepped::SnapshotDone
            }
        })
    }

    fn run_commands(&mut self, state: &mut ServerState, open: &mut Open) -> Result<Stepped, String> {
        if let Some(stepped) = self.run_pending(state, &open.part)? {
            return Ok(stepped);
        }
        let Content::Commands(reader) = &mut open.content else {
            return Ok(Stepped::More);
        };
        reader.forget();
        let mut found: SmallVec<[Coming; STEP_COMMANDS]> = SmallVec::new();
        let mut outcome = Ok(Stepped::More);
        while found.len() < STEP_COMMANDS {
            match reader.find_more() {
                Ok(Found::Command) => {
                    self.is_marked = false;
                    found.push(self.fetch(state, reader));
                }
                Ok(Found::History(mark)) => self.note_history(mark),
                Ok(Found::Time(_) | Found::BadTime | Found::Annotation) => {}
                Ok(Found::Incomplete) => {
                    outcome = Ok(Stepped::NeedsInput);
                    break;
                }
                Err(malformed) => {
                    outcome = Err(open.part.bad_format(&malformed));
                    break;
                }
            }
        }
        let (keyspace, database) = (&state.keyspace, self.session.database);
        let hashes = || found.iter().filter_map(|coming| Some(coming.key?.1));
        hashes().for_each(|hash| keyspace.prefetch_bucket(database, hash));
        hashes().for_each(|hash| keyspace.prefetch_record(database, hash));
        for coming in found {
            let end = coming.end;
            self.take_command(state, reader, coming, &open.part)?;
            if self.transaction.is_none() {
                open.valid = open.begin + end;
            }
        }
        let loaded = open.begin + reader.offset();
        if self.transaction.is_none() && outcome.is_ok() {
            open.valid = loaded;
        }
        let (keyspace, database) = (&mut state.keyspace, self.session.database);
        let length = open.file.length();
        open.size_estimator.update(keyspace, database, loaded, length);
        match self.is_put_off(state) && outcome.is_ok() {
            true => Ok(Stepped::More),
            false => outcome,
        }
    }

    /// Whether commands wait for a script that takes long: what follows builds on what it does. A job takes it further.
    fn is_put_off(&self, state: &ServerState) -> bool {
        state.scripting.busy().is_some() || !self.pending.is_empty()
    }

    /// Carries commands out that were put off; gives what the step has come to, if there were any.
    fn run_pending(&mut self, state: &mut ServerState, part: &PartToLoad) -> Result<Option<Stepped>, String> {
        for _ in 0..STEP_COMMANDS {
            if state.scripting.busy().is_some() {
                return Ok(Some(Stepped::NeedsScript));
            }
            let Some(next) = self.pending.pop_front() else {
                return Ok(None);
            };
            self.run(state, next.as_args(), part)?;
        }
        Ok(Some(Stepped::More))
    }

    fn run_or_put_off(&mut self, state: &mut ServerState, args: Args<'_>, part: &PartToLoad) -> Result<(), String> {
        if self.is_put_off(state) {
            self.pending.push_back(args.to_owned());
            return Ok(());
        }
        self.run(state, args, part)
    }

    /// Has what the command found last will look up brought near: the next one is found meanwhile.
    fn fetch(&self, state: &ServerState, reader: &AppendedReader) -> Coming {
        let database = self.session.database;
        let subject = (reader.len() > 1).then(|| reader.argument(1));
        let command = state.commands.resolve(reader.argument(0), subject);
        let place = command.map_or(0, |command| command.first_key as usize);
        let key = (place > 0 && place < reader.len()).then(|| {
            let hash = state.keyspace.hash(reader.argument(place));
            state.keyspace.prefetch_segment(database, hash);
            (place, hash)
        });
        Coming { arguments: reader.last_arguments(), end: reader.offset(), key }
    }

    /// Carries a command out, unless it is part of a transaction, whose commands are carried out at its end.
    fn take_command(
        &mut self,
        state: &mut ServerState,
        reader: &AppendedReader,
        coming: Coming,
        part: &PartToLoad,
    ) -> Result<(), String> {
        let words: SmallVec<[&[u8]; WORDS_INLINE]> = reader.arguments_at(coming.arguments).collect();
        let args = Args::from_slices(&words);
        let is = |name: &str| args.len() == 1 && args.at(0).eq_ignore_ascii_case(name.as_bytes());
        if is("multi") {
            // One within another changes nothing.
            self.transaction.get_or_insert_default();
            return Ok(());
        }
        if is("exec") {
            for queued in self.transaction.take().unwrap_or_default() {
                self.run_or_put_off(state, queued.as_args(), part)?;
            }
            return Ok(());
        }
        match &mut self.transaction {
            Some(queued) => {
                queued.push(args.to_owned());
                Ok(())
            }
            None => {
                if let Some((place, hash)) = coming.key {
                    state.keyspace.remember_hash(args.at(place), hash);
                }
                let result = self.run_or_put_off(state, args, part);
                state.keyspace.forget_hash();
                result
            }
        }
    }

    fn run(&mut self, state: &mut ServerState, args: Args<'_>, part: &PartToLoad) -> Result<(), String> {
        let resolved = state.commands.resolve(args.at(0), args.get(1)).map(|command| command.id);
        let applied = apply::apply(state, &mut self.session, &mut self.reply, args, resolved);
        self.reply.clear();
        self.session.blocked = None;
        match applied {
            Ok(_) => Ok(()),
            Err(_) => Err(format!(
                "Unknown command '{}' reading the append only file {}",
                String::from_utf8_lossy(args.at(0)),
                part.name
            )),
        }
    }

    fn end_part(&mut self, state: &mut ServerState, mut open: Open) -> Result<(), String> {
        open.size_estimator.end(&mut state.keyspace);
        self.done_bytes += open.file.length();
        // What a rewrite has listed and not begun to append to when the server ended is empty, and may stand behind it.
        let behind = self.sizes.len() - self.parts.len();
        let is_last = self.sizes[behind..].iter().all(|size| *size == 0);
        if open.is_torn(self.transaction.take().is_some()) {
            let may_cut = state.config.aof_load_truncated;
            if !is_last && may_cut {
                return Err("Fatal error: the truncated file is not the last file".to_string());
            }
            open.cut_off_torn(&state.disk, may_cut)?;
            self.note_cut(behind, &open);
        } else if is_last && open.ends_in_annotation() {
            log::warn!(
                "Cutting an annotation without a line end off the AOF {} at offset {}",
                open.part.name,
                open.valid
            );
            open.cut_off(&state.disk)?;
            self.note_cut(behind, &open);
        }
        let elapsed_us = state.clock.monotonic_us() - open.started_us;
        log::info!(
            "DB loaded from {} file {}: {:.3} seconds",
            if open.part.is_base { "base" } else { "incr" },
            open.part.name,
            elapsed_us as f64 / 1e6
        );
        Ok(())
    }

    /// The part in front of the place `behind` is shorter now.
    fn note_cut(&mut self, behind: usize, open: &Open) {
        if let Some(size) = behind.checked_sub(1).and_then(|at| self.sizes.get_mut(at)) {
            *size = open.valid;
        }
    }
}

/// A command that was found and is not carried out yet.
struct Coming {
    arguments: Range<usize>,
    /// Where it ends.
    end: u64,
    /// Which argument is its first key, and the hash of that.
    key: Option<(usize, u64)>,
}

/// What a step of a part has come to.
enum Stepped {
    More,
    NeedsInput,
    /// A script must come to its end first.
    NeedsScript,
    SnapshotDone,
}
