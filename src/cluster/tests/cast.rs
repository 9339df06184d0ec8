//! A member among nodes that the test simulates: three primaries and a replica, whose frames are written by hand.

use crate::cluster::member::{Effect, Member, Released, Replication, Settings};
use crate::cluster::message::{Body, Flags, Gossip, GossipEntry, Header, Packet, decode, encode};
use crate::cluster::node::{LinkId, Node, Now};
use crate::cluster::slot::SLOTS;
use crate::cluster::tests::peers::{NOW, end, header, id, join, later};

/// Primaries with slots.
pub const FIRST: u64 = 2;
pub const SECOND: u64 = 3;
pub const THIRD: u64 = 4;
/// A replica of the first primary.
pub const SIBLING: u64 = 5;

/// The member, and its links to the nodes.
pub struct Cast {
    pub member: Member,
    pub replication: Replication,
    links: Vec<(u64, LinkId, LinkId)>,
    pub now: Now,
}

/// The header of a node of the cast.
pub fn node(seed: u64) -> Header {
    let bounds = match seed {
        FIRST | SIBLING => 0..5000,
        SECOND => 5000..10_000,
        THIRD => 10_000..SLOTS,
        _ => 0..0,
    };
    let is_sibling = seed == SIBLING;
    Header {
        slots: bounds.collect(),
        config_epoch: match seed {
            SIBLING => FIRST,
            FIRST..=THIRD => seed,
            _ => 0,
        },
        current_epoch: 7,
        primary: is_sibling.then(|| id(FIRST)),
        flags: if is_sibling { Flags::REPLICA } else { Flags::PRIMARY },
        bus_port: u16::try_from(seed).expect("a small number") + 100,
        ..header(id(seed))
    }
}

/// Gossip about a node, as the node itself describes it.
pub fn entry(seed: u64, flags: Flags) -> GossipEntry {
    let node = node(seed);
    GossipEntry {
        id: node.sender,
        ping_sent_s: 0,
        pong_received_s: u32::try_from(NOW.wall_ms / 1000).expect("before 2106"),
        address: format!("10.0.0.{}", node.bus_port % 200 + 1),
        base_port: node.base_port,
        other_port: 0,
        bus_port: node.bus_port,
        flags: Flags(node.flags.0 | flags.0),
    }
}

impl Cast {
    /// The member is a primary without slots that knows these nodes.
    pub fn new(settings: Settings, nodes: &[u64]) -> Cast {
        let member = Member::new(settings, fastrand::Rng::with_seed(1), NOW);
        let replication = Replication { offset: 100, data_age_ms: Some(0), is_following: false };
        let mut cast = Cast { member, replication, links: Vec::new(), now: NOW };
        nodes.iter().for_each(|seed| cast.join(*seed));
        cast
    }

    /// The member is a replica of the first primary, and knows the other primaries and a sibling.
    pub fn replica(settings: Settings) -> Cast {
        let mut cast = Cast::new(settings, &[FIRST, SECOND, THIRD, SIBLING]);
        cast.member.replicate(id(FIRST).as_str(), true).expect("it is known");
        cast.replication.is_following = true;
        cast.turn();
        cast
    }

    pub fn join(&mut self, seed: u64) {
        let (inbound, outbound) = join(&mut self.member, &node(seed));
        self.links.push((seed, inbound, outbound));
        self.says(seed, &node(seed), Body::Ping(Gossip::default()));
        self.turn();
    }

    fn link(&self, seed: u64) -> (LinkId, LinkId) {
        let link = self.links.iter().find(|(other, _, _)| *other == seed);
        link.map(|(_, inbound, outbound)| (*inbound, *outbound)).expect("it has joined")
    }

    /// The link that the node has opened.
    pub fn inbound(&self, seed: u64) -> LinkId {
        self.link(seed).0
    }

    /// The link over which the member pings it.
    pub fn outbound(&self, seed: u64) -> LinkId {
        self.link(seed).1
    }

    /// The member receives a frame on the link that the node has opened.
    pub fn says(&mut self, seed: u64, header: &Header, body: Body) {
        let link = self.inbound(seed);
        self.member.receive(link, &encode(header, &body), self.now);
    }

    /// The node answers a ping. If the member has asked for a new link since, that link is opened first.
    pub fn answers(&mut self, seed: u64) {
        let link = self.known(seed).outbound.expect("the member has a link to it, or tries to");
        if link != self.outbound(seed) {
            self.member.on_connected(link, "10.9.9.9", self.now);
            self.links.iter_mut().filter(|(other, _, _)| *other == seed).for_each(|entry| entry.2 = link);
        }
        self.member.receive(link, &encode(&node(seed), &Body::Pong(Gossip::default())), self.now);
    }

    /// The node gossips about another node with these flags.
    pub fn gossips(&mut self, seed: u64, about: u64, flags: Flags) {
        self.tells(seed, entry(about, flags));
    }

    pub fn tells(&mut self, seed: u64, entry: GossipEntry) {
        self.says(seed, &node(seed), Body::Ping(Gossip { entries: vec![entry], extensions: Vec::new() }));
    }

    /// Ends a turn.
    pub fn turn(&mut self) -> Released {
        self.member.set_replication(self.replication);
        end(&mut self.member, self.now)
    }

    /// Ends a turn. Returns the file that was synced before the rest was released.
    pub fn synced(&mut self) -> (Option<String>, Released) {
        self.member.set_replication(self.replication);
        let output = self.member.end_turn(self.now);
        let file = output.synced_file().map(str::to_string);
        (file, output.release(|_, _| Ok::<(), ()>(())).expect("saving works"))
    }

    /// Lets time pass, tick by tick; passes the result of each turn to `on_turn`. The nodes in `alive` answer pings.
    pub fn pass(&mut self, for_ms: u64, alive: &[u64], mut on_turn: impl FnMut(u64, &Released)) {
        let until_ms = self.now.steady_ms + for_ms;
        while self.now.steady_ms < until_ms {
            self.now = later(self.now.steady_ms + 100 - NOW.steady_ms);
            self.member.tick(self.now);
            let released = self.turn();
            for seed in alive {
                if frames(&released, self.outbound(*seed)).iter().any(|(_, body)| matches!(body, Body::Ping(_))) {
                    self.answers(*seed);
                }
            }
            on_turn(self.now.steady_ms - NOW.steady_ms, &released);
        }
    }

    /// A node in the member's table.
    pub fn known(&self, seed: u64) -> &Node {
        let key = self.member.table().find(&id(seed)).expect("it is known");
        self.member.table().get(key).expect("it is known")
    }

    /// The number of failure reports of primaries about a node.
    pub fn reports(&mut self, seed: u64) -> usize {
        self.member.failure_reports(id(seed).as_str(), self.now).expect("it is known")
    }
}

/// The frames sent on a link.
pub fn frames(released: &Released, link: LinkId) -> Vec<(Header, Body)> {
    let frames = released.sends.iter().filter(|send| send.link == link);
    frames
        .map(|send| match decode(&send.frame) {
            Ok(Packet::Full(header, body)) => (*header, body),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Whether a turn closes this link.
pub fn closes(released: &Released, link: LinkId) -> bool {
    released.effects.contains(&Effect::Close(link))
}
