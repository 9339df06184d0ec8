"""CPU per request and throughput under redis-benchmark's own tests.

All servers run at once, each idle but for its turn. Rounds alternate in direction (A B C, C B A, …), so that a machine
that grows warmer or busier favours nobody, and ratios are taken within a round before their median is.
"""

import contextlib
import csv
import io
from dataclasses import dataclass, field
from statistics import median

from .servers import ECHO, FAILURES, SUBJECT, Server, leave_out, run_load, say

CONNECTIONS = 50
VALUE = "x" * 64
LIST_ELEMENTS = 1000
BENCHMARK_TIMEOUT_S = 60
# Enough requests for about a second on one core.
REQUESTS_AT_DEPTH = {1: 100_000, 16: 1_000_000, 100: 2_000_000}


@dataclass(frozen=True)
class Test:
    """One of redis-benchmark's tests; `words` replaces `-t name` where that would measure something else as well."""

    name: str
    command: str
    words: tuple = ()
    # A template for the probe that puts things in place, and how many times (None: once per request).
    prepare: tuple = ()
    prepare_count: int | None = None
    leaves: tuple = ()
    share: float = 1.0
    has_floor: bool = True


def _range_test(name, last, share):
    # The test of that name times an LPUSH pass too; and the echo loop's short reply is no floor for a long one.
    prepare = ("LPUSH", "mylist", VALUE)
    words = ("LRANGE", "mylist", "0", str(last))
    return Test(name, "LRANGE", words, prepare, LIST_ELEMENTS, ("mylist",), share, has_floor=False)


TESTS = [
    Test("PING_INLINE", "PING"),
    Test("PING_MBULK", "PING"),
    Test("SET", "SET"),
    Test("GET", "GET"),
    Test("INCR", "INCR"),
    Test("LPUSH", "LPUSH", leaves=("mylist",), share=0.5),
    Test("RPUSH", "RPUSH", leaves=("mylist",), share=0.5),
    Test("LPOP", "LPOP", prepare=("LPUSH", "mylist", VALUE), leaves=("mylist",), share=0.5),
    Test("RPOP", "RPOP", prepare=("LPUSH", "mylist", VALUE), leaves=("mylist",), share=0.5),
    Test("SADD", "SADD", leaves=("myset",), share=0.5),
    Test("HSET", "HSET", leaves=("myhash",), share=0.5),
    Test("SPOP", "SPOP", prepare=("SADD", "myset", "element:{i}"), leaves=("myset",), share=0.5),
    Test("ZADD", "ZADD", leaves=("myzset",), share=0.3),
    Test("ZPOPMIN", "ZPOPMIN", prepare=("ZADD", "myzset", "{i}", "element:{i}"), leaves=("myzset",), share=0.3),
    _range_test("LRANGE_100", 99, 0.1),
    _range_test("LRANGE_300", 299, 0.04),
    _range_test("LRANGE_500", 499, 0.03),
    _range_test("LRANGE_600", 599, 0.02),
    Test("MSET", "MSET", share=0.2),
    # Its `*` would look like a request to the echo loop.
    Test("XADD", "XADD", ("XADD", "mystream", "*", "field", VALUE), leaves=("mystream",), share=0.5, has_floor=False),
]


@dataclass
class Case:
    """All that was measured for one test at one depth: by server, one figure per round."""

    test: str
    depth: int
    requests: int
    cpu_us: dict = field(default_factory=dict)
    per_second: dict = field(default_factory=dict)
    off_core_share: dict = field(default_factory=dict)

    def add(self, server, sample):
        for figures, value in zip((self.cpu_us, self.per_second, self.off_core_share), sample):
            figures.setdefault(server, []).append(value)

    def forget(self, server):
        for figures in (self.cpu_us, self.per_second, self.off_core_share):
            figures.pop(server, None)

    def ratio(self, server, other):
        """The median of the rounds' own ratios; None where one of the two was not measured."""
        pairs = list(zip(self.cpu_us.get(server, ()), self.cpu_us.get(other, ())))
        return median(mine / theirs for mine, theirs in pairs) if pairs else None

    def best_peer(self):
        peers = {name: median(values) for name, values in self.cpu_us.items() if name not in (ECHO, SUBJECT)}
        return min(peers, key=peers.get) if peers else None


def _measure(server, test, depth, requests, keys):
    if test.prepare and not server.kind.is_echo:
        server.probe("--count", test.prepare_count or requests, "--in-flight", 1000, *test.prepare)
    server.settle()
    benchmark = ["redis-benchmark", "-p", server.port, "-c", CONNECTIONS, "-n", requests, "-P", depth]
    benchmark += ["-r", keys, "-d", len(VALUE), "--csv", *(test.words or ("-t", test.name.lower()))]
    used_before, waited_before = server.cpu()
    output = run_load(benchmark, server, BENCHMARK_TIMEOUT_S)
    used, waited = (after - before for after, before in zip(server.cpu(), (used_before, waited_before)))
    if test.leaves and not server.kind.is_echo:
        server.call("DEL", *test.leaves)
    per_second = float(list(csv.reader(io.StringIO(output)))[-1][1])
    return used / requests / 1000, per_second, waited / max(used, 1)


def _preload(server, keys, tests):
    """Every key that GET, SET and INCR may draw exists, so that a read is a hit and a write an overwrite."""
    say(f"  {server.label}: loading {keys} keys")
    server.probe("--count", keys, "--in-flight", 1000, "SET", "key:{i}", VALUE)
    if any(test.name == "INCR" for test in tests):
        server.probe("--count", keys, "--in-flight", 1000, "SET", "counter:{i}", "1{i}")


def _servers_for(test, servers):
    fit = []
    for server in servers:
        if server.kind.is_echo and not test.has_floor:
            continue
        try:
            knows = server.knows(test.command)
        except FAILURES as error:
            leave_out(f"{test.name}: {server.label}: {error}")
            continue
        if knows:
            fit.append(server)
        else:
            leave_out(f"{test.name}: {server.label} does not know {test.command}")
    return fit


def _round(case, servers, test, keys):
    """Measures each server once; one that fails has its figures for this test taken out."""
    for server in servers:
        try:
            case.add(server.name, _measure(server, test, case.depth, case.requests, keys))
        except FAILURES as error:
            fate = "" if server.is_alive() else ", and it has ended"
            leave_out(f"{test.name} at depth {case.depth}: {server.label}: {error}{fate}")
            case.forget(server.name)


def run(kinds, tests, depths, rounds, keys, scale, out_of_time):
    """Yields a Case as soon as it is complete, so that what is done survives an interruption."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(kind)) for kind in kinds]
        for server in servers:
            if not server.kind.is_echo:
                _preload(server, keys, tests)
        for depth in depths:
            base = REQUESTS_AT_DEPTH.get(depth, 100_000 * min(depth, 20))
            for test in tests:
                # A whole number of full pipelines on every connection: no client sends more than it is asked to.
                chunk = CONNECTIONS * depth
                requests = max(1, round(base * test.share * scale / chunk)) * chunk
                case = Case(test.name, depth, requests)
                fit = _servers_for(test, servers)
                for number in range(rounds):
                    if out_of_time():
                        return
                    _round(case, fit if number % 2 == 0 else fit[::-1], test, keys)
                    fit = [server for server in fit if server.name in case.cpu_us]
                servers = [server for server in servers if server.is_alive()]
                if not case.cpu_us:
                    continue
                figures = "  ".join(f"{name} {median(values):.3f}" for name, values in case.cpu_us.items())
                say(f"  depth {depth} {test.name}: {figures} µs")
                yield case
