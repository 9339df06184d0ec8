//! The network between the processes: connections, the frames under way on them, and their faults.

use std::collections::VecDeque;
use std::rc::Rc;

use super::{Event, World};
use crate::cluster::node::LinkId;

/// A connection: an end at each of two processes, and the frames under way in each direction.
pub struct Connection {
    pub ends: [(usize, u64, LinkId); 2],
    pub is_open: [bool; 2],
    pub queues: [VecDeque<Rc<[u8]>>; 2],
    pub last_arrival_ms: [u64; 2],
}

impl World {
    /// Breaks a connection at random; either end may not notice.
    pub fn reset_a_connection(&mut self) {
        let open: Vec<usize> = (0..self.connections.len()).filter(|at| self.connections[*at].is_open[0]).collect();
        if open.is_empty() {
            return;
        }
        let connection = open[self.rng.usize(..open.len())];
        for end in 0..2 {
            if self.rng.u32(..4) > 0 {
                self.schedule(self.now_ms + 1, Event::Close { connection, end });
            }
        }
        self.connections[connection].queues.iter_mut().for_each(VecDeque::clear);
    }

    pub(super) fn on_connect(&mut self, connection: usize) {
        let [(opener, life, link), (target, _, _)] = self.connections[connection].ends;
        if self.processes[opener].life != life || !self.connections[connection].is_open[0] {
            return;
        }
        if self.blocked[opener][target] || self.blocked[target][opener] {
            // No answer: the member ends the attempt by itself.
            return self.schedule(self.now_ms + 200, Event::Connect { connection });
        }
        if self.processes[target].member.is_none() {
            if self.processes[target].is_behind_proxy
                && let now = self.now_of(opener)
                && let Some(member) = &mut self.processes[opener].member
            {
                member.on_connected(link, "10.9.9.9", now);
                self.schedule(self.now_ms + 5, Event::Close { connection, end: 0 });
                return self.turn(opener);
            }
            return self.on_close(connection, 0);
        }
        let (opener_ip, target_ip) = (self.ip_of(opener), self.ip_of(target));
        let (now, target_now) = (self.now_of(opener), self.now_of(target));
        let target_life = self.processes[target].life;
        if let Some(member) = &mut self.processes[target].member {
            let accepted = member.on_accepted(&opener_ip, &target_ip, target_now);
            self.connections[connection].ends[1] = (target, target_life, accepted);
            self.connections[connection].is_open[1] = true;
            self.processes[target].links.insert(accepted, (connection, 1));
        }
        if let Some(member) = &mut self.processes[opener].member {
            member.on_connected(link, &opener_ip, now);
        }
        self.turn(opener);
    }

    pub(super) fn on_arrive(&mut self, connection: usize, direction: usize) {
        let (from, to) =
            (self.connections[connection].ends[direction].0, self.connections[connection].ends[1 - direction]);
        let (target, life, link) = to;
        if !self.connections[connection].is_open[1 - direction] || self.processes[target].life != life {
            return;
        }
        // A delayed frame arrives later, in order.
        let until_ms = if self.blocked[from][target] { Some(self.now_ms + 300) } else { self.stalled_until(target) };
        if let Some(until_ms) = until_ms {
            return self.schedule(until_ms, Event::Arrive { connection, direction });
        }
        let Some(frame) = self.connections[connection].queues[direction].pop_front() else { return };
        if self.rng.u32(..1000) < self.faults.frame_loss {
            return;
        }
        self.write(target, 3);
        self.take_frame(target, link, &frame);
        // The frame right after the start of a manual failover is read in the same turn.
        if frame[12..14] == [0, 8] {
            self.write(target, 3);
            if let Some(next) = self.connections[connection].queues[direction].pop_front() {
                self.take_frame(target, link, &next);
                self.write(target, 3);
            }
        }
        self.turn(target);
    }

    pub(super) fn on_close(&mut self, connection: usize, end: usize) {
        let (process, life, link) = self.connections[connection].ends[end];
        if !std::mem::take(&mut self.connections[connection].is_open[end]) || self.processes[process].life != life {
            return;
        }
        let now = self.now_of(process);
        self.processes[process].links.remove(&link);
        if let Some(member) = &mut self.processes[process].member {
            member.on_closed(link, now);
        }
        self.turn(process);
    }

    /// The other end learns that a connection is closed, unless the network loses the notice.
    pub(super) fn tell_other_end(&mut self, connection: usize, end: usize) {
        let [first, second] = self.connections[connection].ends;
        let (from, to) = if end == 0 { (first.0, second.0) } else { (second.0, first.0) };
        if !self.blocked[from][to] {
            let at_ms = self.connections[connection].last_arrival_ms[end].max(self.now_ms) + 1;
            self.schedule(at_ms, Event::Close { connection, end: 1 - end });
        }
    }

    pub(super) fn send(&mut self, index: usize, link: LinkId, frame: Rc<[u8]>) {
        let Some((connection, end)) = self.processes[index].links.get(&link).copied() else { return };
        let at_ms = self.now_ms + 1 + self.rng.u64(..=self.faults.latency_max_ms);
        let connection_state = &mut self.connections[connection];
        connection_state.queues[end].push_back(frame);
        let at_ms = at_ms.max(connection_state.last_arrival_ms[end]);
        connection_state.last_arrival_ms[end] = at_ms;
        self.schedule(at_ms, Event::Arrive { connection, direction: end });
    }
}
