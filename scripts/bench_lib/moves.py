"""How long a slot with many keys takes to move between two nodes of a cluster, by CLUSTER MIGRATESLOTS.

The node that the slot leaves runs on the servers' core, the other one on that of the load. A quiet client of each sends a
PING every millisecond: how much processor time its server uses during one wait bounds the turns of the server's loop.
"""

import contextlib
import json
import socket
import threading
import time
from statistics import median

from .servers import FAILURES, LOAD_CORE, SERVER_CORE, Client, Server, leave_out, say
from .waits import PING

VALUE = "x" * 64
TAG = "{t}"
# The slot of the tag, and the first slot of the node that has it not.
SLOT, BORDER, SLOTS = 15891, 8192, 16384
ENDS = ("success", "failed", "cancelled")
UP_LIMIT_S = 30
MOVE_LIMIT_S = 120
POLL_S = 0.002
# The quiet clients begin so long before the move, and stay for so long altogether.
LEAD_S = 0.3
WATCH_MS = 3000


def _node(stack, kind, core):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        bus_port = probe.getsockname()[1]
    return stack.enter_context(Server(kind, ("--cluster-enabled", "yes", "--cluster-port", bus_port), core)), bus_port


def _await_cluster(nodes):
    deadline = time.monotonic() + UP_LIMIT_S
    for node in nodes:
        while True:
            state = node.call("CLUSTER", "INFO")
            if "cluster_state:ok" in state and "cluster_known_nodes:2" in state:
                break
            if time.monotonic() > deadline:
                raise RuntimeError("the two nodes did not become a cluster")
            time.sleep(0.05)


def _fill(node, keys):
    # Every key is in the slot: the tag is in its name.
    node.probe("--count", keys, "--in-flight", 1000, "SET", TAG + "{i}", VALUE)


def _state(client):
    newest = client.call("CLUSTER", "GETSLOTMIGRATIONS")
    fields = newest[0] if newest else []
    return fields[fields.index("state") + 1] if "state" in fields else ""


@contextlib.contextmanager
def _watched(nodes):
    """Quiet clients, one for each node; the list gets the most processor time that a node used during one wait, in ms."""
    longest = [0.0] * len(nodes)

    def watch(place):
        seen = json.loads(nodes[place].probe(*PING, "--count", 0, "--tail-ms", WATCH_MS))
        longest[place] = seen["wait_max_busy_us"] / 1000

    threads = [threading.Thread(target=watch, args=(place,)) for place in range(len(nodes))]
    for thread in threads:
        thread.start()
    time.sleep(LEAD_S)
    yield longest
    for thread in threads:
        thread.join()


def _cluster(stack, kind):
    """Two nodes; the first one has the slot."""
    (source, _), (target, bus_port) = (_node(stack, kind, core) for core in (SERVER_CORE, LOAD_CORE))
    if "MIGRATESLOTS" not in str(source.call("CLUSTER", "HELP")):
        raise RuntimeError("it has no CLUSTER MIGRATESLOTS")
    for number, (node, slots) in enumerate(((source, (BORDER, SLOTS - 1)), (target, (0, BORDER - 1))), 1):
        node.call("CLUSTER", "SET-CONFIG-EPOCH", number)
        node.call("CLUSTER", "ADDSLOTSRANGE", *slots)
    source.call("CLUSTER", "MEET", "127.0.0.1", target.port, bus_port)
    _await_cluster((source, target))
    return source, target


def _move(source, target):
    """Moves the slot; how long that takes."""
    client, started = Client(source.port), time.monotonic()
    try:
        reply = client.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", SLOT, SLOT, "NODE", target.call("CLUSTER", "MYID"))
        state = reply
        while reply == "OK" and (state := _state(client)) not in ENDS:
            if time.monotonic() - started > MOVE_LIMIT_S:
                raise RuntimeError("the slot did not move in time")
            time.sleep(POLL_S)
    finally:
        client.close()
    if state != "success":
        raise RuntimeError(f"the slot did not move: {state}")
    return time.monotonic() - started


def _one_move(kind, keys):
    with contextlib.ExitStack() as stack:
        nodes = source, target = _cluster(stack, kind)
        _fill(source, keys)
        for node in nodes:
            node.settle()
        before = [node.cpu()[0] for node in nodes]
        with _watched(nodes) as longest_ms:
            wall_s = _move(source, target)
            cpu_s = [(node.cpu()[0] - begin) / 1e9 for node, begin in zip(nodes, before)]
        if target.call("CLUSTER", "COUNTKEYSINSLOT", SLOT) != keys:
            raise RuntimeError("keys are missing")
        return {"wall_s": wall_s, "source_cpu_s": cpu_s[0], "target_cpu_s": cpu_s[1],
                "source_busy_ms": longest_ms[0], "target_busy_ms": longest_ms[1]}


def run(kinds, rounds, keys, out_of_time):
    """Gives {server: {figure: [one for each round]}}: the kinds in alternating order."""
    table = {}
    able = [kind for kind in kinds if not kind.is_echo]
    for number in range(rounds):
        for kind in list(able) if number % 2 == 0 else able[::-1]:
            if out_of_time():
                return table
            try:
                got = _one_move(kind, keys)
            except FAILURES as error:
                leave_out(f"moving a slot of {keys:,} keys: {kind.name}: {error}")
                able.remove(kind)
                continue
            row = table.setdefault(kind.name, {})
            for figure, value in got.items():
                row.setdefault(figure, []).append(value)
    for name, row in table.items():
        busy = [max(row[f"{side}_busy_ms"]) for side in ("source", "target")]
        say(f"  {name}: {keys:,} keys of one slot moved in {median(row['wall_s']):.3f} s; at most {busy[0]:.2f} ms of the source's "
            f"processor time in one wait, {busy[1]:.2f} ms of the target's")
    return table
