//! The source's side: the connection to the target, the pinned keys, the changes behind them.

use crate::cluster::migration::export::Owner;
use crate::cluster::migration::{ExportAction, ExportJob, JobName, SlotRanges};
use crate::cluster::node::Now;
use crate::cluster::{NodeId, SlotSet};
use crate::command::error::CommandError;
use crate::drive::cluster::migration::{migrations, owner_of, retire, settings};
use crate::drive::cluster::now;
use crate::drive::save;
use crate::engine::loop_request::LoopRequest;
use crate::engine::slot_migrations::{Changes, Export, Migration};
use crate::engine::state::ServerState;
use crate::net::outbound::{Failure, LinkEvent, LinkOptions, LinkOwner, Outbounds, Progress};
use crate::net::tls::Connector;
use crate::net::token::Token;
use crate::storage::aof::CommandDump;
use crate::storage::save::{Chunk, SaveJob, SaveSink, SaveStep, SinkState};

use crate::cluster::migration::Message;

/// While so many bytes wait for the socket nothing more is handed to it.
const PENDING_BYTES_MAX: usize = 512 * 1024;
/// Bytes of the snapshot that are handed to the socket at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Messages of the target are short: more than this never waits.
const INPUT_MAX_BYTES: usize = 64 * 1024;

/// Begins to move slots of this node to another one.
pub fn begin(state: &mut ServerState, ranges: SlotRanges, target: NodeId) {
    let (now, settings) = (now(state), settings(state));
    let name = JobName::random(&mut state.random);
    let (auth, user) = (state.config.masterauth.clone(), state.config.masteruser.clone());
    let login = match (auth.is_empty(), user.is_empty()) {
        (true, _) => None,
        (false, true) => Some(vec![b"AUTH".as_slice(), &auth]),
        (false, false) => Some(vec![b"AUTH".as_slice(), &user, &auth]),
    };
    let Some(cluster) = &mut state.cluster else { return };
    let source = cluster.member.table().myself().id;
    let machine = ExportJob::new(name, ranges, (source, target), settings, now).with_login(login);
    log::info!("Slot migration initiated through CLUSTER MIGRATESLOTS command: {}", machine.job.description());
    let export = Export { machine, connection: None, snapshot: None, changes: None };
    let number = cluster.slot_migrations.add(Migration::Export(Box::new(export)));
    change(state, number, |_, _| {});
}

/// Changes a job, and carries out the actions that it asks for.
fn change(state: &mut ServerState, number: u64, change: impl FnOnce(&mut ExportJob, Now)) {
    let now = now(state);
    let Some(export) = migrations(state).and_then(|migrations| migrations.export_mut(number)) else { return };
    change(&mut export.machine, now);
    for action in export.machine.take_actions() {
        carry_out(state, number, action);
    }
    retire(state, number);
}

fn carry_out(state: &mut ServerState, number: u64, action: ExportAction) {
    match action {
        ExportAction::Connect => connect(state, number),
        ExportAction::Close => close(state, number),
        ExportAction::Send(bytes) => {
            if let Some(token) = connection(state, number) {
                state.outbounds.write_with(token, |output| output.extend_from_slice(&bytes));
            }
        }
        ExportAction::SendBehind(message) => {
            let export = migrations(state).and_then(|migrations| migrations.export_mut(number));
            if let Some(changes) = export.and_then(|export| export.changes.as_mut()) {
                changes.push_message(message);
            }
        }
        ExportAction::BeginSnapshot => begin_snapshot(state, number),
        ExportAction::DropData => drop_data(state, number),
        ExportAction::HoldWrites => hold(state, number, true),
        ExportAction::ReleaseWrites => hold(state, number, false),
        ExportAction::Log(level, text) => log::log!(level, "{text}"),
    }
}

fn connection(state: &mut ServerState, number: u64) -> Option<Token> {
    migrations(state)?.export_mut(number)?.connection
}

