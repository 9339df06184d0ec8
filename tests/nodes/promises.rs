//! What WAIT has counted is there, at that time: a client writes, and waits for its replicas.

use std::collections::BTreeSet;

use super::cluster::Cluster;
use super::ledger::Outcome;
use super::node::request;
use super::tap::Place;

/// A write that a client waits for.
pub struct Promise {
    node: usize,
    text: String,
    /// The write's last byte is not before this one; none if that is not known.
    floor: Option<Place>,
    lines: usize,
}

impl Cluster {
    /// Has a node's patient client write a text, and wait for so many replicas; nothing if it still waits.
    pub fn ask_for_promise(&mut self, node: usize, text: &str, replicas: u8, timeout_ms: u16) {
        if self.promises.iter().any(|promise| promise.node == node) {
            return;
        }
        let write = request(&["SET", "promise", text]);
        if let Some(patient) = &self.nodes[node].patient {
            patient.peer.send(&write);
            patient.peer.send(&request(&["WAIT", &replicas.to_string(), &timeout_ms.to_string()]));
            let floor = self.ledger.known[node].place.clone().map(|place| {
                let offset = place.offset + write.len() as u64;
                Place { offset, ..place }
            });
            self.promises.push(Promise { node, text: text.to_string(), floor, lines: 0 });
        }
    }

    /// A node has had a turn.
    pub(super) fn keep_promises(&mut self, node: usize) -> Outcome {
        let Some(index) = self.promises.iter().position(|promise| promise.node == node) else { return Ok(()) };
        let Some(patient) = &mut self.nodes[node].patient else { return Ok(()) };
        let promise = &mut self.promises[index];
        while let Some(line) = patient.line() {
            promise.lines += 1;
            if promise.lines == 1 {
                // Written at another place than it was asked for.
                promise.floor.take_if(|floor| floor.id != self.ledger.known[node].id || line != "+OK");
                continue;
            }
            let promise = self.promises.remove(index);
            let counted: Option<usize> = line.strip_prefix(':').and_then(|count| count.parse().ok());
            let (Some(counted), Some(floor)) = (counted, promise.floor) else { return Ok(()) };
            if self.ledger.known[node].id != floor.id {
                // Its first replica came after the write: the history began there.
                return Ok(());
            }
            // A node that came back counts twice until its old connection is given up.
            let counted = counted.min(self.replicas_apart(node));
            let there = self.ledger.nodes_at(node, &floor);
            return match there >= counted {
                true => Ok(()),
                false => {
                    let text = promise.text;
                    Err(format!(
                        "node {node}: WAIT has counted {counted} replicas with {text}, and {there} were at {floor}"
                    ))
                }
            };
        }
        Ok(())
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
