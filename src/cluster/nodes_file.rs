//! The file nodes.conf, and the lines of CLUSTER NODES: nearly the same text.
//!
//! ```text
//! id ip:port@bus[,hostname][,key=value…] flags primary|- ping pong epoch connected|disconnected slots…
//! vars currentEpoch N lastVoteEpoch N
//! ```
//!
//! The file has the keys of Redis 7.2: the client port of the other kind, the name, the shard. Keys of newer servers
//! are skipped. An inconsistent file is rejected: a member that has lost its epochs or its id could vote twice.

use std::fmt::{self, Write};

use super::message::extension::{is_hostname_byte, is_name_byte};
use super::message::{ADDRESS_BYTES, is_address};
use super::node::{Address, Health, Node, NodeKey, Now, Role};
use super::node_id::{NodeId, ShardId};
use super::slot::parse_range;
use super::table::Table;

/// The epochs that have to survive a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    /// The highest epoch seen.
    pub current: u64,
    /// The epoch of the last vote of this member.
    pub last_vote: u64,
}

/// The use of a node's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The file, written by a member whose bus uses TLS or does not.
    File { is_tls: bool },
    /// The reply for a client connected with or without TLS.
    Client { is_tls: bool },
}

/// The whole file. Nodes in handshake are left out.
pub fn write_file(table: &Table, epochs: Epochs, is_tls: bool, now: Now) -> String {
    let mut text = String::with_capacity(table.len() * 200);
    for (key, node) in table.iter_by_id().filter(|(_, node)| !node.is_in_handshake()) {
        write_line(&mut text, table, key, node, Audience::File { is_tls }, now);
    }
    // Writing to a string does not fail.
    let _ = writeln!(text, "vars currentEpoch {} lastVoteEpoch {}", epochs.current, epochs.last_vote);
    text
}

/// Appends one node's line.
pub fn write_line(text: &mut String, table: &Table, key: NodeKey, node: &Node, audience: Audience, now: Now) {
    let (Audience::File { is_tls } | Audience::Client { is_tls }) = audience;
    let port = node.address.base_port(is_tls);
    let is_myself = key == table.my_key();
    let primary = node.primary().and_then(|primary| table.get(primary));
    let wall = |steady_ms: Option<u64>| steady_ms.map_or(0, |steady_ms| now.wall_of(steady_ms));
    let link = if is_myself || node.outbound.is_some() { "connected" } else { "disconnected" };
    let _ = write!(text, "{} {}:{port}@{}", node.id, node.address.ip, node.address.bus_port);
    write_names(text, node, audience);
    let _ = write!(text, " {} ", flag_words(node, is_myself));
    match primary {
        Some(primary) => text.push_str(primary.id.as_str()),
        None => text.push('-'),
    }
    let epoch = primary.map_or(node.config_epoch, |primary| primary.config_epoch);
    let _ = write!(text, " {} {} {epoch} {link}", wall(node.ping_sent_ms), wall(node.pong_received_ms));
    if !node.slots.is_empty() {
        let _ = write!(text, " {}", node.slots);
    }
    if is_myself {
        write_open_slots(text, table);
    }
    text.push('\n');
}

fn write_names(text: &mut String, node: &Node, audience: Audience) {
    match audience {
        Audience::Client { .. } if node.hostname.is_empty() => {}
        Audience::Client { .. } => {
            let _ = write!(text, ",{}", node.hostname);
        }
        Audience::File { is_tls } => {
            let (other, port) =
                if is_tls { ("tcp-port", node.address.plain_port) } else { ("tls-port", node.address.tls_port) };
            let _ = write!(text, ",{},{other}={port}", node.hostname);
            if !node.human_name.is_empty() {
                let _ = write!(text, ",nodename={}", node.human_name);
            }
            let _ = write!(text, ",shard-id={}", node.shard_id);
        }
    }
}

