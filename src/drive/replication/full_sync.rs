//! Full synchronization: a version is pinned, its position in the log of changes is taken in the same turn, and a job
//! writes it to the sockets, straight or by way of a file.

use std::path::PathBuf;

use bytes::Bytes;

use crate::collections::hash::HashSeed;
use crate::drive::save;
use crate::engine::clients::Clients;
use crate::engine::replication::{FullSync, Stage};
use crate::engine::session::{Close, Token};
use crate::engine::state::ServerState;
use crate::keyspace::{Keyspace, Target};
use crate::replication::payload::MARK_BYTES;
use crate::replication::replicas::{Announced, ReplicaState, SnapshotDelay};
use crate::storage::file::reader::{FileReader, Read};
use crate::storage::file::writer::{FileWriter, WriterOptions};
use crate::storage::rdb::RdbVersion;
use crate::storage::save::{Chunk, FileSave, FileSink, SaveJob, SaveSink, SaveStep, SinkState};
use crate::storage::snapshot::{Origin, Snapshot};

use super::primary;

/// Maximum number of snapshots that are made for replicas at the same time; replicas that come later wait.
const SYNCS_MAX: usize = 4;
/// While so many bytes wait for the socket of one of its replicas a snapshot does not go on.
const PENDING_BYTES_MAX: usize = 512 * 1024;
/// Bytes that are handed to the sockets at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Begins the snapshots that are due, if nothing is half done at the moment.
pub fn begin_due(state: &mut ServerState) {
    // A snapshot does not tell that keys are hidden: replicas that come wait until slots have come.
    while !state.keyspace.hides_slots()
        && !state.is_amid_unit()
        && !state.is_loading()
        && state.replication.primary.syncs.len() < SYNCS_MAX
    {
        let replicas = &state.replication.primary.replicas;
        let due =
            replicas.due_for_snapshot(state.keyspace.has_field_times(), |wish| delay(state, wish), state.now_ms());
        if due.is_empty() {
            // The cron looks again.
            state.replication.primary.wants_sync = false;
            return;
        }
        if !join(state, &due) {
            begin(state, due);
        }
    }
}

/// How long a replica waits for others to share its snapshot. Here it need not, since any number of versions can be
/// pinned: so only a delay that was asked for is kept.
pub fn delay(state: &ServerState, wish: &Announced) -> SnapshotDelay {
    let config = &state.config;
    let is_straight = config.repl_diskless_sync && wish.takes_mark;
    SnapshotDelay {
        delay_ms: if is_straight { config.repl_diskless_sync_delay.asked_for_ms() } else { 0 },
        replicas_max: config.repl_diskless_sync_max_replicas as usize,
    }
}

/// Has replicas share a snapshot of which nothing has left, if there is one that suits them. Says whether there was.
fn join(state: &mut ServerState, clients: &[Token]) -> bool {
    let wishes: Vec<Announced> = clients.iter().filter_map(|client| wish_of(state, *client)).collect();
    let is_straight = state.config.repl_diskless_sync && wishes.iter().any(|wish| wish.takes_mark);
    // They want the same data, and may read different formats.
    let suits = |sync: &&mut Box<FullSync>| sync.can_be_joined() && wishes.iter().all(|wish| sync.suits(wish));
    if is_straight || wishes.is_empty() {
        return false;
    }
    let Some(sync) = state.replication.primary.syncs.iter_mut().find(suits) else { return false };
    let offset = sync.offset;
    sync.members.extend(clients);
    log::info!("Waiting for end of BGSAVE for SYNC");
    for client in clients {
        begin_sending(state, *client, offset);
    }
    true
}

fn wish_of(state: &ServerState, client: Token) -> Option<Announced> {
    Some(state.replication.primary.replicas.get(client)?.announced.clone())
}

