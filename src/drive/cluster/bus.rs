//! The connections of the bus, inbound and outbound, and the frames that they receive.

use log::Level;

use crate::cluster::message::HEADER_BYTES;
use crate::cluster::message::framing::{BrokenStream, FrameReader};
use crate::cluster::node::LinkId;
use crate::engine::cluster::{BusLink, Cluster, Published};
use crate::engine::state::ServerState;
use crate::net::address::Address;
use crate::net::outbound::{LinkEvent, LinkOptions, LinkOwner, Progress};
use crate::net::stream::Stream;
use crate::net::tls::{Connector, TlsSession};
use crate::net::token::Token;

use super::now;

/// While so many bytes of a node wait, nothing more is read from it.
const INPUT_MAX_BYTES: usize = 1 << 20;
/// Bytes of a publisher's message besides channel and text.
const MESSAGE_HEAD_BYTES: u64 = 4096;
/// Links at most that other nodes may have here: so many, and four for each node that is known.
const ACCEPTED_MAX: usize = 256;
/// Time between two lines of the log about links that were closed for invalid input, in ms.
const COMPLAINT_PERIOD_MS: i64 = 1000;
/// A connection is given up that does not stand after this time at least, in ms.
const CONNECT_MIN_MS: u64 = 1000;

fn options(state: &ServerState) -> LinkOptions {
    LinkOptions {
        connect_ms: state.config.cluster_node_timeout.max(CONNECT_MIN_MS),
        // The member looks after that itself.
        idle_ms: u64::MAX,
        progress: Progress::EitherWay,
        input_max_bytes: INPUT_MAX_BYTES,
        // `cluster-link-sendbuf-limit` may change.
        output_max_bytes: usize::MAX,
    }
}

/// Both halves of a message have a limit: that of a client's argument.
fn reader(state: &ServerState) -> FrameReader {
    FrameReader::new(state.config.proto_max_bulk_len.saturating_mul(2).saturating_add(MESSAGE_HEAD_BYTES))
}

/// Takes in a connection that another node has made.
pub fn accept(state: &mut ServerState, stream: Stream, session: Option<Box<TlsSession>>) {
    let Some(cluster) = state.cluster.as_ref().filter(|cluster| cluster.has_joined) else { return };
    if cluster.bus.links.len() >= ACCEPTED_MAX + 4 * cluster.member.table().len() {
        return complain(state, "there are too many connections to the bus");
    }
    let address = stream.address("");
    if let Err(error) = stream.set_options(state.config.tcp_keepalive) {
        log::debug!("Can't set socket options for {}: {error}", address.peer);
    }
    let (now, now_ms, options, reader) = (now(state), state.now_ms(), options(state), reader(state));
    let Some(cluster) = &mut state.cluster else { return };
    let id = cluster.member.on_accepted(address.peer_host(), &local_host(&address), now);
    match state.outbounds.adopt(stream, session, options, LinkOwner::Bus(id.0), now_ms) {
        Ok(connection) => {
            cluster.bus.links.insert(id, BusLink { connection, reader });
        }
        Err(error) => {
            log::debug!("Can't register a connection of the bus: {error}");
            cluster.member.on_closed(id, now);
        }
    }
}

/// The host at this end.
fn local_host(address: &Address) -> String {
    let host = address.local.rsplit_once(':').map_or(address.local.as_str(), |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']').to_string()
}

/// Connects to a node.
pub(super) fn connect(state: &mut ServerState, id: LinkId, ip: &str, port: u16) {
    let (now_ms, options, reader) = (state.now_ms(), options(state), reader(state));
    let connection = state.outbounds.open(ip, port, options, LinkOwner::Bus(id.0), now_ms);
    if let Some(cluster) = &mut state.cluster {
        cluster.bus.links.insert(id, BusLink { connection, reader });
    }
    if state.config.tls_cluster
        && let Err(reason) = encrypt(state, connection, ip)
    {
        log::trace!("Can't connect to the cluster bus of {ip}:{port}: {reason}");
        lose(state, id);
    }
}

fn encrypt(state: &mut ServerState, connection: Token, ip: &str) -> Result<(), String> {
    let now_s = state.clock.now_ms() / 1000;
    let Some(cluster) = &mut state.cluster else { return Ok(()) };
    let connector = match &mut cluster.bus.connector {
        Some(connector) => connector,
        none => none.insert(Connector::new(&state.config)?),
    };
    let session = connector.begin(ip, now_s).map_err(|error| error.to_string())?;
    state.outbounds.encrypt(connection, session);
    Ok(())
}

/// Handles an event of a connection.
pub fn take_event(state: &mut ServerState, number: u64, token: Token, event: LinkEvent) {
    let id = LinkId(number);
    let is_known = |cluster: &Cluster| cluster.bus.links.get(&id).is_some_and(|link| link.connection == token);
    if !state.cluster.as_deref().is_some_and(is_known) {
        return state.outbounds.close(token);
    }
    match event {
        LinkEvent::Connected => connected(state, id, token),
        LinkEvent::Received => receive(state, id, token),
        LinkEvent::Flushed => {}
        LinkEvent::Failed(failure) => {
            log::trace!("A connection of the cluster bus is over: {failure:?}");
            lose(state, id);
        }
        LinkEvent::TimedOut => lose(state, id),
    }
}

