//! The stream on the disk (`repl-log-disk-size`): what replicas have not read, beyond the memory that
//! `client-output-buffer-limit` grants them, goes to files, and from there to their sockets.
//!
//! ```text
//! limits reached   output_limits     notes the replica in `wants_disk`
//! a job            step              take_in     from now on it is sent what is on the disk
//!                                    hand_over   what the log holds beyond half the limit goes to the disk
//!                                    settle      segments that the disk has; one that fails ends it all
//!                                    send        a piece for each replica whose socket has room
//! caught up                          attach      from now on it is sent what is in the log
//! ```
//!
//! Never waits for the disk, and never keeps more in memory than twice the limit: where the disk is too slow, or full,
//! the replicas that need it are disconnected, as they are without it.

use std::collections::VecDeque;
use std::path::PathBuf;

use bytes::Bytes;

use crate::drive::save;
use crate::engine::output_limits;
use crate::engine::replication::spill::{Segment, Spill, SpilledReplica};
use crate::engine::session::Token;
use crate::engine::state::ServerState;
use crate::keyspace::Target;
use crate::replication::replicas::ReplicaState;
use crate::storage::file::reader::{FileReader, Read};
use crate::storage::file::writer::{FileWriter, WriterOptions, WriterState};

use super::primary;

/// Bytes that are handed to the disk at a time, and in one step.
const PIECE_BYTES: usize = 256 * 1024;
const STEP_BYTES: usize = 1024 * 1024;
/// While so many bytes wait for the disk nothing more is handed over.
const PENDING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// While so many bytes wait for the socket of a replica it is sent nothing more.
const UNSENT_BYTES_MAX: usize = 512 * 1024;
/// A segment is this part of all that may be on the disk, within these bounds.
const SEGMENT_PART: u64 = 8;
const SEGMENT_MIN_BYTES: u64 = 64 * 1024;
const SEGMENT_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Whether anything can go on at once.
type GoesOn = bool;

/// Goes on with what is on the disk, and with what is to go there. Says whether anything can go on at once.
pub fn step(state: &mut ServerState) -> GoesOn {
    for client in std::mem::take(&mut state.replication.primary.wants_disk) {
        if !take_in(state, client) {
            primary::close_behind(state, client);
        }
    }
    let Some(mut spill) = state.replication.primary.spill.take() else { return false };
    let outcome = advance(state, &mut spill);
    let is_over = outcome.is_err() || spill.members.is_empty();
    if let Err(reason) = &outcome {
        log::warn!("Can't keep the stream on the disk for replicas that are behind, which are disconnected: {reason}");
        spill.members.drain(..).for_each(|member| primary::close_behind(state, member.client));
    }
    state.replication.primary.spill = Some(spill);
    if is_over {
        state.end_spill();
    }
    outcome.unwrap_or(false)
}

/// A replica is too far behind for the memory: it is sent what is on the disk from now on. Says whether that can be.
fn take_in(state: &mut ServerState, client: Token) -> bool {
    if state.replication.primary.spill.is_none() && !begin(state) {
        return false;
    }
    let log = &mut state.keyspace.changes.propagation.log;
    let primary = &mut state.replication.primary;
    let reader = primary.replicas.get_mut(client).and_then(|replica| replica.reader.take());
    let (Some(reader), Some(spill)) = (reader, &mut primary.spill) else { return false };
    let sent = log.count_of(Target::Replicas) - log.unread_bytes(&reader);
    log.detach(reader);
    if sent < spill.segments.front().map_or(spill.handed, |oldest| oldest.begin) {
        return false;
    }
    spill.members.push(SpilledReplica { client, sent, reader: None });
    if let Some(session) = state.clients.get_mut(client) {
        session.soft_limit_since_ms = 0;
    }
    let behind = state.replication_offset() - sent;
    if let Some(replica) = state.replication.primary.replicas.get(client) {
        let name = primary::name(state, replica);
        log::info!("Replica {name} is {behind} bytes behind: what it has not read of the stream goes to the disk");
    }
    true
}