/// Pins a version for these replicas, which all want the same, in the newest format that all of them read.
fn begin(state: &mut ServerState, clients: Vec<Token>) {
    let Some(wish) = clients.first().and_then(|client| wish_of(state, *client)) else { return };
    let is_straight = state.config.repl_diskless_sync && wish.takes_mark;
    log::info!("Starting BGSAVE for SYNC with target: {}", if is_straight { "replicas sockets" } else { "disk" });
    let formats = clients.iter().filter_map(|client| state.replication.primary.replicas.get(*client));
    let plain_format = formats.map(|replica| replica.announced.plain_format()).min().unwrap_or(RdbVersion::V10);
    let snapshot = pin(state, &wish, plain_format);
    let version = snapshot.version();
    if wish.reads.is_some_and(|reads| reads < version) {
        let text = format!(
            "Fields of hashes have expiry times, which snapshots of version {} tell: this replica does not read those",
            version.number()
        );
        return refuse(state, &clients, &text);
    }
    let stage = match is_straight {
        true => Ok(straight(state, snapshot)),
        false => to_file(state, snapshot),
    };
    let stage = match stage {
        Ok(stage) => stage,
        Err(error) => {
            log::warn!("Can't save in background: {error}");
            return refuse(state, &clients, "BGSAVE failed, replication can't continue");
        }
    };
    let offset = state.replication_offset();
    for client in &clients {
        begin_sending(state, *client, offset);
        if let Some(replica) = state.replication.primary.replicas.get_mut(*client) {
            replica.may_fail = wish.reads.is_none() && version > RdbVersion::V11;
        }
    }
    if let Stage::Straight { mark, .. } = &stage {
        let head = [b"$EOF:".as_slice(), mark, b"\r\n"].concat();
        push_to(&mut state.clients, &clients, &Bytes::from(head));
    }
    let Announced { functions_only, reads, .. } = wish;
    let sync = FullSync { members: clients, offset, functions_only, version, reads, stage };
    state.replication.primary.syncs.push(Box::new(sync));
    state.replication.primary.has_room = true;
    log::info!("Background RDB transfer started by pid {}", state.machine.process_id());
}

fn pin(state: &ServerState, wish: &Announced, plain_format: RdbVersion) -> Snapshot {
    let origin = Origin::Replication {
        id: state.replication.identity.id.to_string(),
        offset: i64::try_from(state.replication_offset()).unwrap_or(i64::MAX),
        database: Some(state.replication.stream_database()),
    };
    let mut settings = save::snapshot_settings(state, origin);
    settings.version = plain_format;
    settings.is_for_valkey = wish.reads == Some(RdbVersion::Valkey80);
    match wish.functions_only {
        true => Snapshot::pin(&Keyspace::new(1, HashSeed::from_seed(0)), settings),
        false => Snapshot::pin(&state.keyspace, settings),
    }
}

fn straight(state: &mut ServerState, snapshot: Snapshot) -> Stage {
    let mark = state.new_history_id().as_str().as_bytes().try_into().unwrap_or([b'x'; MARK_BYTES]);
    Stage::Straight { job: Box::new(SaveJob::new(snapshot, state.now_ms())), mark }
}

fn to_file(state: &mut ServerState, snapshot: Snapshot) -> std::io::Result<Stage> {
    let path: PathBuf = save::background_snapshot_path(state);
    let options = WriterOptions {
        syncs_in_pieces: state.config.rdb_save_incremental_fsync,
        is_alone: false,
        ..WriterOptions::default()
    };
    let writer = FileWriter::start(&state.disk, &path, options, state.wake.clone())?;
    let job = SaveJob::new(snapshot, state.now_ms());
    Ok(Stage::ToFile { save: Box::new(FileSave { job, sink: FileSink::keeping_name(writer) }), path })
}

/// Tells a replica from where on the stream will go on behind its snapshot, and keeps the stream for it.
fn begin_sending(state: &mut ServerState, client: Token, offset: u64) {
    let now_ms = state.now_ms();
    let id = state.replication.identity.id;
    let log = &mut state.keyspace.changes.propagation.log;
    let Some(replica) = state.replication.primary.replicas.get_mut(client) else { return };
    replica.state = ReplicaState::Sending { is_bulk: false };
    replica.progressed_ms = now_ms;
    if !replica.announced.data_only {
        // The first command behind the snapshot says which database it is for.
        log.begin_anew(Target::Replicas);
        replica.reader = log.attach_at(Target::Replicas, offset);
    }
    if !replica.announced.is_silent {
        state.clients.flush_after(client, |session| {
            session.reply.raw(format!("+FULLRESYNC {id} {offset}\r\n").as_bytes());
        });
    }
}