fn connected(state: &mut ServerState, id: LinkId, token: Token) {
    let stream = state.outbounds.link(token).and_then(|link| link.stream());
    let local = stream.map(|stream| local_host(&stream.address(""))).unwrap_or_default();
    let now = now(state);
    if let Some(cluster) = &mut state.cluster
        && cluster.member.is_outbound(id)
    {
        cluster.member.on_connected(id, &local, now);
    }
}

/// Hands the frames that have come to the member. A frame of a node that does not keep to the protocol costs its link.
fn receive(state: &mut ServerState, id: LinkId, token: Token) {
    let now = now(state);
    let (input, consumed) = state.outbounds.lend_input(token);
    let mut result = Ok(());
    if let Some(cluster) = &mut state.cluster {
        let Cluster { member, bus, .. } = &mut **cluster;
        if let Some(link) = bus.links.get_mut(&id) {
            result = link.reader.receive(&input[consumed..], |frame| {
                member.receive(id, frame, now);
                true
            });
        }
    }
    let length = input.len();
    state.outbounds.return_input(token, input, length);
    if let Err(broken) = result {
        let reason = match broken {
            BrokenStream::Signature => "what comes is not the protocol of the bus".to_string(),
            BrokenStream::Length(bytes) => format!("a frame of {bytes} bytes is announced"),
        };
        complain(state, &reason);
        lose(state, id);
    }
}

/// Tells the log why a link is closed, once a second at most: it is for a stranger to say how often.
fn complain(state: &mut ServerState, reason: &str) {
    let now_ms = state.now_ms();
    let Some(cluster) = &mut state.cluster else { return };
    let is_soon = now_ms - cluster.bus.complained_ms < COMPLAINT_PERIOD_MS;
    if !is_soon {
        cluster.bus.complained_ms = now_ms;
    }
    let level = if is_soon { Level::Debug } else { Level::Warn };
    log::log!(level, "A connection to the cluster bus is closed: {reason}");
}

/// Closes a connection that is gone, and reports that to the member.
fn lose(state: &mut ServerState, id: LinkId) {
    close(state, id);
    let now = now(state);
    if let Some(cluster) = &mut state.cluster {
        cluster.member.on_closed(id, now);
    }
}

/// Closes a connection.
pub(super) fn close(state: &mut ServerState, id: LinkId) {
    let link = state.cluster.as_mut().and_then(|cluster| cluster.bus.links.remove(&id));
    if let Some(link) = link {
        state.outbounds.close(link.connection);
    }
}

/// Closes the links on which more waits than `cluster-link-sendbuf-limit`, which may be lower than before.
pub(super) fn close_over_limit(state: &mut ServerState) {
    let limit = state.config.cluster_link_sendbuf_limit;
    if limit == 0 {
        return;
    }
    let links = state.cluster.iter().flat_map(|cluster| &cluster.bus.links);
    let bytes = |link: &BusLink| {
        let pending = state.outbounds.link(link.connection).map_or(0, |link| link.pending_bytes());
        (pending + size_of::<BusLink>()) as u64
    };
    let over: Vec<LinkId> = links.filter(|(_, link)| bytes(link) > limit).map(|(id, _)| *id).collect();
    over.into_iter().for_each(|id| give_up(state, id));
}

fn give_up(state: &mut ServerState, id: LinkId) {
    let link = state.cluster.as_ref().and_then(|cluster| cluster.bus.links.get(&id));
    let pending = link.and_then(|link| state.outbounds.link(link.connection)).map_or(0, |link| link.pending_bytes());
    log::warn!("Freeing a cluster link, which exceeded its buffer limit: {pending} bytes wait to be sent.");
    close(state, id);
    let now = now(state);
    if let Some(cluster) = &mut state.cluster {
        cluster.member.on_link_over_limit(id, now);
    }
}

/// Sends a frame. A link on which more waits than `cluster-link-sendbuf-limit` is closed.
pub(super) fn send(state: &mut ServerState, id: LinkId, frame: &[u8]) {
    let link = state.cluster.as_ref().and_then(|cluster| cluster.bus.links.get(&id));
    let Some(connection) = link.map(|link| link.connection) else { return };
    let pending = state.outbounds.link(connection).map_or(0, |link| link.pending_bytes());
    let limit = state.config.cluster_link_sendbuf_limit;
    if limit > 0 && (pending + frame.len()) as u64 > limit {
        return give_up(state, id);
    }
    state.outbounds.write_with(connection, |output| output.extend_from_slice(frame));
}

/// Connections to and from other nodes that there are if all are well.
pub fn connections(state: &ServerState) -> usize {
    state.cluster.as_ref().map_or(0, |cluster| 2 * (cluster.member.table().len() - 1))
}

/// Bytes that wait to be sent to nodes, and of frames that have not come whole. O(links and messages that wait).
pub fn memory_bytes(state: &ServerState) -> usize {
    let links = state.cluster.iter().flat_map(|cluster| cluster.bus.links.values());
    let of_link = |link: &BusLink| {
        let pending = state.outbounds.link(link.connection).map_or(0, |link| link.pending_bytes());
        pending + link.reader.buffered() + size_of::<BusLink>()
    };
    let waiting = state.cluster.iter().flat_map(|cluster| &cluster.outgoing);
    let of_message = |message: &Published| message.channel.len() + message.message.len() + HEADER_BYTES;
    links.map(of_link).sum::<usize>() + waiting.map(of_message).sum::<usize>()
}
