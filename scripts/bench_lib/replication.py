"""What replicas cost, and what a full synchronization does to those who are served meanwhile.

Stream: SET at depth 16 on a primary with no, one and three replicas of its own kind; CPU per request of the primary, and
of one replica for what it applies. Synchronization: a primary with many keys, written to at a fixed rate; a replica comes,
and a second one while the first is sent the data. Replicas run on the core of the load.
"""

import contextlib
import json
import threading
import time
from pathlib import Path
from statistics import median

from .cpu import CONNECTIONS
from .servers import FAILURES, LOAD_CORE, Server, leave_out, run_load, say
from .waits import PING

DEPTH = 16
VALUE = "x" * 64
SYNCED_VALUE = "x" * 20
REPLICA_COUNTS = (0, 1, 3)
WRITE_RATE = 20_000
LINK_LIMIT_S = 60
SYNC_LIMIT_S = 300
SAMPLE_S = 0.1


def _replica(stack, kind, primary):
    """A replica, once it is in step with its primary."""
    replica = stack.enter_context(Server(kind, ("--replicaof", f"127.0.0.1 {primary.port}"), LOAD_CORE))
    _await_link(replica, LINK_LIMIT_S)
    return replica


def _await_link(replica, limit_s):
    deadline = time.monotonic() + limit_s
    while replica.info("replication").get("master_link_status") != "up":
        if time.monotonic() > deadline:
            raise RuntimeError("the replica was not in step in time")
        time.sleep(0.02)


def _in_step(primary, replicas):
    offset = int(primary.info("replication")["master_repl_offset"])
    deadline = time.monotonic() + LINK_LIMIT_S
    while any(int(replica.info("replication")["slave_repl_offset"]) < offset for replica in replicas):
        if time.monotonic() > deadline:
            raise RuntimeError("the replicas did not catch up in time")
        time.sleep(0.02)


def _one_pass(primary, replicas, keys, requests):
    """(CPU per request of the primary, CPU per command of the first replica or None), in µs."""
    command = ["redis-benchmark", "-p", primary.port, "-c", CONNECTIONS, "-n", requests, "-P", DEPTH]
    command += ["-r", keys, "-d", len(VALUE), "--csv", "-t", "set"]
    primary.settle()
    before = [server.cpu()[0] for server in (primary, *replicas[:1])]
    run_load(command, primary, 180)
    if replicas:
        _in_step(primary, replicas)
    after = [server.cpu()[0] for server in (primary, *replicas[:1])]
    used = [(end - begin) / requests / 1000 for begin, end in zip(before, after)]
    return used[0], used[1] if replicas else None


def stream(kinds, rounds, keys, scale, out_of_time):
    """Yields (replicas, {server: figures}): the kinds in alternating order."""
    requests = max(1, round(1_000_000 * scale / (CONNECTIONS * DEPTH))) * CONNECTIONS * DEPTH
    for count in REPLICA_COUNTS:
        row = {}
        with contextlib.ExitStack() as stack:
            sets = []
            for kind in (kind for kind in kinds if not kind.is_echo):
                try:
                    primary = stack.enter_context(Server(kind, ("--repl-diskless-sync-delay", "0")))
                    sets.append((primary, [_replica(stack, kind, primary) for _ in range(count)]))
                except FAILURES as error:
                    leave_out(f"{count} replicas: {kind.name}: {error}")
            for number in range(rounds):
                for primary, replicas in sets if number % 2 == 0 else sets[::-1]:
                    if out_of_time():
                        return
                    try:
                        cpu_us, applied_us = _one_pass(primary, replicas, keys, requests)
                    except FAILURES as error:
                        leave_out(f"{count} replicas: {primary.label}: {error}")
                        continue
                    got = row.setdefault(primary.name, {"cpu_us": [], "applied_us": []})
                    got["cpu_us"].append(cpu_us)
                    if applied_us is not None:
                        got["applied_us"].append(applied_us)
        if row:
            say(f"  {count} replicas: " + "  ".join(f"{name} {median(got['cpu_us']):.3f} µs" for name, got in row.items()))
            yield count, row


class _Peak(threading.Thread):
    """Samples the memory of a process and its children, in bytes, for the highest."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.bytes, self.ended = process, 0, threading.Event()

    def run(self):
        while not self.ended.wait(SAMPLE_S):
            self.bytes = max(self.bytes, proportional_bytes(self.process))

    def end(self):
        self.ended.set()
        self.join()
        return self.bytes


def proportional_bytes(process):
    """What a process and its children take, pages that they share counted once."""
    total = 0
    children = Path(f"/proc/{process}/task/{process}/children")
    with contextlib.suppress(OSError):
        for one in [str(process), *children.read_text().split()]:
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return total


def _await_payload(primary, count):
    deadline = time.monotonic() + SYNC_LIMIT_S
    while True:
        lines = [text for name, text in primary.info("replication").items() if name.startswith("slave") and "state=" in text]
        if sum("state=send_bulk" in line or "state=online" in line for line in lines) >= count:
            return
        if time.monotonic() > deadline:
            raise RuntimeError("the payload was not begun in time")
        time.sleep(0.02)


def _synchronize(kind, keys):
    seconds = max(10, keys // 200_000)
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(Server(kind, ("--repl-diskless-sync-delay", "0")))
        primary.probe("--count", keys, "--in-flight", 1000, "SET", "key:{i}", SYNCED_VALUE)
        primary.settle(limit_s=30)
        before = proportional_bytes(primary.process.pid)
        watched, peak = {}, _Peak(primary.process.pid)

        def write():
            words = (*PING, "--count", WRITE_RATE * seconds, "--rate", WRITE_RATE, "--in-flight", 20)
            watched.update(json.loads(primary.probe(*words, "SET", "key:{i}", SYNCED_VALUE[::-1] + "y", timeout_s=SYNC_LIMIT_S)))

        writer = threading.Thread(target=write)
        writer.start()
        peak.start()
        settings = ("--replicaof", f"127.0.0.1 {primary.port}", "--repl-timeout", SYNC_LIMIT_S)
        started = time.monotonic()
        replicas = [stack.enter_context(Server(kind, settings, LOAD_CORE))]
        _await_payload(primary, 1)
        replicas.append(stack.enter_context(Server(kind, settings, LOAD_CORE)))
        for replica in replicas:
            _await_link(replica, SYNC_LIMIT_S)
        sync_s = time.monotonic() - started
        highest = peak.end()
        writer.join()
        _in_step(primary, replicas)
        sizes = [server.call("DBSIZE") for server in (primary, *replicas)]
        if len(set(sizes)) != 1:
            raise RuntimeError(f"keys differ: {sizes}")
    return {**watched, "sync_s": sync_s, "beyond_bytes": max(0, highest - before), "data_bytes": before}


def synchronize(kinds, keys, out_of_time):
    """Yields (server, figures), one server at a time."""
    for kind in (kind for kind in kinds if not kind.is_echo):
        if out_of_time():
            return
        try:
            got = _synchronize(kind, keys)
        except FAILURES as error:
            leave_out(f"synchronization of {keys:,} keys: {kind.name}: {error}")
            continue
        say(f"  {kind.name}: {keys:,} keys to two replicas in {got['sync_s']:.1f} s, {got['beyond_bytes'] / 1e6:.0f} MB beyond "
            f"{got['data_bytes'] / 1e6:.0f} MB; longest wait {got['wait_max_us'] / 1000:.2f} ms, 2 ms and more "
            f"{got['waits_over_2ms']} times, of its processor time {got['busy_over_2ms']} times")
        yield kind.name, got
