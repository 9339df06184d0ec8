"""Resident bytes per element, for strings of many sizes and for the other types.

Each figure comes from a fresh server. Strings of 64 bytes are stored at several counts: a table that doubles looks worst
just over a power of two and average half-way, and a single count would show only one of the two.
"""

import json
import time
from dataclasses import dataclass

from .servers import FAILURES, Server, leave_out, say

MILLION = 1_000_000
AWKWARD = 2**20 + 1000
STRING_SIZES = [8, 16, 32, 64, 100, 128, 256, 512, 1024, 4096]
BYTES_LIMIT = 1 << 30
WARM_UP_COUNT = 1000
STABLE_S = 1.0
STABLE_SHARE = 0.001
SETTLE_LIMIT_S = 20


@dataclass(frozen=True)
class Shape:
    """What is stored: a template for the probe, sent `count` times, each time adding `elements`."""

    name: str
    template: tuple
    count: int
    elements: int = 1


def _string(size, count):
    return Shape(f"string, {size} B × {count:,}", ("SET", "key:{i}", "x" * size), count)


def shapes(scale):
    """The table of shapes; `scale` shrinks every count."""
    def scaled(count):
        return max(1000, int(count * scale))

    strings = [Shape(f"string, integer × {scaled(MILLION):,}", ("SET", "key:{i}", "1{i}"), scaled(MILLION))]
    for size in STRING_SIZES:
        count = min(MILLION, BYTES_LIMIT // (size + 100))
        counts = [MILLION, AWKWARD, MILLION * 3 // 2] if size == 64 else [count]
        strings += [_string(size, scaled(count)) for count in counts]
    five_fields = [word for number in range(5) for word in (f"field:{number}", "x" * 16)]
    five_members = [f"member:{number}" for number in range(5)]
    ten_fields = [word for number in range(10) for word in (f"field:{number}", "x" * 10)]
    small, large = scaled(MILLION // 4), scaled(MILLION)
    return strings + [
        Shape(f"hash of 5 × {small:,}", ("HSET", "key:{i}", *five_fields), small, 5),
        Shape(f"hash of 10 × {small:,}", ("HSET", "key:{i}", *ten_fields), small, 10),
        Shape(f"set of 5 × {small:,}", ("SADD", "key:{i}", *five_members), small, 5),
        Shape(f"list of 5 × {small:,}", ("RPUSH", "key:{i}", *five_members), small, 5),
        Shape(f"one hash of {large:,}", ("HSET", "big", "field:{i}", "x" * 16), large),
        Shape(f"one set of {large:,}", ("SADD", "big", "member:{i}"), large),
        Shape(f"one set of {large:,} integers", ("SADD", "big", "1{i}"), large),
        Shape(f"one sorted set of {large:,}", ("ZADD", "big", "{i}", "member:{i}"), large),
        Shape(f"one list of {large:,}", ("RPUSH", "big", "member:{i}"), large),
        Shape(f"one list of {large:,}, 32 B", ("RPUSH", "big", "element:{i}:1234567890A"), large),
        Shape(f"one stream of {large:,}", ("XADD", "big", "{i}-1", "field", "{i}"), large),
    ]


def _settled_resident(server):
    """A table that is still moving holds two copies; wait until the figure stays put."""
    deadline = time.monotonic() + SETTLE_LIMIT_S
    resident = server.resident()
    while time.monotonic() < deadline:
        server.settle()
        time.sleep(STABLE_S)
        before, resident = resident, server.resident()
        if abs(resident[1] - before[1]) <= STABLE_SHARE * before[1]:
            break
    return resident


def _measure(kind, shape):
    with Server(kind) as server:
        # Once through and emptied, so that first-touched code and buffers are not booked on the keys.
        server.probe("--count", WARM_UP_COUNT, *shape.template)
        server.call("FLUSHALL")
        before = _settled_resident(server)
        loaded = json.loads(server.probe("--count", shape.count, "--in-flight", 1000, *shape.template))
        if loaded["error"]:
            raise RuntimeError(loaded["error"])
        after = _settled_resident(server)
    elements = shape.count * shape.elements
    counted, walked = ((late - early) / elements for late, early in zip(after, before))
    return {"bytes": walked, "bytes_by_running_count": counted}


def run(kinds, scale, wanted, out_of_time):
    """Yields (shape's name, {server: figures}) for every shape whose name contains one of the wanted words."""
    for shape in shapes(scale):
        if wanted and not any(word in shape.name for word in wanted):
            continue
        row = {}
        for kind in kinds:
            if kind.is_echo:
                continue
            if out_of_time():
                return
            try:
                row[kind.name] = _measure(kind, shape)
            except FAILURES as error:
                leave_out(f"{shape.name}: {kind.name}: {error}")
        say(f"  {shape.name}: " + "  ".join(f"{name} {figures['bytes']:.1f}" for name, figures in row.items()))
        yield shape.name, row