/// Begins with the byte that the slowest replica is at, so that there is no gap for any of them.
fn begin(state: &mut ServerState) -> bool {
    let log = &mut state.keyspace.changes.propagation.log;
    let readers = state.replication.primary.replicas.iter().filter_map(|replica| replica.reader.as_ref());
    let Some(unread) = readers.map(|reader| log.unread_bytes(reader)).max() else { return false };
    let handed = log.count_of(Target::Replicas) - unread;
    let Some(reader) = log.attach_at(Target::Replicas, handed) else { return false };
    let spill = Spill { segments: VecDeque::new(), reader, handed, members: Vec::new() };
    state.replication.primary.spill = Some(Box::new(spill));
    true
}

fn advance(state: &mut ServerState, spill: &mut Spill) -> Result<GoesOn, String> {
    let mut goes_on = hand_over(state, spill)?;
    settle(spill)?;
    let mut index = 0;
    while let Some(member) = spill.members.get_mut(index) {
        match send(state, &mut spill.segments, spill.handed, member) {
            Sending::GoesOn => goes_on = true,
            Sending::Waits => {}
            Sending::Over => {
                spill.members.remove(index);
                continue;
            }
            Sending::Failed(reason) => {
                log::warn!("Can't read the stream from the disk for a replica: {reason}");
                primary::close_behind(state, member.client);
                spill.members.remove(index);
                continue;
            }
        }
        index += 1;
    }
    drop_passed(state, spill);
    Ok(goes_on)
}

/// Hands to the disk what is in the log beyond half of what a replica may be behind in memory.
fn hand_over(state: &mut ServerState, spill: &mut Spill) -> Result<GoesOn, String> {
    let limit_bytes = output_limits::replica_limit_bytes(state).unwrap_or(u64::MAX);
    let stream_end = state.stream_end();
    let mut budget = STEP_BYTES;
    loop {
        let log = &state.keyspace.changes.propagation.log;
        let unread = log.unread_bytes(&spill.reader);
        let pending = spill.pending_bytes();
        if unread + pending as u64 > limit_bytes.saturating_mul(2) {
            return Err("the disk is too slow".into());
        }
        if unread <= limit_bytes / 2 || pending >= PENDING_BYTES_MAX {
            return Ok(false);
        }
        if budget == 0 {
            return Ok(true);
        }
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        for bytes in log.unread_up_to(&spill.reader, stream_end) {
            let room = PIECE_BYTES - piece.len();
            piece.extend_from_slice(&bytes[..room.min(bytes.len())]);
        }
        if piece.is_empty() {
            // The append-only file has to know it first.
            return Ok(false);
        }
        budget = budget.saturating_sub(piece.len());
        state.keyspace.changes.propagation.log.advance(&spill.reader, piece.len());
        make_room(state, spill, piece.len() as u64);
        write(state, spill, piece).map_err(|error| error.to_string())?;
    }
}

/// While there is no room for so many bytes the replicas go that need the oldest segment, and the segment with them.
fn make_room(state: &mut ServerState, spill: &mut Spill, bytes: u64) {
    while spill.disk_bytes() + bytes > state.config.repl_log_disk_size
        && let Some(oldest) = spill.segments.front()
    {
        let end = oldest.end;
        spill.members.retain(|member| {
            if member.sent < end {
                primary::close_behind(state, member.client);
            }
            member.sent >= end
        });
        remove_oldest(state, spill);
    }
}

fn write(state: &mut ServerState, spill: &mut Spill, piece: Vec<u8>) -> std::io::Result<()> {
    if spill.segments.back().is_none_or(|segment| segment.is_sealed) {
        let path = segment_path(state);
        let options = WriterOptions { syncs_in_pieces: false, is_alone: false, ..WriterOptions::default() };
        let writer = FileWriter::start(&state.disk, &path, options, state.wake.clone())?;
        let (begin, end) = (spill.handed, spill.handed);
        spill.segments.push_back(Segment { path, begin, end, writer: Some(writer), is_sealed: false });
    }
    let part = state.config.repl_log_disk_size / SEGMENT_PART;
    spill.handed += piece.len() as u64;
    if let Some(segment) = spill.segments.back_mut() {
        segment.end = spill.handed;
        if let Some(writer) = &segment.writer {
            writer.write(piece);
        }
        if segment.end - segment.begin >= part.clamp(SEGMENT_MIN_BYTES, SEGMENT_MAX_BYTES) {
            segment.seal();
        }
    }
    Ok(())
}