fn refuse(state: &mut ServerState, clients: &[Token], text: &str) {
    for client in clients {
        if let Some(replica) = state.replication.primary.replicas.get(*client) {
            log::warn!("Can't send replica {} all data: {text}", primary::name(state, replica));
        }
        state.clients.flush_after(*client, |session| {
            // Replicas come again after a second then, and not at once as after other errors.
            session.reply.error(format!("NOMASTERLINK {text}"));
            session.close = Close::AfterReply;
        });
        state.clients.queue_close(*client);
        leave(state, *client);
    }
}

/// A client is no longer a replica.
fn leave(state: &mut ServerState, client: Token) {
    state.forget_replica(client);
}

fn push_to(clients: &mut Clients, members: &[Token], bytes: &Bytes) {
    for member in members {
        clients.flush_after(*member, |session| session.reply.push_shared_chunk(bytes));
    }
}

/// Whether any socket has no room for more.
fn is_full(clients: &Clients, members: &[Token]) -> bool {
    let pending_bytes = |member: &Token| clients.get(*member).map_or(0, |session| session.reply.len());
    members.iter().any(|member| pending_bytes(member) >= PENDING_BYTES_MAX)
}

/// The sockets of the replicas of one snapshot.
struct Sockets<'a> {
    clients: &'a mut Clients,
    members: &'a [Token],
    mark: &'a [u8],
    is_finished: bool,
}

impl SaveSink for Sockets<'_> {
    type Error = ();

    fn state(&mut self) -> SinkState<()> {
        if is_full(self.clients, self.members) { SinkState::Full } else { SinkState::Open }
    }

    fn write(&mut self, chunk: &mut Chunk) {
        let bytes = Bytes::from(chunk.take(Vec::new()));
        push_to(self.clients, self.members, &bytes);
    }

    fn finish(&mut self) {
        push_to(self.clients, self.members, &Bytes::copy_from_slice(self.mark));
        self.is_finished = true;
    }

    fn chunk_bytes(&self) -> usize {
        CHUNK_BYTES
    }
}

/// What a step has come to.
enum Step {
    More,
    Waits,
    Over,
}

/// Goes on with the snapshots that are on their way, a piece of each. Says whether any could go on at once.
pub fn step(state: &mut ServerState) -> bool {
    let mut goes_on = false;
    for mut sync in std::mem::take(&mut state.replication.primary.syncs) {
        match advance(state, &mut sync) {
            Step::More => goes_on = true,
            Step::Waits => {}
            Step::Over => {
                abandon(state, *sync);
                // Others may have waited for this one's place.
                state.replication.primary.wants_sync = true;
                continue;
            }
        }
        state.replication.primary.syncs.push(sync);
    }
    goes_on
}

fn abandon(state: &mut ServerState, sync: FullSync) {
    match sync.stage {
        Stage::Straight { job, .. } => state.saving.abandon(*job),
        // With the sink goes the file.
        Stage::ToFile { save, .. } => state.saving.abandon(save.job),
        Stage::FromFile { .. } | Stage::Sent { .. } => {}
    }
}

