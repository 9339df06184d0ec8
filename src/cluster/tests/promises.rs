//! The invariants of a cluster at every moment, with any faults: each frame is checked against them before it is sent.
//!
//! - A member gives one vote per epoch. The candidate has requested it, and its claim is not older than an owner's.
//!   Either its primary has failed in the voter's view, or the request is forced. The vote is on disk.
//! - A candidate requests votes once per epoch, with its primary's claim, and wins with a majority. The epoch is on
//!   disk.
//! - A primary's claim is on disk, its epoch never decreases, and no two nodes claim a slot in one epoch.
//! - A node is declared failed only if a majority of the primaries has reported within two timeouts that it is
//!   suspected.
//! - A manual failover with the primary's help loses no write.

use std::collections::BTreeMap;

use crate::cluster::member::Member;
use crate::cluster::message::{Body, Flags, Header, Packet, decode};
use crate::cluster::node::Node;
use crate::cluster::node_id::NodeId;
use crate::cluster::nodes_file::Epochs;
use crate::cluster::slot::SlotSet;

/// A frame to be sent, and the epochs that its sender has on disk.
pub struct Sent<'a> {
    pub member: &'a Member,
    pub index: usize,
    pub now_ms: u64,
    pub saved: Epochs,
    pub saved_own_epoch: u64,
    /// The node at the other end.
    pub to: Option<NodeId>,
    /// The process was started with an older file: it has forgotten votes and claims.
    pub is_amnesiac: bool,
    /// Epochs may be raised without votes in this run, or be forgotten: claims may collide.
    pub may_collide: bool,
}

/// A request for votes.
struct Request {
    at_ms: u64,
    is_forced: bool,
    config_epoch: u64,
    slots: SlotSet,
}

/// The statements in all frames so far.
#[derive(Default)]
pub struct Promises {
    votes: BTreeMap<(NodeId, u64), NodeId>,
    requests: BTreeMap<(NodeId, u64), Request>,
    claims: BTreeMap<u64, Vec<(NodeId, SlotSet)>>,
    claimed_epochs: BTreeMap<NodeId, u64>,
    /// By receiver and suspected node: the reporting nodes and the times of their last reports.
    reports: BTreeMap<(usize, NodeId), BTreeMap<NodeId, u64>>,
    /// By process: the claim in the last checked frame.
    checked: BTreeMap<usize, Vec<u8>>,
}

impl Promises {
    /// Forgets the reports to a process that starts.
    pub fn forget_process(&mut self, index: usize) {
        self.checked.remove(&index);
        self.reports.retain(|(receiver, _), _| *receiver != index);
    }

    /// Notes the suspicions in a frame that a process has received. Withdrawn reports still count here.
    pub fn note_received(&mut self, index: usize, member: &Member, frame: &[u8], now_ms: u64) {
        let flagged = Flags(Flags::SUSPECTED.0 | Flags::FAILED.0);
        let is_failing = |entry: &[u8]| Flags(u16::from_be_bytes([entry[98], entry[99]])).has(flagged);
        // Most frames have no suspicion, and there are very many of them.
        let count = usize::from(u16::from_be_bytes([frame[14], frame[15]]));
        if frame[2256..].chunks_exact(104).take(count).all(|entry| !is_failing(entry)) {
            return;
        }
        let Ok(Packet::Full(header, Body::Ping(gossip) | Body::Pong(gossip) | Body::Meet(gossip))) = decode(frame)
        else {
            return;
        };
        if find(member, &header.sender).is_some_and(Node::is_voter) {
            for entry in gossip.entries.iter().filter(|entry| entry.flags.has(flagged)) {
                self.reports.entry((index, entry.id)).or_default().insert(header.sender, now_ms);
            }
        }
    }

    /// Checks a frame against the invariants.
    pub fn check(&mut self, sent: &Sent<'_>, frame: &[u8]) {
        let is_primary = frame[2128] == 0;
        if frame[12] == 0 && [3, 5, 6].contains(&frame[13]) {
            match decode(frame) {
                Ok(Packet::Full(header, Body::Fail(about))) => self.check_judgement(sent, &header, about),
                Ok(Packet::Full(header, Body::VoteRequest)) => self.check_request(sent, *header),
                Ok(Packet::Full(header, Body::Vote)) => self.check_vote(sent, &header),
                other => panic!("a frame that cannot be read: {other:?}"),
            }
        }
        let claim = [&frame[24..32], &frame[80..2128]];
        let checked = self.checked.entry(sent.index).or_default();
        if !is_primary || checked.len() == 2056 && checked[..8] == *claim[0] && checked[8..] == *claim[1] {
            return;
        }
        *checked = claim.concat();
        let epoch = u64::from_be_bytes(frame[24..32].try_into().expect("eight bytes"));
        let slots = SlotSet::from_bytes(frame[80..2128].try_into().expect("a set of slots"));
        if !slots.is_empty() {
            let id = NodeId::parse(&frame[40..80]).expect("an id");
            self.check_claim(sent, id, epoch, slots);
        }
    }

