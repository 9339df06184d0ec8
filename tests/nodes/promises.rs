//! The copies that WAIT and WAITAOF have counted exist: a client writes, and waits for its replicas, or for disks.

use std::collections::BTreeSet;

use super::cluster::Cluster;
use super::data;
use super::ledger::Outcome;
use super::node::request;
use super::tap::Place;

/// The condition that a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Replicas(u8),
    Disks { local: u8, replicas: u8 },
}

/// A write that a client waits for.
pub struct Promise {
    node: usize,
    wait: Wait,
    text: String,
    /// The nodes on whose disks it has been seen to be safe.
    on_disk: BTreeSet<usize>,
    /// The replies so far.
    replied: Vec<String>,
    /// The write's last byte is not before this one; none if that is not known.
    floor: Option<Place>,
}

impl Cluster {
    /// Makes a node's patient client write a text, and wait; nothing if it still waits.
    pub fn ask_for_promise(&mut self, node: usize, text: &str, wait: Wait, timeout_ms: u16) {
        if self.promises.iter().any(|promise| promise.node == node) {
            return;
        }
        let write = request(&["SET", "promise", text]);
        if let Some(patient) = &self.nodes[node].patient {
            patient.peer.send(&write);
            let timeout = timeout_ms.to_string();
            patient.peer.send(&match wait {
                Wait::Replicas(replicas) => request(&["WAIT", &replicas.to_string(), &timeout]),
                Wait::Disks { local, replicas } => {
                    request(&["WAITAOF", &local.to_string(), &replicas.to_string(), &timeout])
                }
            });
            let floor = self.ledger.known[node].place.clone().map(|place| {
                let offset = place.offset + write.len() as u64;
                Place { offset, ..place }
            });
            let (on_disk, replied) = (BTreeSet::new(), Vec::new());
            self.promises.push(Promise { node, wait, text: text.to_string(), on_disk, replied, floor });
        }
    }

    /// A node has had a turn.
    pub(super) fn keep_promises(&mut self, node: usize) -> Outcome {
        self.look_at_disk(node);
        let Some(index) = self.promises.iter().position(|promise| promise.node == node) else { return Ok(()) };
        let Some(patient) = &mut self.nodes[node].patient else { return Ok(()) };
        let promise = &mut self.promises[index];
        while let Some(line) = patient.line() {
            if promise.replied.is_empty() {
                // Written at another place than it was asked for.
                promise.floor.take_if(|floor| floor.id != self.ledger.known[node].id || line != "+OK");
            }
            promise.replied.push(line);
        }
        if !promise.is_answered() {
            return Ok(());
        }
        let promise = self.promises.remove(index);
        let Some(floor) = promise.floor.as_ref().filter(|floor| floor.id == self.ledger.known[node].id) else {
            // Its first replica came after the write: the history began there.
            return Ok(());
        };
        match promise.wait {
            Wait::Replicas(_) => self.check_replicas(&promise, floor),
            Wait::Disks { .. } => self.check_disks(&promise),
        }
    }

    /// Notes which promised texts are safe on a node's disk.
    fn look_at_disk(&mut self, node: usize) {
        for promise in self.promises.iter_mut().filter(|promise| matches!(promise.wait, Wait::Disks { .. })) {
            if !promise.on_disk.contains(&node) && self.nodes[node].disk.holds_durably(promise.text.as_bytes()) {
                promise.on_disk.insert(node);
            }
        }
    }

    fn check_replicas(&self, promise: &Promise, floor: &Place) -> Outcome {
        let Some(counted) = promise.number(1) else { return Ok(()) };
        let Promise { node, text, .. } = promise;
        // A node that came back counts twice until its old connection is given up.
        let counted = counted.min(self.replicas_apart(*node));
        let there = self.ledger.nodes_at(*node, floor);
        match there >= counted {
            true => Ok(()),
            false => Err(format!(
                "node {node}: WAIT has counted {counted} replicas with {text}, and {there} were at {floor}"
            )),
        }
    }

    fn check_disks(&self, promise: &Promise) -> Outcome {
        let (Some(here), Some(elsewhere)) = (promise.number(2), promise.number(3)) else { return Ok(()) };
        let Promise { node, text, on_disk, .. } = promise;
        if !self.view(*node).is_some_and(|state| data::all(state).iter().any(|line| line.contains(text.as_str()))) {
            // Deleted by now: a copy of all data that was made since is without it.
            return Ok(());
        }
        let is_safe = |other: usize| on_disk.contains(&other) || self.nodes[other].disk.holds_durably(text.as_bytes());
        // A node that came back may be counted on each of its connections.
        let connections = self.view(*node).map_or(0, |state| state.replication.primary.replicas.iter().count());
        let elsewhere = elsewhere.saturating_sub(connections - self.replicas_apart(*node));
        let there = (0..self.nodes.len()).filter(|other| other != node && is_safe(*other)).count();
        match (here == 0 || is_safe(*node)) && there >= elsewhere {
            true => Ok(()),
            false => Err(format!(
                "node {node}: WAITAOF has counted {here} and {elsewhere} disks with {text}, and it was safe on its own: \
                 {}, and on {there} others",
                is_safe(*node)
            )),
        }
    }

    /// Nodes that are replicas of this one, whatever the number of their connections.
    fn replicas_apart(&self, node: usize) -> usize {
        let Some(state) = self.view(node) else { return 0 };
        let replicas = state.replication.primary.replicas.iter();
        let addresses: BTreeSet<_> = replicas.map(|replica| replica.announced.address.clone()).collect();
        addresses.len()
    }

    /// The process of a node has ended, and its clients with it.
    pub(super) fn drop_promises(&mut self, node: usize) {
        self.promises.retain(|promise| promise.node != node);
    }
}

impl Promise {
    /// Whether the replies to both are there; one may be an error.
    fn is_answered(&self) -> bool {
        let lines = match self.wait {
            Wait::Replicas(_) => 2,
            Wait::Disks { .. } => 4,
        };
        let is_error = self.replied.get(1).is_some_and(|line| line.starts_with('-'));
        self.replied.len() >= lines || is_error
    }

    /// The number in a line of the replies.
    fn number(&self, line: usize) -> Option<usize> {
        self.replied.get(line)?.strip_prefix(':')?.parse().ok()
    }
}
