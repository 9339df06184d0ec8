"""CPU per request and throughput under redis-benchmark's own tests.

All servers run at once, each idle but for its turn. Rounds alternate in direction (A B C, C B A, …), so that a machine
that grows warmer or busier favours nobody, and ratios are taken within a round before their median is.
"""

import contextlib
import csv
import hashlib
import io
from dataclasses import dataclass, field
from statistics import median

from . import drivers
from .servers import ECHO, FAILURES, SUBJECT, Server, leave_out, run_load, say

CONNECTIONS = 50
VALUE = "x" * 64
LIST_ELEMENTS = 1000
BENCHMARK_TIMEOUT_S = 60
# Enough requests for about a second on one core.
REQUESTS_AT_DEPTH = {1: 100_000, 16: 1_000_000, 100: 2_000_000}


@dataclass(frozen=True)
class Step:
    """What is put in place before a test: a template for the probe, sent so many times (None: once per request; 0: once,
    by a client that can read replies of many lines)."""

    template: tuple
    count: int | None = None


@dataclass(frozen=True)
class Test:
    """One of redis-benchmark's tests; `words` replaces `-t name` where there is none or it would measure something else as well."""

    name: str
    command: str
    words: tuple = ()
    prepare: tuple = ()
    leaves: tuple = ()
    share: float = 1.0
    has_floor: bool = True
    # Random numbers in `words` are below this (None: the number of keys).
    numbers: int | None = None
    # What makes the load, if redis-benchmark cannot.
    drive: object = None
    deepest: int = 100


def _range_test(name, last, share):
    # The test of that name times an LPUSH pass too; and the echo loop's short reply is no floor for a long one.
    prepare = (Step(("LPUSH", "mylist", VALUE), LIST_ELEMENTS),)
    words = ("LRANGE", "mylist", "0", str(last))
    return Test(name, "LRANGE", words, prepare, ("mylist",), share, has_floor=False)


def _own_test(name, words, prepare, share=0.3, numbers=None, leaves=("big", "other", "result")):
    """A test that redis-benchmark has no name for."""
    return Test(name, words[0], words, prepare, leaves, share, has_floor=False, numbers=numbers)


MEMBERS = 100_000
RANDOM = "__rand_int__"
_HASH = (Step(("HSET", "big", "field:{i}", VALUE), MEMBERS),)
_SET = (Step(("SADD", "big", "member:{i}"), MEMBERS),)
_SORTED_SET = (Step(("ZADD", "big", "{i}", "member:{i}"), MEMBERS),)
_TWO_SETS = (Step(("SADD", "big", "member:{i}"), 10_000), Step(("SADD", "other", "member:0{i}", "member:{i}"), 5_000))
_TWO_SORTED = (Step(("ZADD", "big", "{i}", "member:{i}"), 10_000), Step(("ZADD", "other", "{i}", "element:{i}"), 10_000))
_STREAM = (Step(("XADD", "big", "{i}-1", "field", VALUE), MEMBERS),)
_GROUP = (Step(("XGROUP", "CREATE", "big", "group", "0"), 1),)
_DELIVER = (Step(("XREADGROUP", "GROUP", "group", "reader", "COUNT", str(MEMBERS), "STREAMS", "big", ">"), 0),)
# One thousandth of a degree apart, on a diagonal.
_PLACES = (Step(("GEOADD", "big", "{i}e-3", "{i}e-3", "place:{i}"), 10_000),)
_FIELDS = tuple(word for number in range(50) for word in (f"field:{number}", "x" * 16))

# Scripts as applications have them: a lock given back, many small commands, a limiter of rates, and nothing but arithmetic.
_UNLOCK = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end"
_CALLS = """for i=1,7 do redis.call('SET',KEYS[1],i) redis.call('GET',KEYS[1]) end
for i=1,6 do redis.call('HSET',KEYS[2],i,ARGV[1]) end return redis.call('GET',KEYS[1])"""
_LIMITER = """local used=redis.call('INCR',KEYS[1])
if used==1 then redis.call('PEXPIRE',KEYS[1],ARGV[2]) end
if used>tonumber(ARGV[1]) then return {0,redis.call('PTTL',KEYS[1])} end
return {1,tonumber(ARGV[1])-used}"""
_LOOP = "local n=0 for i=1,100000 do n=n+i*2-1 end return n"


def _script_test(name, script, keys=(), arguments=(), prepare=(), share=0.2, numbers=None):
    """A script that is called by its digest."""
    digest = hashlib.sha1(script.encode()).hexdigest()
    load = Step(("SCRIPT", "LOAD", script), 0)
    words = ("EVALSHA", digest, str(len(keys)), *keys, *arguments)
    return _own_test(name, words, (load, *prepare), share, numbers=numbers)