fn connect(state: &mut ServerState, number: u64) {
    let now_ms = state.now_ms();
    let options = LinkOptions {
        connect_ms: u64::from(state.config.repl_timeout) * 1000,
        // The job looks after that itself.
        idle_ms: u64::MAX,
        progress: Progress::EitherWay,
        input_max_bytes: INPUT_MAX_BYTES,
        // The job looks after that as well.
        output_max_bytes: usize::MAX,
    };
    let is_tls = state.config.tls_replication;
    let address = state.cluster.as_ref().and_then(|cluster| {
        let (_, export) = cluster.slot_migrations.exports().find(|(other, _)| *other == number)?;
        let table = cluster.member.table();
        let node = table.get(table.find(&export.machine.job.target?)?)?;
        Some((node.address.ip.clone(), node.address.base_port(is_tls)))
    });
    let Some((ip, port)) = address else {
        return change(state, number, |job, now| {
            job.fail("Unable to connect to target node: target node not found", now)
        });
    };
    let token = state.outbounds.open(&ip, port, options, LinkOwner::SlotExport(number), now_ms);
    if let Some(export) = migrations(state).and_then(|migrations| migrations.export_mut(number)) {
        export.connection = Some(token);
    }
    if is_tls {
        let now_s = state.clock.now_ms() / 1000;
        let connector = Connector::new(&state.config);
        let session = connector.and_then(|connector| connector.begin(&ip, now_s).map_err(|error| error.to_string()));
        match session {
            Ok(session) => state.outbounds.encrypt(token, session),
            Err(reason) => unreachable(state, number, &reason),
        }
    }
}

fn unreachable(state: &mut ServerState, number: u64, reason: &str) {
    change(state, number, |job, now| job.fail(&format!("Unable to connect to target node: {reason}"), now));
}

fn close(state: &mut ServerState, number: u64) {
    let export = migrations(state).and_then(|migrations| migrations.export_mut(number));
    if let Some(token) = export.and_then(|export| export.connection.take()) {
        state.outbounds.close(token);
    }
}

/// Handles an event of the connection to a target.
pub fn take_event(state: &mut ServerState, number: u64, token: Token, event: LinkEvent) {
    if connection(state, number) != Some(token) {
        return state.outbounds.close(token);
    }
    match event {
        LinkEvent::Connected => change(state, number, ExportJob::on_connected),
        LinkEvent::Received => receive(state, number, token),
        LinkEvent::Flushed => {
            // The job that sends the snapshot can go on.
            state.saving.wake();
            send_changes(state, number);
            let pending_bytes = pending_bytes(state, number);
            change(state, number, |job, now| job.on_pending(pending_bytes, now));
        }
        LinkEvent::Failed(failure) => match failure {
            Failure::UnknownHost => unreachable(state, number, "unknown host"),
            Failure::Unreachable(kind) => unreachable(state, number, &kind.to_string()),
            Failure::Closed | Failure::Broken(_) | Failure::Overflow => lose(state, number),
        },
        LinkEvent::TimedOut => unreachable(state, number, "connection timed out"),
    }
}

fn lose(state: &mut ServerState, number: u64) {
    close(state, number);
    change(state, number, ExportJob::on_closed);
}

/// Takes the target's messages. While a unit is open they wait: its changes come first, and the target may take the
/// slots as soon as it gets the reply.
fn receive(state: &mut ServerState, number: u64, token: Token) {
    if state.is_amid_unit() {
        return;
    }
    let pending_bytes = pending_bytes(state, number);
    let (input, consumed) = state.outbounds.lend_input(token);
    let mut used = 0;
    change(state, number, |job, now| used = job.on_received(&input[consumed..], pending_bytes, now));
    state.outbounds.return_input(token, input, consumed + used);
}

/// Bytes of changes and of messages that wait to be sent, the snapshot's that the socket has not taken included.
fn pending_bytes(state: &mut ServerState, number: u64) -> u64 {
    let export = migrations(state).and_then(|migrations| migrations.export_mut(number));
    let Some(export) = export else { return 0 };
    let waiting = export.changes.as_ref().map_or(0, Changes::bytes);
    let link = export.connection.and_then(|token| state.outbounds.link(token));
    (waiting + link.map_or(0, |link| link.pending_bytes())) as u64
}