fn write_open_slots(text: &mut String, table: &Table) {
    let open = |(slot, key): (&u16, &NodeKey)| table.get(*key).map(|node| (*slot, node.id));
    for (slot, id) in table.migrating.iter().filter_map(open) {
        let _ = write!(text, " [{slot}->-{id}]");
    }
    for (slot, id) in table.importing.iter().filter_map(open) {
        let _ = write!(text, " [{slot}-<-{id}]");
    }
}

/// The flags of a node, with commas between them.
pub fn flag_words(node: &Node, is_myself: bool) -> String {
    let words = [
        ("myself", is_myself),
        ("master", node.is_primary()),
        ("slave", !node.is_primary()),
        ("fail?", node.health == Health::Suspected),
        ("fail", node.is_failed()),
        ("handshake", node.is_in_handshake()),
        ("noaddr", node.has_no_address),
        ("nofailover", node.never_fails_over),
    ];
    let set: Vec<&str> = words.into_iter().filter(|(_, is_set)| *is_set).map(|(word, _)| word).collect();
    set.join(",")
}

/// The reason why a file is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A line is neither a valid line of a node nor the line of the epochs.
    Line { number: usize, reason: &'static str },
    /// No line has the flag `myself`.
    NoMyself,
    /// The last line, with the epochs, is missing: the file is truncated.
    NoEpochs,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Line { number, reason } => write!(formatter, "line {number}: {reason}"),
            Damage::NoMyself => formatter.write_str("no line has the flag \"myself\""),
            Damage::NoEpochs => formatter.write_str("the line with the epochs is missing"),
        }
    }
}

/// One line, before the ids of other nodes in it are looked up.
struct Line {
    node: Node,
    is_myself: bool,
    primary: Option<NodeId>,
    slots: Vec<u16>,
    migrating: Vec<(u16, NodeId)>,
    importing: Vec<(u16, NodeId)>,
    has_shard: bool,
}

/// Reads a file. `new_shard` creates shard ids for nodes whose line has none, as in files of Redis before 7.2.
///
/// Errors: the reason why the file is rejected.
pub fn read_file(
    text: &str,
    is_tls: bool,
    now: Now,
    mut new_shard: impl FnMut() -> ShardId,
) -> Result<(Table, Epochs), Damage> {
    let (mut lines, mut epochs) = (Vec::new(), None);
    for (number, line) in (1..).zip(text.lines()) {
        let damage = |reason| Damage::Line { number, reason };
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.first() {
            None => {}
            Some(&"vars") => epochs = Some(read_epochs(&words[1..]).ok_or_else(|| damage("bad epochs"))?),
            Some(_) => lines.push((number, read_line(&words, is_tls, now, &mut new_shard).map_err(damage)?)),
        }
    }
    // The epochs are in the last line: without them the file is truncated, or the line was lost.
    let mut epochs = epochs.filter(|_| text.ends_with('\n')).ok_or(Damage::NoEpochs)?;
    let table = build(lines)?;
    epochs.current = epochs.current.max(table.config_epoch_max()).max(epochs.last_vote);
    Ok((table, epochs))
}

fn read_epochs(words: &[&str]) -> Option<Epochs> {
    let (mut current, mut last_vote) = (None, None);
    for pair in words.chunks(2) {
        let value = pair.get(1)?.parse().ok()?;
        match pair[0] {
            "currentEpoch" => current = Some(value),
            "lastVoteEpoch" => last_vote = Some(value),
            _ => {}
        }
    }
    Some(Epochs { current: current?, last_vote: last_vote? })
}

