"""Instructions per request of Oneloop against another binary of it, counted by callgrind.

Times depend on what else the machine does; instructions do not, so this section also says something on a busy machine. One
connection sends its requests and waits for all replies, so that both binaries see the same reads, batches and turns.
"""

import random
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import Callable

from .drivers import VALUE, encode
from .servers import SUBJECT, Client, Kind, Server, say

KEYS = 20_000
FIELDS = 1_000
WARM_UP = 600
# Depth 1 costs a turn of the loop for each request, so it takes fewer of them to the same precision.
REQUESTS = {1: 3_000, 16: 8_000, 100: 12_000}
TOLERANCE = 0.01
# Hash tables are seeded anew with each start: a second start tells chance from a change.
STARTS = 2
CONTROL_TIMEOUT_S = 60
SAVE_TIMEOUT_S = 120
# The cron runs by time, not by requests: as seldom as it may.
SETTINGS = ("--hz", "1")


@dataclass(frozen=True)
class Case:
    """One command; `request` gets a number and a source of random numbers."""

    name: str
    request: Callable
    settings: tuple = ()


def _key(numbers):
    return b"key:%d" % numbers.randrange(KEYS)


def _field(numbers):
    return b"field:%d" % numbers.randrange(FIELDS)


CASES = (
    Case("PING", lambda _number, _numbers: encode(b"PING")),
    Case("GET", lambda _number, numbers: encode(b"GET", _key(numbers))),
    Case("SET", lambda _number, numbers: encode(b"SET", _key(numbers), VALUE)),
    Case("INCR", lambda _number, _numbers: encode(b"INCR", b"counter")),
    Case("MGET_10", lambda _number, numbers: encode(b"MGET", *(_key(numbers) for _ in range(10)))),
    Case("EXPIRE", lambda _number, numbers: encode(b"EXPIRE", _key(numbers), b"100000")),
    Case("LPUSH_RPOP", lambda number, _: encode(b"LPUSH", b"list", VALUE) if number % 2 else encode(b"RPOP", b"list")),
    Case("LRANGE_100", lambda _number, _numbers: encode(b"LRANGE", b"list", b"0", b"99")),
    Case("HSET", lambda _number, numbers: encode(b"HSET", b"hash", _field(numbers), VALUE)),
    Case("HGET", lambda _number, numbers: encode(b"HGET", b"hash", _field(numbers))),
    Case("SADD", lambda _number, numbers: encode(b"SADD", b"set", _field(numbers))),
    Case("ZADD", lambda _number, numbers: encode(b"ZADD", b"sorted", b"%d" % numbers.randrange(FIELDS), _field(numbers))),
    Case("ZSCORE", lambda _number, numbers: encode(b"ZSCORE", b"sorted", _field(numbers))),
    Case("XADD", lambda _number, _numbers: encode(b"XADD", b"stream", b"MAXLEN", b"~", b"1000", b"*", b"field", VALUE)),
    Case("EVAL", lambda _number, _numbers: encode(b"EVAL", b"return ARGV[1]", b"0", VALUE)),
    Case("SET_AOF", lambda _number, numbers: encode(b"SET", _key(numbers), VALUE), ("--appendonly", "yes")),
)


class CountedServer(Server):
    """A server under callgrind."""

    start_timeout_s = 120

    def command(self):
        self.counts = self.folder / "callgrind"
        return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={self.counts}", self.kind.binary]

    def _control(self, command):
        # Not by callgrind_control, which does not find servers that give themselves a title.
        control = ["vgdb", f"--pid={self.process.pid}", command]
        subprocess.run(control, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=CONTROL_TIMEOUT_S)

    def start_counting(self):
        self._control("zero")

    def counted(self):
        """Instructions of all threads since the counting began."""
        for old in self.folder.glob("callgrind.*"):
            old.unlink()
        self._control("dump")
        dumps = sorted(self.folder.glob("callgrind.*"))
        found = re.search(r"^(?:totals|summary): (\d+)", dumps[0].read_text(), re.MULTILINE) if dumps else None
        if not found:
            raise RuntimeError("callgrind wrote no counts")
        return int(found[1])


def _send(client, case, numbers, first, count, depth):
    for start in range(first, first + count, depth):
        client.socket.sendall(b"".join(case.request(start + index, numbers) for index in range(depth)))
        for _ in range(depth):
            client._reply()


def _fill(client):
    def each(requests):
        for start in range(0, len(requests), 500):
            piece = requests[start:start + 500]
            client.socket.sendall(b"".join(piece))
            for _ in piece:
                client._reply()

    each([encode(b"SET", b"key:%d" % number, VALUE) for number in range(KEYS)])
    fields = [b"field:%d" % number for number in range(FIELDS)]
    each([encode(b"HSET", b"hash", field, VALUE) for field in fields])
    each([encode(b"SADD", b"set", field) for field in fields])
    each([encode(b"ZADD", b"sorted", b"1", field) for field in fields])
    each([encode(b"RPUSH", b"list", VALUE) for _ in fields])
    each([encode(b"SET", b"counter", b"1000000")])


def _start_a_thread(client):
    """The C library's system calls take a longer way from the first thread on, which comes at any time: so before all counting."""
    client.call("BGSAVE")
    deadline = time.monotonic() + SAVE_TIMEOUT_S
    while "rdb_bgsave_in_progress:0" not in client.call("INFO", "persistence"):
        if time.monotonic() > deadline:
            raise RuntimeError("the snapshot took too long")
        time.sleep(0.05)


def _count(kind, cases, depths):
    """Instructions per request by case and depth."""
    figures = {}
    for settings in sorted({case.settings for case in cases}):
        with CountedServer(kind, SETTINGS + settings) as server:
            client = Client(server.port)
            _fill(client)
            _start_a_thread(client)
            for case in cases:
                if case.settings == settings:
                    for depth in depths:
                        figures[case.name, depth] = _count_one(server, client, case, depth)
            client.close()
    return figures


def _count_one(server, client, case, depth):
    numbers = random.Random(depth)
    requests = REQUESTS.get(depth, max(REQUESTS.values())) // depth * depth
    _send(client, case, numbers, 0, WARM_UP // depth * depth, depth)
    server.start_counting()
    _send(client, case, numbers, 0, requests, depth)
    return server.counted() / requests


def run(subject, baseline, names, depths):
    """The report as text, and whether every case is within the tolerance."""
    if not shutil.which("vgdb"):
        raise SystemExit("valgrind is not on the PATH (Debian: apt install valgrind)")
    cases = [case for case in CASES if not names or case.name in names]
    kinds = [Kind("baseline", baseline), Kind(SUBJECT, subject)]
    least = {}
    for start in range(STARTS):
        for kind in kinds:
            say(f"counting {kind.name}, {start + 1} of {STARTS} …")
            for (name, depth), figure in _count(kind, cases, depths).items():
                place = kind.name, name, depth
                least[place] = min(figure, least.get(place, figure))
    lines = ["| instructions per request | depth | baseline | Oneloop | difference |", "|---|---:|---:|---:|---:|"]
    is_within = True
    for case in cases:
        for depth in depths:
            before, after = (least[kind.name, case.name, depth] for kind in kinds)
            difference = after / before - 1
            is_within &= difference <= TOLERANCE
            lines.append(f"| {case.name} | {depth} | {before:,.0f} | {after:,.0f} | {difference:+.1%} |")
    lines.append("")
    lines.append(f"Every case is within {TOLERANCE:.0%}." if is_within else f"NOT every case is within {TOLERANCE:.0%}.")
    return "\n".join(lines), is_within
