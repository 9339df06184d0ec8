"""How long a quiet client waits while the server grows, expires and empties a large keyspace.

The quiet client sends a PING every millisecond (see scripts/probe.rs). The echo loop goes through the same phases: its
longest wait is what this machine does to a server that does next to nothing, that is, the noise.
"""

import json
import threading
import time

from .servers import FAILURES, Server, leave_out, say

PING = ("--ping-us", 1000)
TAIL_MS = 1000
IN_FLIGHT = 64
VALUE = "x" * 20
IDLE_MS = 3000
HALVING_MS = 10_000
SAVE_RATE = 20_000
SAVE_LIMIT_S = 120
EXPIRY_MARGIN_S = 2
EXPIRY_LIMIT_S = 180
# One value of each type that grows element by element.
GIANTS = (
    ("list", ("RPUSH", "giant", "element:{i}")),
    ("hash", ("HSET", "giant", "field:{i}", "{i}")),
    ("set", ("SADD", "giant", "member:{i}")),
    ("sorted set", ("ZADD", "giant", "{i}", "member:{i}")),
    ("stream", ("XADD", "giant", "{i}-1", "field", "{i}")),
)


def _refill(server, keys):
    server.probe("--count", keys, "--in-flight", 1000, "SET", "key:{i}", VALUE)
    server.settle(limit_s=30)


def _watched(server, *arguments, timeout_s=300):
    result = json.loads(server.probe(*PING, *arguments, timeout_s=timeout_s))
    if result["error"]:
        raise RuntimeError(result["error"])
    return result


def _expiry(server, keys, fill_s):
    """All keys fall due in one millisecond; `gone_s` is how long after it the last was reclaimed."""
    due_ms = int((time.time() + fill_s + EXPIRY_MARGIN_S) * 1000)
    server.probe("--count", keys, "--in-flight", 1000, "SET", "key:{i}", VALUE, "PXAT", due_ms)
    if time.time() * 1000 >= due_ms:
        raise RuntimeError("loading took longer than the keys were to live")
    result = _watched(server, "--count", 0, "--until-empty", "--tail-ms", TAIL_MS, timeout_s=EXPIRY_LIMIT_S)
    result["gone_s"] = (result["empty_at_unix_ms"] - due_ms) / 1000
    return result


def _halving(server, keys):
    """The limit is set to half of what is used; the watch lasts as long as eviction takes, and longer."""
    _refill(server, keys)
    fields = server.info("memory")
    server.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    half = int(fields["used_memory"]) // 2
    try:
        return _watched(server, "--tail-ms", HALVING_MS, "CONFIG", "SET", "maxmemory", half)
    finally:
        server.call("CONFIG", "SET", "maxmemory", "0")
        server.call("FLUSHALL")
        server.settle(limit_s=30)