fn read_line(
    words: &[&str],
    is_tls: bool,
    now: Now,
    new_shard: &mut impl FnMut() -> ShardId,
) -> Result<Line, &'static str> {
    let [id, place, flags, primary, ping, pong, epoch, _link, slots @ ..] = words else {
        return Err("fields are missing");
    };
    let id = NodeId::parse(id.as_bytes()).ok_or("not a node id")?;
    let mut node = Node::new(id, id, Address::default(), now);
    let has_shard = read_place(&mut node, place, is_tls)?;
    if !has_shard {
        node.shard_id = new_shard();
    }
    let is_myself = read_flags(&mut node, flags, now)?;
    let primary = match *primary {
        "-" => None,
        primary => Some(NodeId::parse(primary.as_bytes()).ok_or("the primary is no node id")?),
    };
    if primary.is_some() {
        node.role = Role::Replica(None);
    }
    let number = |text: &str| text.parse::<u64>().map_err(|_| "not a number");
    node.ping_sent_ms = (number(ping)? != 0 && !is_myself).then_some(now.steady_ms);
    node.pong_received_ms = (number(pong)? != 0).then_some(now.steady_ms);
    node.config_epoch = number(epoch)?;
    let mut line =
        Line { node, is_myself, primary, slots: Vec::new(), migrating: Vec::new(), importing: Vec::new(), has_shard };
    for word in slots {
        read_slots(&mut line, word)?;
    }
    Ok(line)
}

/// Reads `ip:port@bus,hostname,key=value…`. Returns whether the shard id is present.
fn read_place(node: &mut Node, place: &str, is_tls: bool) -> Result<bool, &'static str> {
    let mut parts = place.split(',');
    let (ip, ports) = parts.next().and_then(|place| place.rsplit_once(':')).ok_or("not an address")?;
    let (port, bus) = ports.split_once('@').map_or((ports, None), |(port, bus)| (port, Some(bus)));
    let port: u16 = port.parse().map_err(|_| "not a port")?;
    let bus_port = match bus {
        Some(bus) => bus.parse().map_err(|_| "not a bus port")?,
        None => port.checked_add(10_000).ok_or("the bus port is above 65535")?,
    };
    if ip.len() >= ADDRESS_BYTES || !is_address(ip) {
        return Err("not an address");
    }
    node.address = Address::from_frame(ip.to_string(), port, 0, bus_port, is_tls);
    let hostname = parts.next().unwrap_or_default();
    if !hostname.bytes().all(is_hostname_byte) {
        return Err("not a hostname");
    }
    node.hostname = hostname.to_string();
    let mut has_shard = false;
    for part in parts {
        let (key, value) = part.split_once('=').ok_or("not a key and a value")?;
        match key {
            "shard-id" => {
                node.shard_id = ShardId::parse(value.as_bytes()).ok_or("not a shard id")?;
                has_shard = true;
            }
            "nodename" if value.bytes().all(is_name_byte) => node.human_name = value.to_string(),
            "nodename" => return Err("not a node's name"),
            "tls-port" => node.address.tls_port = value.parse().map_err(|_| "not a port")?,
            "tcp-port" => node.address.plain_port = value.parse().map_err(|_| "not a port")?,
            // Keys of newer servers are skipped.
            _ => {}
        }
    }
    Ok(has_shard)
}

/// Reads the flags. Returns whether the node is this member.
fn read_flags(node: &mut Node, flags: &str, now: Now) -> Result<bool, &'static str> {
    let mut is_myself = false;
    for flag in flags.split(',') {
        match flag {
            "myself" => is_myself = true,
            "master" => node.role = Role::Primary,
            "slave" => node.role = Role::Replica(None),
            "fail?" => node.health = Health::Suspected,
            "fail" => node.health = Health::Failed { since_ms: now.steady_ms },
            "noaddr" => node.has_no_address = true,
            "nofailover" => node.never_fails_over = true,
            "handshake" | "noflags" => {}
            _ => return Err("unknown flag"),
        }
    }
    Ok(is_myself)
}

