"""What eviction costs and how well it chooses, at a memory limit that holds the same number of keys on every server.

CPU: SET at depth 16 of four times as many keys as fit, so that three of four requests evict one. Hit rate: one trace of
reads, Zipf-distributed, in which every miss is followed by a write; the same trace for all.
"""

import bisect
import contextlib
import csv
import io
import itertools
import random
from statistics import median

from .servers import FAILURES, Client, Server, leave_out, run_load, say

POLICIES = ("allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-ttl")
CONNECTIONS, DEPTH = 50, 16
VALUE = "x" * 64
OVERCOMMIT = 4
BENCHMARK_TIMEOUT_S = 120
TRACE_KEYS, TRACE_FIT, TRACE_BATCH, TRACE_SKEW = 100_000, 10_000, 50, 0.9


def _limit(server, policy):
    """Sets the limit to what is used now."""
    server.settle()
    fields = server.info("memory")
    server.call("CONFIG", "SET", "maxmemory-policy", policy)
    server.call("CONFIG", "SET", "maxmemory", fields["used_memory"])


def _empty(server):
    server.call("CONFIG", "SET", "maxmemory", "0")
    server.call("FLUSHALL")
    server.settle()


def _load(server, keys, policy):
    template = ("SET", "key:{i}", VALUE) if policy.startswith("allkeys") else ("SETEX", "key:{i}", "9{i}", VALUE)
    server.probe("--count", keys, "--in-flight", 1000, *template)
    _limit(server, policy)


def _cpu(server, policy, keys, requests):
    words = ("-t", "set") if policy.startswith("allkeys") else ("SETEX", "key:__rand_int__", "86400", VALUE)
    benchmark = ["redis-benchmark", "-p", server.port, "-c", CONNECTIONS, "-n", requests, "-P", DEPTH]
    benchmark += ["-r", keys * OVERCOMMIT, "-d", len(VALUE), "--csv", *words]
    server.settle()
    before = server.cpu()[0]
    output = run_load(benchmark, server, BENCHMARK_TIMEOUT_S)
    if list(csv.reader(io.StringIO(output)))[-1][1] == "0.00":
        raise RuntimeError("nothing was measured")
    return (server.cpu()[0] - before) / requests / 1000


def trace(length):
    """The numbers of the keys that are read, few of them often."""
    weights = itertools.accumulate((rank + 1) ** -TRACE_SKEW for rank in range(TRACE_KEYS))
    steps = list(weights)
    source = random.Random(1)
    names = list(range(TRACE_KEYS))
    source.shuffle(names)
    return [names[bisect.bisect_left(steps, source.random() * steps[-1])] for _ in range(length)]


def _hit_rate(server, policy, accesses):
    value = "x" * 100
    server.probe("--count", TRACE_FIT, "--in-flight", 1000, *(
        ("SET", "key:{i}", value) if policy.startswith("allkeys") else ("SETEX", "key:{i}", "86400", value)))
    _limit(server, policy)
    client, hits = Client(server.port), 0

    def send(commands):
        client.socket.sendall(b"".join(
            b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)
            for words in commands))
        return [client._reply() for _ in commands]

    for start in range(0, len(accesses), TRACE_BATCH):
        keys = [f"trc:{number:012}" for number in accesses[start:start + TRACE_BATCH]]
        found = send([("GET", key) for key in keys])
        missed = [key for key, reply in zip(keys, found) if reply is None]
        hits += len(keys) - len(missed)
        send([("SET", key, value) if policy.startswith("allkeys") else ("SETEX", key, "86400", value) for key in missed])
    client.close()
    return hits / len(accesses)


def run(kinds, rounds, keys, scale, out_of_time):
    """Yields (policy, {server: figures}): all servers at once, in alternating order, as for the section cpu."""
    requests = max(1, round(1_000_000 * scale / (CONNECTIONS * DEPTH))) * CONNECTIONS * DEPTH
    accesses = trace(int(500_000 * scale))
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(kind)) for kind in kinds if not kind.is_echo]
        for policy in POLICIES:
            row = {server.name: {"cpu_us": [], "hit_rate": None} for server in servers}
            try:
                for server in servers:
                    _empty(server)
                    _load(server, keys, policy)
                for number in range(rounds):
                    for server in servers if number % 2 == 0 else servers[::-1]:
                        if out_of_time():
                            return
                        row[server.name]["cpu_us"].append(_cpu(server, policy, keys, requests))
                if policy != "volatile-ttl":
                    for server in servers:
                        _empty(server)
                        row[server.name]["hit_rate"] = _hit_rate(server, policy, accesses)
            except FAILURES as error:
                leave_out(f"eviction, {policy}: {error}")
                continue
            figures = "  ".join(f"{name} {median(got['cpu_us']):.3f} µs, {got['hit_rate'] or 0:.2%}" for name, got in row.items())
            say(f"  {policy}: {figures}")
            yield policy, row
