"""What durability costs while the server runs, and how long it takes to come back.

Appending: SET with the append-only file on, at depth 16 for CPU per request and with 50 clients that wait for each reply
for throughput, which under `always` is the disk's. Loading: the same keys from a snapshot and from an append-only file of
as many SETs, from the start of the process until the last is there; the files are in the page cache.
"""

import contextlib
import csv
import io
from statistics import median

from .servers import FAILURES, Server, leave_out, run_load, say

SETTINGS = ("everysec", "always")
CONNECTIONS, DEPTH = 50, 16
VALUE = "x" * 64
LOADED_VALUE = "x" * 20
BENCHMARK_TIMEOUT_S = 120
LOAD_LIMIT_S = 180
APPENDING = ("--appendonly", "yes", "--auto-aof-rewrite-percentage", "0")


def _benchmark(server, keys, requests, depth):
    """(nanoseconds of CPU, requests per second)."""
    command = ["redis-benchmark", "-p", server.port, "-c", CONNECTIONS, "-n", requests, "-P", depth]
    command += ["-r", keys, "-d", len(VALUE), "--csv", "-t", "set"]
    server.settle()
    before = server.cpu()[0]
    output = run_load(command, server, BENCHMARK_TIMEOUT_S)
    return server.cpu()[0] - before, float(list(csv.reader(io.StringIO(output)))[-1][1])


def append(kinds, rounds, keys, scale, out_of_time):
    """Yields (setting, {server: figures}): all servers at once, in alternating order, as for the section cpu."""
    deep = max(1, round(1_000_000 * scale / (CONNECTIONS * DEPTH))) * CONNECTIONS * DEPTH
    shallow = max(1, round(100_000 * scale / CONNECTIONS)) * CONNECTIONS
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(kind, APPENDING)) for kind in kinds if not kind.is_echo]
        for server in servers:
            server.probe("--count", keys, "--in-flight", 1000, "SET", "key:{i}", VALUE)
        for setting in SETTINGS:
            row = {server.name: {"cpu_us": [], "per_second": []} for server in servers}
            try:
                for server in servers:
                    server.call("CONFIG", "SET", "appendfsync", setting)
                for number in range(rounds):
                    for server in servers if number % 2 == 0 else servers[::-1]:
                        if out_of_time():
                            return
                        row[server.name]["cpu_us"].append(_benchmark(server, keys, deep, DEPTH)[0] / deep / 1000)
                        row[server.name]["per_second"].append(_benchmark(server, keys, shallow, 1)[1])
            except FAILURES as error:
                leave_out(f"appendfsync {setting}: {error}")
                continue
            say(f"  {setting}: " + "  ".join(
                f"{name} {median(got['cpu_us']):.3f} µs, {median(got['per_second']) / 1000:.1f} k/s" for name, got in row.items()))
            yield setting, row


def _load(kind, keys, settings, save):
    with Server(kind, settings) as server:
        server.probe("--count", keys, "--in-flight", 1000, "SET", "key:{i}", LOADED_VALUE)
        if save and server.call("SAVE") != "OK":
            raise RuntimeError("it was not saved")
        file_bytes = server.file_bytes()
        wall_s, cpu_s = server.restart(LOAD_LIMIT_S)
        if server.call("DBSIZE") != keys:
            raise RuntimeError("keys were lost")
    return {"wall_s": [wall_s], "cpu_s": [cpu_s], "file_bytes": [file_bytes]}


def load(kinds, keys, out_of_time):
    """Yields (file, {server: figures}), one server at a time."""
    files = (
        (f"snapshot of {keys:,} keys", (), True),
        (f"append-only file of {keys:,} SETs", (*APPENDING, "--appendfsync", "no"), False),
    )
    for name, settings, save in files:
        row = {}
        for kind in kinds:
            if kind.is_echo:
                continue
            if out_of_time():
                return
            try:
                row[kind.name] = _load(kind, keys, settings, save)
            except FAILURES as error:
                leave_out(f"{name}: {kind.name}: {error}")
        say(f"  {name}: " + "  ".join(
            f"{kind} {got['wall_s'][0]:.2f} s, CPU {got['cpu_s'][0]:.2f} s, {got['file_bytes'][0] / 1e6:.1f} MB"
            for kind, got in row.items()))
        yield name, row
