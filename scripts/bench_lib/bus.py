"""What the bus of a cluster of a hundred nodes costs one of them.

One node is the server; the others are played by this process, as far as that node can tell: each has a link to it and takes
one from it, answers its pings, and pings it as often as real ones do. Frames have the size and the gossip of real ones.
Nobody fails, and no client comes.
"""

import random
import selectors
import socket
import struct
import tempfile
import time
from pathlib import Path

from .servers import FAILURES, Server, leave_out, say

NODES = 100
PRIMARIES = 50
SLOTS = 16384
NODE_TIMEOUT_S = 15
# A node is pinged once it has been silent for half of the timeout, and each node pings one more each second.
PING_PERIOD_S = 1 / (2 / NODE_TIMEOUT_S + 1 / (NODES - 1))
SETTLE_S = 2 * NODE_TIMEOUT_S
LINK_LIMIT_S = 30

PING, PONG, MEET = 0, 1, 2
HEADER_BYTES = 2256
LENGTH = struct.Struct(">4sI")
# Signature, length, version, port, type, gossip entries, three numbers, sender, slots, primary, address, extensions, unused,
# other port, bus port, flags, state, marks.
HEADER = struct.Struct(">4sIHHHHQQQ40s2048s40s46sH30sHHHB3s")
# Id, ping and pong in seconds, address, port, bus port, flags, other port, unused.
GOSSIP = struct.Struct(">40sII46sHHHHH")
# Length, type, unused, id of the shard.
SHARD = struct.Struct(">IHH40s")
SHARD_TYPE = 3
HAS_EXTENSIONS = b"\x04\x00\x00"
IS_PRIMARY, IS_REPLICA = 1, 2
# As many of the nodes, and 3 at least, are in the gossip of a frame.
GOSSIP_SHARE = 10
READ_BYTES = 1 << 16


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class _Member:
    """A node: its place in the cluster, and its links with the server unless it is the server itself."""

    def __init__(self, number, bus_port, randomness):
        self.number, self.bus_port = number, bus_port
        self.id, self.shard = (f"{randomness.getrandbits(160):040x}" for _ in range(2))
        self.listener = self.outbound = self.inbound = self.primary = None
        self.slots = range(0)
        self.next_ping_s = 0.0

    def follow(self, primary):
        self.primary, self.shard = primary, primary.shard

    @property
    def flag(self):
        return IS_REPLICA if self.primary else IS_PRIMARY

    @property
    def epoch(self):
        return (self.primary or self).number + 1

    def slot_bits(self):
        bits = bytearray(SLOTS // 8)
        for slot in (self.primary or self).slots:
            bits[slot // 8] |= 1 << slot % 8
        return bytes(bits)

    def line(self, client_port):
        """Its line in nodes.conf."""
        flags = ("myself," if self.number == 0 else "") + ("slave" if self.primary else "master")
        primary = self.primary.id if self.primary else "-"
        slots = f" {self.slots[0]}-{self.slots[-1]}" if self.slots else ""
        return f"{self.id} 127.0.0.1:{client_port}@{self.bus_port} {flags} {primary} 0 0 {self.epoch} connected{slots}\n"


class _Cluster:
    """The server and all the others."""

    def __init__(self):
        self.randomness = random.Random(1)
        self.selector = selectors.DefaultSelector()
        self.members, self.received, self.sent = [], [0, 0], [0, 0]
        for number in range(NODES):
            listener = socket.create_server(("127.0.0.1", 0)) if number else None
            bus_port = listener.getsockname()[1] if listener else _free_port()
            member = _Member(number, bus_port, self.randomness)
            if listener:
                member.listener = listener
                listener.setblocking(False)
                self.selector.register(listener, selectors.EVENT_READ, (self._accept, member))
            if number < PRIMARIES:
                member.slots = range(SLOTS * number // PRIMARIES, SLOTS * (number + 1) // PRIMARIES)
            else:
                member.follow(self.members[number - PRIMARIES])
            self.members.append(member)
        self.subject, self.others = self.members[0], self.members[1:]
        self.bits = [member.slot_bits() for member in self.members]

    def file(self):
        """The server's nodes.conf."""
        lines = [member.line(member.bus_port) for member in self.members]
        return "".join(lines) + f"vars currentEpoch {PRIMARIES} lastVoteEpoch 0\n"

    def close(self):
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    def connect(self):
        """Each of the others makes its link to the server; their pings are spread over the period."""
        now = time.monotonic()
        for member in self.others:
            member.outbound = socket.create_connection(("127.0.0.1", self.subject.bus_port))
            self._watch(member.outbound, member)
            member.next_ping_s = now + self.randomness.random() * PING_PERIOD_S

    def _watch(self, connection, member):
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(connection, selectors.EVENT_READ, (self._read, member, bytearray()))

    def _accept(self, listener, member):
        connection, _ = listener.accept()
        member.inbound = connection
        self._watch(connection, member)

    def _read(self, connection, member, buffer):
        got = connection.recv(READ_BYTES)
        if not got:
            raise RuntimeError("the server closed a link of the bus")
        buffer += got
        while len(buffer) >= HEADER_BYTES:
            signature, length = LENGTH.unpack_from(buffer)
            if signature != b"RCmb":
                raise RuntimeError("the server sent something else than frames")
            if len(buffer) < length:
                return
            kind = int.from_bytes(buffer[12:14], "big")
            self.received[0] += 1
            self.received[1] += length
            del buffer[:length]
            if kind in (PING, MEET):
                self._send(connection, member, PONG)

    def _gossip(self, member):
        """About nodes from which one heard at some time within the period."""
        now_s, count = int(time.time()), max(3, NODES // GOSSIP_SHARE)
        address = b"127.0.0.1".ljust(46, b"\0")
        for other in self.randomness.sample(self.others, count + 1):
            if other is not member and count:
                count -= 1
                pong_s = now_s - self.randomness.randrange(int(PING_PERIOD_S))
                yield GOSSIP.pack(other.id.encode(), 0, pong_s, address, other.bus_port, other.bus_port, other.flag, 0, 0)

    def _send(self, connection, member, kind):
        gossip = list(self._gossip(member))
        extension = SHARD.pack(SHARD.size, SHARD_TYPE, 0, member.shard.encode())
        length = HEADER_BYTES + len(gossip) * GOSSIP.size + len(extension)
        primary = member.primary.id.encode() if member.primary else bytes(40)
        header = HEADER.pack(
            b"RCmb", length, 1, member.bus_port, kind, len(gossip), PRIMARIES, member.epoch, 0, member.id.encode(),
            self.bits[member.number], primary, b"", 1, b"", 0, member.bus_port, member.flag, 0, HAS_EXTENSIONS,
        )
        connection.sendall(b"".join((header, *gossip, extension)))
        self.sent[0] += 1
        self.sent[1] += length

    def run(self, seconds, is_done=None):
        """Plays the others for so long, or until something holds."""
        end_s = time.monotonic() + seconds
        while (now := time.monotonic()) < end_s:
            if is_done and is_done():
                return
            for member in self.others:
                if member.outbound and now >= member.next_ping_s:
                    member.next_ping_s += PING_PERIOD_S
                    self._send(member.outbound, member, PING)
            for key, _ in self.selector.select(0.02):
                act, member, *buffer = key.data
                act(key.fileobj, member, *buffer)


def _one_server(kind, seconds):
    cluster = _Cluster()
    try:
        settings = ("--cluster-enabled", "yes", "--cluster-port", cluster.subject.bus_port)
        server = Server(kind, (*settings, "--cluster-node-timeout", NODE_TIMEOUT_S * 1000))
        server.folder = Path(tempfile.mkdtemp(prefix="bench-"))
        (server.folder / "nodes.conf").write_text(cluster.file())
        with server:
            cluster.connect()
            cluster.run(LINK_LIMIT_S, lambda: all(member.inbound for member in cluster.others))
            cluster.run(SETTLE_S)
            state = server.call("CLUSTER", "INFO")
            if "cluster_state:ok" not in state or f"cluster_known_nodes:{NODES}" not in state:
                raise RuntimeError(f"the cluster is not up: {state}")
            cluster.received, cluster.sent = [0, 0], [0, 0]
            before, started = server.cpu()[0], time.monotonic()
            cluster.run(seconds)
            passed_s = time.monotonic() - started
            share = (server.cpu()[0] - before) / 1e9 / passed_s
            if "fail" in server.call("CLUSTER", "NODES"):
                raise RuntimeError("a node was suspected")
    finally:
        cluster.close()
    frames = cluster.received[0] + cluster.sent[0]
    return {"core_share": share, "frames_per_s": frames / passed_s,
            "frame_bytes": (cluster.received[1] + cluster.sent[1]) / max(1, frames)}


def run(kinds, seconds, out_of_time):
    """Yields (server, figures), one server at a time."""
    for kind in (kind for kind in kinds if not kind.is_echo):
        if out_of_time():
            return
        try:
            got = _one_server(kind, seconds)
        except FAILURES as error:
            leave_out(f"bus of {NODES} nodes: {kind.name}: {error}")
            continue
        say(f"  {kind.name}: {got['core_share']:.2%} of a core, {got['frames_per_s']:.0f} frames a second of "
            f"{got['frame_bytes']:.0f} bytes")
        yield kind.name, got