/// Pins the keys as they are, and gathers changes from now on.
fn begin_snapshot(state: &mut ServerState, number: u64) {
    let now_ms = state.now_ms();
    let is_slow = state.config.rdb_key_save_delay > 0;
    let ServerState { cluster, keyspace, .. } = state;
    let Some(cluster) = cluster else { return };
    let Some(export) = cluster.slot_migrations.export_mut(number) else { return };
    let slots: Vec<u16> = export.machine.job.slots.iter().collect();
    let dump = CommandDump::pin_slots(keyspace, &slots, is_slow);
    export.snapshot = Some(Box::new(SaveJob::new(dump, now_ms)));
    export.changes = Some(Changes::default());
    keyspace.changes.propagation.log.set_moves(true);
    state.saving.wake();
}

fn drop_data(state: &mut ServerState, number: u64) {
    let Some(cluster) = &mut state.cluster else { return };
    let Some(export) = cluster.slot_migrations.export_mut(number) else { return };
    export.changes = None;
    let snapshot = export.snapshot.take();
    let gathers = cluster.gathers();
    state.keyspace.changes.propagation.log.set_moves(gathers);
    if let Some(snapshot) = snapshot {
        state.saving.abandon(*snapshot);
    }
}

fn hold(state: &mut ServerState, number: u64, is_held: bool) {
    let Some(migrations) = migrations(state) else { return };
    let Some(slots) = migrations.export_mut(number).map(|export| export.machine.job.slots.clone()) else { return };
    migrations.hold(&slots, is_held);
    state.update_restrictions();
    if !is_held {
        state.requests.push(LoopRequest::ServePaused);
    }
}

/// The connection to a target, as a sink.
struct Connection<'a> {
    outbounds: &'a mut Outbounds,
    token: Token,
    is_finished: bool,
}

impl SaveSink for Connection<'_> {
    type Error = ();

    fn state(&mut self) -> SinkState<()> {
        let pending_bytes = self.outbounds.link(self.token).map_or(0, |link| link.pending_bytes());
        if pending_bytes >= PENDING_BYTES_MAX { SinkState::Full } else { SinkState::Open }
    }

    fn write(&mut self, chunk: &mut Chunk) {
        let bytes = chunk.take(Vec::new());
        self.outbounds.write_with(self.token, |output| output.extend_from_slice(&bytes));
    }

    fn finish(&mut self) {
        let message = Message::SnapshotEof.request();
        self.outbounds.write_with(self.token, |output| output.extend_from_slice(&message));
        self.is_finished = true;
    }

    fn chunk_bytes(&self) -> usize {
        CHUNK_BYTES
    }
}

/// A job: goes on with the snapshots, a piece of each. Says whether any could go on at once.
pub fn step(state: &mut ServerState) -> bool {
    let Some(cluster) = &state.cluster else { return false };
    let sending = cluster.slot_migrations.exports().filter(|(_, export)| export.snapshot.is_some());
    let numbers: Vec<u64> = sending.map(|(number, _)| number).collect();
    numbers.into_iter().fold(false, |goes_on, number| advance(state, number) | goes_on)
}

/// Whether a snapshot is on its way.
pub fn has_snapshots(state: &ServerState) -> bool {
    let mut exports = state.cluster.iter().flat_map(|cluster| cluster.slot_migrations.exports());
    exports.any(|(_, export)| export.snapshot.is_some())
}

fn advance(state: &mut ServerState, number: u64) -> bool {
    let pace = save::pace(state);
    let ServerState { cluster, outbounds, .. } = state;
    let Some(cluster) = cluster else { return false };
    let Some(export) = cluster.slot_migrations.export_mut(number) else { return false };
    let (Some(job), Some(token)) = (&mut export.snapshot, export.connection) else { return false };
    let mut connection = Connection { outbounds, token, is_finished: false };
    let step = job.step(&mut connection, pace);
    if !connection.is_finished {
        return matches!(step, SaveStep::More);
    }
    export.machine.job.copied_bytes = job.copied_bytes();
    if let Some(job) = export.snapshot.take() {
        state.saving.abandon(*job);
    }
    change(state, number, ExportJob::on_snapshot_sent);
    send_changes(state, number);
    true
}