/// A name for a segment, in the folder of the snapshots.
fn segment_path(state: &mut ServerState) -> PathBuf {
    state.saving.files += 1;
    let name = format!("temp-stream-{}.{}", state.machine.process_id(), state.saving.files);
    save::snapshot_path(state).with_file_name(name)
}

/// Notes which segments the disk has by now.
fn settle(spill: &mut Spill) -> Result<(), String> {
    for segment in &mut spill.segments {
        match segment.writer.as_ref().map(FileWriter::state) {
            Some(WriterState::Complete) => segment.writer = None,
            Some(WriterState::Failed(failed)) => return Err(failed.to_string()),
            Some(WriterState::Writing) | None => {}
        }
    }
    Ok(())
}

/// What sending a replica what is on the disk has come to.
enum Sending {
    GoesOn,
    /// For its socket, for the disk, or for its snapshot.
    Waits,
    /// It is sent the log's bytes from now on, or is gone.
    Over,
    Failed(String),
}

fn send(
    state: &mut ServerState,
    segments: &mut VecDeque<Segment>,
    handed: u64,
    member: &mut SpilledReplica,
) -> Sending {
    let Some(replica) = state.replication.primary.replicas.get(member.client) else { return Sending::Over };
    let unsent = state.clients.get(member.client).map_or(0, |session| session.reply.len());
    if replica.state != ReplicaState::Online || unsent >= UNSENT_BYTES_MAX {
        return Sending::Waits;
    }
    if member.sent >= handed {
        return attach(state, member);
    }
    let Some(segment) = segments.iter_mut().find(|segment| segment.end > member.sent) else {
        return Sending::Failed("a part of it is not there".into());
    };
    segment.seal();
    if segment.writer.is_some() {
        return Sending::Waits;
    }
    let (reader, at) = match &mut member.reader {
        Some(reading) => reading,
        None => match FileReader::open(&state.disk, &segment.path, state.wake.clone()) {
            Ok(reader) => member.reader.insert((reader, segment.begin)),
            Err(error) => return Sending::Failed(error.to_string()),
        },
    };
    match reader.read() {
        Read::Chunk(chunk) => {
            let skipped = usize::try_from(member.sent - *at).unwrap_or(usize::MAX).min(chunk.len());
            *at += chunk.len() as u64;
            member.sent = member.sent.max(*at);
            let bytes = Bytes::from(chunk).slice(skipped..);
            state.stats.replication_output_bytes += bytes.len() as u64;
            state.clients.flush_after(member.client, |session| session.reply.push_shared_chunk(&bytes));
            if member.sent == segment.end {
                member.reader = None;
            }
            Sending::GoesOn
        }
        Read::NotYet => Sending::Waits,
        Read::End => Sending::Failed("it ends early".into()),
        Read::Failed(error) => Sending::Failed(error.to_string()),
    }
}

/// A replica has caught up with what is in memory.
fn attach(state: &mut ServerState, member: &SpilledReplica) -> Sending {
    let reader = state.keyspace.changes.propagation.log.attach_at(Target::Replicas, member.sent);
    let Some(reader) = reader else { return Sending::Failed("what follows is gone".into()) };
    if let Some(replica) = state.replication.primary.replicas.get_mut(member.client) {
        replica.reader = Some(reader);
    }
    if let Some(replica) = state.replication.primary.replicas.get(member.client) {
        log::info!("Replica {} has read what was on the disk of the stream", primary::name(state, replica));
    }
    state.clients.flush_after(member.client, |_| {});
    Sending::Over
}

/// Removes the segments that no replica needs any more, nor would if it came to need the disk.
fn drop_passed(state: &ServerState, spill: &mut Spill) {
    let log = &state.keyspace.changes.propagation.log;
    let readers = state.replication.primary.replicas.iter().filter_map(|replica| replica.reader.as_ref());
    let read = readers.map(|reader| log.count_of(Target::Replicas) - log.unread_bytes(reader));
    let needed = spill.members.iter().map(|member| member.sent).chain(read).min().unwrap_or(u64::MAX);
    while spill.segments.front().is_some_and(|oldest| oldest.end <= needed) {
        remove_oldest(state, spill);
    }
}

fn remove_oldest(state: &ServerState, spill: &mut Spill) {
    if let Some(segment) = spill.segments.pop_front() {
        state.remove_segment(segment);
    }
}