fn read_slots(line: &mut Line, word: &str) -> Result<(), &'static str> {
    if let Some(open) = word.strip_prefix('[') {
        let open = open.strip_suffix(']').ok_or("not a slot")?;
        let (slot, id, list) = match (open.split_once("->-"), open.split_once("-<-")) {
            (Some((slot, id)), _) => (slot, id, &mut line.migrating),
            (None, Some((slot, id))) => (slot, id, &mut line.importing),
            (None, None) => return Err("not a slot"),
        };
        let slot = parse_range(slot).filter(|range| range.start() == range.end()).ok_or("not a slot")?;
        list.push((*slot.start(), NodeId::parse(id.as_bytes()).ok_or("not a node id")?));
    } else {
        line.slots.extend(parse_range(word).ok_or("not a range of slots")?);
    }
    Ok(())
}

/// Builds the table: replaces the ids in the lines by nodes.
fn build(mut lines: Vec<(usize, Line)>) -> Result<Table, Damage> {
    let place = lines.iter().position(|(_, line)| line.is_myself).ok_or(Damage::NoMyself)?;
    let own = lines.remove(place);
    lines.insert(0, own);
    let mut table = Table::new(lines[0].1.node.clone());
    for (number, line) in &lines[1..] {
        if line.is_myself || table.find(&line.node.id).is_some() {
            return Err(Damage::Line { number: *number, reason: "a node that was there before" });
        }
        table.insert(line.node.clone());
    }
    for (number, line) in &lines {
        let Some(key) = table.find(&line.node.id) else { continue };
        if let Some(primary) = line.primary {
            let primary = table.find(&primary).filter(|primary| *primary != key);
            table.make_replica(key, primary);
            if line.has_shard
                && let Some(node) = table.get_mut(key)
            {
                node.shard_id = line.node.shard_id;
            }
        }
        for slot in &line.slots {
            if table.owner(*slot).is_some() {
                return Err(Damage::Line { number: *number, reason: "a slot that has an owner already" });
            }
            table.bind(*slot, key);
        }
    }
    let open = |list: &[(u16, NodeId)]| {
        list.iter()
            .filter_map(|(slot, id)| Some((*slot, table.find(id)?)))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let (migrating, importing) = (open(&lines[0].1.migrating), open(&lines[0].1.importing));
    table.migrating = migrating;
    table.importing = importing;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    const NOW: Now = Now { steady_ms: 50_000, wall_ms: 1_700_000_000_000 };

    /// A file written by Redis 8.0.2, with a replica and a failed node added.
    const GENUINE: &str = "\
12c3371f5072cd1959265b5b79e7f955c1734a54 127.0.0.1:26577@36577,,tls-port=0,shard-id=6edf3383ca81115853a0a53a69110454df9a622f master,fail - 0 1700000000000 1 connected 5000-6000
abababababababababababababababababababab 127.0.0.1:6000@32205,,tls-port=0,shard-id=6edf3383ca81115853a0a53a69110454df9a622f slave 12c3371f5072cd1959265b5b79e7f955c1734a54 0 1700000000000 1 connected
bb36a8729a8d4e2fc1a31cc6d6818dd0b2cb084c 127.0.0.1:48369@58369,host.example,tls-port=0,nodename=alpha,shard-id=1df79e4bcbf66b77cca5ce815cd2226d13561643 myself,master - 0 0 3 connected 0-100 200 [5->-abababababababababababababababababababab] [500-<-abababababababababababababababababababab]
vars currentEpoch 7 lastVoteEpoch 6
";

    fn read(text: &str) -> Result<(Table, Epochs), Damage> {
        let mut rng = Rng::with_seed(1);
        read_file(text, false, NOW, || NodeId::random(&mut rng))
    }

    #[test]
    fn a_genuine_file_is_read_and_written_as_it_was() {
        let (mut table, epochs) = read(GENUINE).expect("a good file");
        assert_eq!(epochs, Epochs { current: 7, last_vote: 6 });
        assert_eq!((table.len(), table.assigned(), table.myself().slots.to_string()), (3, 1103, "0-100 200".into()));
        assert_eq!(table.myself().human_name, "alpha");
        assert_eq!((table.migrating.len(), table.importing.len()), (1, 1));
        // The state of links is that of the writing process.
        for (_, node) in table.iter_mut() {
            node.outbound = Some(super::super::node::LinkId(1));
        }
        assert_eq!(write_file(&table, epochs, false, NOW), GENUINE);
        let mut line = String::new();
        write_line(&mut line, &table, table.my_key(), table.myself(), Audience::Client { is_tls: false }, NOW);
        assert!(
            line.starts_with("bb36a8729a8d4e2fc1a31cc6d6818dd0b2cb084c 127.0.0.1:48369@58369,host.example myself,")
        );
    }

    /// The formats of Valkey 9 and of Redis before 7.2.
    #[test]
    fn older_and_newer_files_are_read() {
        let old = "\
d3a00b892688df3a05062f84beae4a2dce2f3d2d 127.0.0.1:38499@48499,host.example myself,master - 0 0 2 connected 0-100
91855dae436e2939e64f17756056d62d4fe6d161 127.0.0.1:40143@50143 slave d3a00b892688df3a05062f84beae4a2dce2f3d2d 0 5 1 connected
vars currentEpoch 1 lastVoteEpoch 0
";
        let (table, epochs) = read(old).expect("a good file");
        assert_eq!(epochs.current, 2, "no epoch of a node is above the current one");
        let shards: Vec<ShardId> = table.iter().map(|(_, node)| node.shard_id).collect();
        assert_eq!(shards[0], shards[1], "a replica shares its primary's shard");
        let newer = GENUINE
            .replace("tls-port=0,nodename", "client-ipv4=1.2.3.4,tls-port=0,availability-zone=eu/1,nodename")
            .replace("vars ", "vars somethingNew 5 ");
        assert!(read(&newer).is_ok());
    }

    #[test]
    fn damaged_files_are_refused_with_a_reason() {
        let line = |number, reason| Damage::Line { number, reason };
        for (from, to, damage) in [
            ("vars currentEpoch 7 lastVoteEpoch 6\n", "", Damage::NoEpochs),
            ("lastVoteEpoch 6", "lastVoteEpoch", line(4, "bad epochs")),
            ("lastVoteEpoch 6", "", line(4, "bad epochs")),
            ("myself,master", "master", Damage::NoMyself),
            ("master,fail", "master,broken", line(1, "unknown flag")),
            ("127.0.0.1:26577@36577", "127.0.0.1", line(1, "not an address")),
            ("26577@36577", "26577@99999", line(1, "not a bus port")),
            ("5000-6000", "6000-5000", line(1, "not a range of slots")),
            ("5000-6000", "0-100", line(1, "a slot that has an owner already")),
            ("[5->-", "[5>-", line(3, "not a slot")),
            ("12c3371f5072cd1959265b5b79e7f955c1734a54 127", "12c3 127", line(1, "not a node id")),
            (
                "abababababababababababababababababababab 127",
                "12c3371f5072cd1959265b5b79e7f955c1734a54 127",
                line(2, "a node that was there before"),
            ),
            ("- 0 1700000000000 1", "- 0 x 1", line(1, "not a number")),
            (" 1 connected\n", "\n", line(2, "fields are missing")),
        ] {
            let text = GENUINE.replace(from, to);
            assert_ne!(text, GENUINE, "{from}");
            assert_eq!(read(&text).err(), Some(damage), "{from} -> {to}");
        }
        assert_eq!(read("").err(), Some(Damage::NoEpochs));
    }

    /// A file truncated at any byte is never accepted with other epochs.
    #[test]
    fn a_file_that_was_cut_off_is_refused() {
        for end in 0..GENUINE.len() {
            assert!(read(&GENUINE[..end]).is_err(), "{end}");
        }
    }
}