/// Hands changes to the socket, once it has the snapshot.
fn send_changes(state: &mut ServerState, number: u64) {
    let ServerState { cluster, outbounds, .. } = state;
    let Some(cluster) = cluster else { return };
    let Some(export) = cluster.slot_migrations.export_mut(number).filter(|export| export.snapshot.is_none()) else {
        return;
    };
    let (Some(changes), Some(token)) = (&mut export.changes, export.connection) else { return };
    while outbounds.link(token).is_some_and(|link| link.pending_bytes() < PENDING_BYTES_MAX)
        && let Some(piece) = changes.take_piece()
    {
        outbounds.write_with(token, |output| output.extend_from_slice(&piece));
    }
}

fn numbers(state: &ServerState) -> Vec<u64> {
    let exports = state.cluster.iter().flat_map(|cluster| cluster.slot_migrations.exports());
    exports.map(|(number, _)| number).collect()
}

/// Before the poll: begins snapshots, and hands over the turn's changes.
pub(super) fn end_turn(state: &mut ServerState) {
    let is_amid_unit = state.is_amid_unit();
    for number in numbers(state) {
        if !is_amid_unit {
            receive_rest(state, number);
            change(state, number, ExportJob::begin_snapshot);
        }
        send_changes(state, number);
        let pending_bytes = pending_bytes(state, number);
        if is_over_limit(state, pending_bytes) {
            log::warn!("The output buffer of a slot migration has grown beyond the limit of replicas");
            lose(state, number);
        }
    }
}

/// Takes messages that came while a unit was open.
fn receive_rest(state: &mut ServerState, number: u64) {
    if let Some(token) = connection(state, number)
        && state.outbounds.link(token).is_some_and(|link| !link.input().is_empty())
    {
        receive(state, number, token);
    }
}

/// Whether more bytes wait for a target than may wait for a replica.
fn is_over_limit(state: &ServerState, pending_bytes: u64) -> bool {
    let hard_bytes = state.config.client_output_buffer_limit.replica.hard_bytes;
    hard_bytes > 0 && pending_bytes > hard_bytes + PENDING_BYTES_MAX as u64
}

/// Time has passed.
pub(super) fn tick(state: &mut ServerState) {
    let settings = settings(state);
    for number in numbers(state) {
        let pending_bytes = pending_bytes(state, number);
        change(state, number, |job, now| {
            job.configure(settings);
            job.on_tick(pending_bytes, now);
        });
    }
}

/// Reports the owners of their slots to the jobs.
pub(super) fn look_at_owners(state: &mut ServerState) {
    for number in numbers(state) {
        let owner = state.cluster.as_ref().and_then(|cluster| {
            let (_, export) = cluster.slot_migrations.exports().find(|(other, _)| *other == number)?;
            let table = cluster.member.table();
            let owner = owner_of(cluster, &export.machine.job.slots)?;
            let target = export.machine.job.target.and_then(|target| table.find(&target));
            Some(if owner == table.my_key() {
                Owner::Myself
            } else if Some(owner) == target {
                Owner::Target
            } else {
                Owner::Others
            })
        });
        change(state, number, |job, now| job.on_owner(owner.unwrap_or(Owner::Others), now));
    }
}

/// CLUSTER CANCELSLOTMIGRATIONS. Cancels all migrations but those whose target may own the slots already.
///
/// Errors: there are no migrations, or some go on.
pub fn cancel_all(state: &mut ServerState) -> Result<(), CommandError> {
    let before = numbers(state);
    if before.is_empty() {
        return Err(CommandError::fixed("ERR No migrations ongoing"));
    }
    for number in &before {
        change(state, *number, ExportJob::cancel);
    }
    match numbers(state).len() {
        0 => Ok(()),
        left => Err(CommandError::new(format!(
            "ERR Too late to cancel {left} of {} migrations: the target may own the slots already",
            before.len()
        ))),
    }
}

pub(super) fn fail_all(state: &mut ServerState, message: &str) {
    for number in numbers(state) {
        change(state, number, |job, now| job.fail(message, now));
    }
}

/// The slots of a set that are given away already, if any are.
pub fn first_exporting(state: &ServerState, slots: &SlotSet) -> Option<u16> {
    let cluster = state.cluster.as_ref()?;
    slots.iter().find(|slot| cluster.slot_migrations.is_exporting(*slot))
}