TESTS = [
    Test("PING_INLINE", "PING"),
    Test("PING_MBULK", "PING"),
    Test("SET", "SET"),
    Test("GET", "GET"),
    Test("INCR", "INCR"),
    Test("LPUSH", "LPUSH", leaves=("mylist",), share=0.5),
    Test("RPUSH", "RPUSH", leaves=("mylist",), share=0.5),
    Test("LPOP", "LPOP", prepare=(Step(("LPUSH", "mylist", VALUE)),), leaves=("mylist",), share=0.5),
    Test("RPOP", "RPOP", prepare=(Step(("LPUSH", "mylist", VALUE)),), leaves=("mylist",), share=0.5),
    Test("SADD", "SADD", leaves=("myset",), share=0.5),
    Test("HSET", "HSET", leaves=("myhash",), share=0.5),
    Test("SPOP", "SPOP", prepare=(Step(("SADD", "myset", "element:{i}")),), leaves=("myset",), share=0.5),
    Test("ZADD", "ZADD", leaves=("myzset",), share=0.3),
    Test("ZPOPMIN", "ZPOPMIN", prepare=(Step(("ZADD", "myzset", "{i}", "element:{i}")),), leaves=("myzset",), share=0.3),
    _range_test("LRANGE_100", 99, 0.1),
    _range_test("LRANGE_300", 299, 0.04),
    _range_test("LRANGE_500", 499, 0.03),
    _range_test("LRANGE_600", 599, 0.02),
    Test("MSET", "MSET", share=0.2),
    # Its `*` would look like a request to the echo loop.
    Test("XADD", "XADD", ("XADD", "mystream", "*", "field", VALUE), leaves=("mystream",), share=0.5, has_floor=False),
    _own_test("HGET", ("HGET", "big", f"field:{RANDOM}"), _HASH, numbers=MEMBERS),
    _own_test("HGETALL_50", ("HGETALL", "big"), (Step(("HSET", "big", *_FIELDS), 1),), share=0.1),
    _own_test("SISMEMBER", ("SISMEMBER", "big", f"member:{RANDOM}"), _SET, numbers=MEMBERS),
    _own_test("ZSCORE", ("ZSCORE", "big", f"member:{RANDOM}"), _SORTED_SET, numbers=MEMBERS),
    _own_test("ZRANK", ("ZRANK", "big", f"member:{RANDOM}"), _SORTED_SET, numbers=MEMBERS),
    _own_test("ZRANGE_100", ("ZRANGE", "big", "1000", "1099"), _SORTED_SET, share=0.1),
    _own_test("ZRANGEBYSCORE_100", ("ZRANGEBYSCORE", "big", "5000", "5099"), _SORTED_SET, share=0.1),
    _own_test("SINTER_10000", ("SINTER", "big", "other"), _TWO_SETS, share=0.001),
    _own_test("ZUNIONSTORE_10000", ("ZUNIONSTORE", "result", "2", "big", "other"), _TWO_SORTED, share=0.001),
    _own_test("XRANGE_100", ("XRANGE", "big", "1000", "+", "COUNT", "100"), _STREAM, share=0.1),
    _own_test("XREADGROUP", ("XREADGROUP", "GROUP", "group", "reader", "COUNT", "1", "STREAMS", "big", ">"),
              (Step(("XADD", "big", "{i}-1", "field", VALUE)), *_GROUP)),
    _own_test("XACK", ("XACK", "big", "group", f"{RANDOM}-1"), _STREAM + _GROUP + _DELIVER, share=0.2, numbers=MEMBERS),
    _own_test("GEOSEARCH", ("GEOSEARCH", "big", "FROMLONLAT", "5", "5", "BYRADIUS", "10", "km"), _PLACES, share=0.02),
    _own_test("BITCOUNT_1MB", ("BITCOUNT", "big"), (Step(("SETBIT", "big", "8388607", "1"), 1),), share=0.004),
    _own_test("PFADD", ("PFADD", "big", RANDOM), (), numbers=1_000_000),
    _own_test("PFCOUNT", ("PFCOUNT", "big"), (Step(("PFADD", "big", "{i}"), MEMBERS),)),
    # Most locks are there still when they are given back.
    _script_test("EVALSHA_UNLOCK", _UNLOCK, (f"lock:{RANDOM}",), ("token",),
                 (Step(("SET", "lock:{i}", "token"), MEMBERS),), share=0.1, numbers=MEMBERS),
    _script_test("EVALSHA_CALLS_21", _CALLS, ("other", "big"), (VALUE,), share=0.05),
    _script_test("EVALSHA_LIMITER", _LIMITER, (f"rate:{RANDOM}",), ("10", "600000"), numbers=MEMBERS),
    _script_test("EVALSHA_LOOP_100000", _LOOP, share=0.0005),
    Test("MULTI_SET_10", "MULTI", drive=drivers.transactions, share=0.1, has_floor=False),
    Test("PUBLISH_1", "PUBLISH", drive=drivers.publish(1), share=0.3, has_floor=False),
    Test("PUBLISH_100", "PUBLISH", drive=drivers.publish(100), share=0.02, has_floor=False),
    Test("PUBLISH_10000", "PUBLISH", drive=drivers.publish(10_000), share=0.0005, has_floor=False, deepest=16),
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
    for step in () if server.kind.is_echo else test.prepare:
        if step.count == 0:
            server.call(*step.template)
        else:
            server.probe("--count", step.count or requests, "--in-flight", 1000, *step.template)
    server.settle()
    if test.drive:
        per_second, (used_before, waited_before), after = test.drive(server, requests, keys, depth)
        used, waited = after[0] - used_before, after[1] - waited_before
        return used / requests / 1000, per_second, waited / max(used, 1)
    benchmark = ["redis-benchmark", "-p", server.port, "-c", CONNECTIONS, "-n", requests, "-P", depth]
    benchmark += ["-r", test.numbers or keys, "-d", len(VALUE), "--csv", *(test.words or ("-t", test.name.lower()))]
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
                if depth > test.deepest:
                    continue
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