def _job(server, keys, begin, running, copied):
    """A job begins under writes all over the keyspace; `job_s` is how long it took, `copied_bytes` what had been copied."""
    done = {}

    def wait_for_end():
        started = time.monotonic()
        while time.monotonic() - started < SAVE_LIMIT_S:
            fields = server.info("persistence")
            if all(fields[field] == "0" for field in running):
                done.update(job_s=time.monotonic() - started, copied_bytes=int(fields[copied]))
                return
            time.sleep(0.05)

    reply = str(server.call(*begin))
    if reply.startswith("-"):
        raise RuntimeError(reply)
    watcher = threading.Thread(target=wait_for_end)
    watcher.start()
    seconds = max(5, keys // 500_000)
    result = _watched(
        server, "--count", SAVE_RATE * seconds, "--rate", SAVE_RATE, "--in-flight", 20, "SET", "key:{i}", VALUE[::-1] + "y"
    )
    watcher.join()
    return result | done


def _save(server, keys):
    _refill(server, keys)
    return _job(server, keys, ("BGSAVE",), ("rdb_bgsave_in_progress",), "rdb_last_cow_size")


def _append(server, keys):
    _refill(server, keys)
    begin = ("CONFIG", "SET", "appendonly", "yes")
    return _job(server, keys, begin, ("aof_rewrite_in_progress", "aof_rewrite_scheduled"), "aof_last_cow_size")


def _rewrite(server, keys):
    """The file is on already, from the phase before."""
    try:
        return _job(server, keys, ("BGREWRITEAOF",), ("aof_rewrite_in_progress", "aof_rewrite_scheduled"), "aof_last_cow_size")
    finally:
        server.call("CONFIG", "SET", "appendonly", "no")


def _phases(server, keys):
    """Yields (phase, function that measures it), in order: growth leaves the keyspace that the next phase empties."""
    fill_s = 1.0

    def growth():
        nonlocal fill_s
        result = _watched(
            server, "--count", keys, "--in-flight", IN_FLIGHT, "--tail-ms", TAIL_MS, "SET", "key:{i}", VALUE, timeout_s=600
        )
        fill_s = result["load_s"]
        # What this machine does to a server that does nothing, for as long: the waits are compared with that.
        control = _watched(server, "--count", 0, "--tail-ms", int(fill_s * 1000) + TAIL_MS, timeout_s=600)
        return result | {"idle_over_2ms": control["waits_over_2ms"]}

    def flush(*words):
        def measure():
            _refill(server, keys)
            return _watched(server, "--tail-ms", TAIL_MS, *words)

        return measure

    yield "idle", lambda: _watched(server, "--count", 0, "--tail-ms", IDLE_MS)
    yield f"growth to {keys:,} keys", growth
    yield "FLUSHALL", flush("FLUSHALL")
    yield "FLUSHALL SYNC", flush("FLUSHALL", "SYNC")
    yield "FLUSHALL ASYNC", flush("FLUSHALL", "ASYNC")
    if server.kind.is_echo:
        return
    yield f"maxmemory halved over {keys:,} keys", lambda: _halving(server, keys)
    yield f"BGSAVE of {keys:,} keys at {SAVE_RATE:,} writes/s", lambda: _save(server, keys)
    yield f"append-only file turned on with {keys:,} keys at {SAVE_RATE:,} writes/s", lambda: _append(server, keys)
    yield f"BGREWRITEAOF of {keys:,} keys at {SAVE_RATE:,} writes/s", lambda: _rewrite(server, keys)
    server.call("FLUSHALL")
    yield f"{keys:,} keys expire at once", lambda: _expiry(server, keys, fill_s)
    for name, template in GIANTS:
        def grow(template=template):
            return _watched(
                server, "--count", keys * 2, "--in-flight", IN_FLIGHT, "--tail-ms", TAIL_MS, *template, timeout_s=600
            )

        yield f"one {name} grows to {keys * 2:,}", grow
        yield f"DEL of the {name}", lambda: _watched(server, "--tail-ms", TAIL_MS, "DEL", "giant")


def _long_waits(result):
    idle = f" (idle for as long: {result['idle_over_2ms']})" if "idle_over_2ms" in result else ""
    return f"2 ms and more {result['waits_over_2ms']} times{idle}, of its processor time {result['busy_over_2ms']} times"


def run(kinds, keys, out_of_time):
    """Yields (server, phase, figures)."""
    for kind in kinds:
        with Server(kind) as server:
            for phase, measure in _phases(server, keys):
                if out_of_time():
                    return
                try:
                    result = measure()
                except FAILURES as error:
                    leave_out(f"{phase}: {server.label}: {error}")
                    if not server.is_alive():
                        break
                    continue
                longest, own = result["wait_max_us"] / 1000, result["wait_max_own_us"] / 1000
                say(f"  {server.label}, {phase}: longest wait {longest:.2f} ms, its own {own:.2f} ms, {_long_waits(result)}")
                yield kind.name, phase, result