fn advance(state: &mut ServerState, sync: &mut FullSync) -> Step {
    let replicas = &state.replication.primary.replicas;
    let is_there = |client: &Token| {
        replicas.get(*client).is_some_and(|replica| matches!(replica.state, ReplicaState::Sending { .. }))
    };
    sync.members.retain(is_there);
    if sync.members.is_empty() {
        if !matches!(sync.stage, Stage::Sent { .. }) {
            log::warn!("Diskless rdb transfer, last replica dropped, killing fork child.");
        }
        return Step::Over;
    }
    match &mut sync.stage {
        Stage::Straight { job, mark } => {
            let pace = save::pace(state);
            let clients = &mut state.clients;
            let mut sockets = Sockets { clients, members: &sync.members, mark, is_finished: false };
            let step = job.step(&mut sockets, pace);
            if sockets.is_finished {
                log::info!("Diskless rdb transfer, done reading from pipe, {} replicas still up.", sync.members.len());
                let Stage::Straight { job, .. } = std::mem::replace(&mut sync.stage, Stage::Sent { is_bulk: false })
                else {
                    return Step::Over;
                };
                state.saving.abandon(*job);
                return Step::More;
            }
            if matches!(step, SaveStep::Waits) { Step::Waits } else { Step::More }
        }
        Stage::ToFile { .. } => write_file(state, sync),
        Stage::FromFile { .. } => send_file(state, sync),
        Stage::Sent { is_bulk } => {
            let is_bulk = *is_bulk;
            end_complete_members(state, &sync.members, is_bulk);
            Step::Waits
        }
    }
}

fn write_file(state: &mut ServerState, sync: &mut FullSync) -> Step {
    let pace = save::pace(state);
    let Stage::ToFile { save, path } = &mut sync.stage else { return Step::Over };
    let reader = match save.step(pace) {
        SaveStep::More => return Step::More,
        SaveStep::Waits => return Step::Waits,
        SaveStep::Complete => {
            log::info!("Background saving terminated with success");
            let reader = FileReader::open(&state.disk, path, state.wake.clone());
            // The open file can still be read, and nothing is left behind if the server ends.
            let _ = state.disk.files().remove(path);
            reader.map_err(|error| error.to_string())
        }
        SaveStep::Failed(failed) => Err(failed.error.to_string()),
    };
    match reader {
        Ok(reader) => {
            let head = format!("${}\r\n", reader.length());
            push_to(&mut state.clients, &sync.members, &Bytes::from(head));
            for client in &sync.members {
                if let Some(replica) = state.replication.primary.replicas.get_mut(*client) {
                    replica.state = ReplicaState::Sending { is_bulk: true };
                }
            }
            let Stage::ToFile { save, .. } = std::mem::replace(&mut sync.stage, Stage::FromFile { reader }) else {
                return Step::Over;
            };
            state.saving.abandon(save.job);
            Step::More
        }
        Err(error) => {
            log::warn!("SYNC failed. BGSAVE child returned an error: {error}");
            let members = std::mem::take(&mut sync.members);
            members.into_iter().for_each(|client| state.clients.kill(client));
            Step::Over
        }
    }
}

fn send_file(state: &mut ServerState, sync: &mut FullSync) -> Step {
    let Stage::FromFile { reader } = &sync.stage else { return Step::Over };
    if is_full(&state.clients, &sync.members) {
        return Step::Waits;
    }
    match reader.read() {
        Read::Chunk(chunk) => push_to(&mut state.clients, &sync.members, &Bytes::from(chunk)),
        Read::NotYet => return Step::Waits,
        Read::End => sync.stage = Stage::Sent { is_bulk: true },
        Read::Failed(error) => {
            log::warn!("Read error sending DB to replica: {error}");
            let members = std::mem::take(&mut sync.members);
            members.into_iter().for_each(|client| state.clients.kill(client));
            return Step::Over;
        }
    }
    Step::More
}

/// The replicas whose sockets have taken everything have the snapshot.
fn end_complete_members(state: &mut ServerState, members: &[Token], is_bulk: bool) {
    let now_ms = state.now_ms();
    for client in members {
        let Some(session) = state.clients.get_mut(*client) else { continue };
        if !session.reply.is_empty() {
            continue;
        }
        state.replication.primary.replicas.on_sent(*client, now_ms);
        state.replication.primary.news += 1;
        let Some(replica) = state.replication.primary.replicas.get(*client) else { continue };
        let name = primary::name(state, replica);
        if replica.announced.data_only {
            log::info!("RDB transfer completed, rdb only replica ({name}) should be disconnected asap");
            state.clients.kill(*client);
        } else if is_bulk {
            log::info!("Synchronization with replica {name} succeeded");
        } else {
            log::info!(
                "Streamed RDB transfer with replica {name} succeeded (socket). Waiting for REPLCONF ACK from replica to \
                 enable streaming"
            );
        }
    }
}