    fn check_vote(&mut self, sent: &Sent<'_>, header: &Header) {
        let (index, epoch, table) = (sent.index, header.current_epoch, sent.member.table());
        assert!(sent.saved.last_vote >= epoch, "{index} votes in epoch {epoch}, but has only {:?} on disk", sent.saved);
        let Some(candidate) = sent.to else { return };
        let before = self.votes.insert((header.sender, epoch), candidate);
        let is_first = before.is_none_or(|before| before == candidate);
        assert!(is_first || sent.is_amnesiac, "{index} votes twice in epoch {epoch}");
        assert!(table.myself().is_voter(), "{index} votes without slots");
        let request = self.requests.get(&(candidate, epoch)).expect("a vote was asked for in its epoch");
        let primary = find(sent.member, &candidate).and_then(Node::primary).and_then(|key| table.get(key));
        let primary = primary.expect("a voter knows the primary of its candidate");
        assert!(request.is_forced || primary.is_failed(), "{index} votes against a primary that is up");
        let owners = request.slots.iter().filter(|slot| !table.is_unclaimed(*slot));
        let mut owners = owners.filter_map(|slot| table.get(table.owner(slot)?));
        assert!(owners.all(|owner| owner.config_epoch <= request.config_epoch), "{index} votes against a newer owner");
    }

    fn check_request(&mut self, sent: &Sent<'_>, header: Header) {
        let (index, epoch, table) = (sent.index, header.current_epoch, sent.member.table());
        assert!(sent.saved.current >= epoch, "{index} asks in epoch {epoch}, but has only {:?} on disk", sent.saved);
        let primary = table.myself().primary().and_then(|key| table.get(key)).expect("a candidate has a primary");
        assert_eq!((primary.config_epoch, &primary.slots), (header.config_epoch, &header.slots), "{index} asks");
        let request = Request {
            at_ms: sent.now_ms,
            is_forced: header.is_forced,
            config_epoch: header.config_epoch,
            slots: header.slots,
        };
        let before = self.requests.insert((header.sender, epoch), request);
        let is_first = before.is_none_or(|before| before.at_ms == sent.now_ms);
        assert!(is_first || sent.is_amnesiac, "{index} asks twice in epoch {epoch}");
    }

    /// Checks an election that a candidate has won, as its log says.
    pub fn check_election(&self, index: usize, member: &Member) {
        let (myself, quorum) = (member.table().myself(), member.table().quorum());
        let votes = self
            .votes
            .iter()
            .filter(|((_, epoch), candidate)| *epoch == myself.config_epoch && **candidate == myself.id);
        let votes = votes.count();
        assert!(votes >= quorum, "{index} wins epoch {} with {votes} votes of {quorum}", myself.config_epoch);
    }

    fn check_judgement(&mut self, sent: &Sent<'_>, header: &Header, about: NodeId) {
        let (member, index) = (sent.member, sent.index);
        let valid_ms = member.settings().node_timeout_ms * 2;
        let reports = self.reports.get(&(index, about)).into_iter().flatten();
        let counted = reports.filter(|(reporter, at_ms)| {
            sent.now_ms - **at_ms <= valid_ms && find(member, reporter).is_some_and(Node::is_voter)
        });
        let counted = counted.count() + usize::from(member.table().myself().is_voter());
        let quorum = member.table().quorum();
        assert!(counted >= quorum, "{} says that {about:?} has failed: {counted} of {quorum} think so", header.sender);
    }

    fn check_claim(&mut self, sent: &Sent<'_>, id: NodeId, epoch: u64, slots: SlotSet) {
        let (index, saved) = (sent.index, sent.saved_own_epoch);
        assert!(saved >= epoch, "{index} claims slots in epoch {epoch}, but has only {saved} on disk");
        let before = self.claimed_epochs.insert(id, epoch).unwrap_or(0);
        assert!(before <= epoch || sent.may_collide, "{index} claims in epoch {epoch} after {before}");
        let claims = self.claims.entry(epoch).or_default();
        for (other, claimed) in claims.iter().filter(|(other, _)| *other != id) {
            let both = slots.intersection(claimed).next();
            assert!(sent.may_collide || both.is_none(), "{id:?} and {other:?} claim slot {both:?} in epoch {epoch}");
        }
        claims.retain(|(other, _)| *other != id);
        claims.push((id, slots));
    }
}

fn find<'a>(member: &'a Member, id: &NodeId) -> Option<&'a Node> {
    member.table().get(member.table().find(id)?)
}
