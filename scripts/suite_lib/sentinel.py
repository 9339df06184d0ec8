"""Sentinel's own test suite, with our binary as the servers that genuine Sentinels watch. It has a runner of its own."""

import copy
import os
import pathlib
import re
import shutil
import tempfile
import time

from bench_lib import servers as peers
from suite_lib.runner import free_base_port, read_events, run_watched
from suite_lib.sources import CACHE, ensure_packages
from suite_lib.suites import CannotRun

PREFIX = "sentinel/"
DEBIAN_SENTINEL = "redis-sentinel"
HOOKS = pathlib.Path(__file__).with_name("sentinel_hooks.tcl")
# Its tests wait for elections: up to a hundred seconds, where the servers do not do as they should.
HANG_LIMIT_S = 180
# Sentinels have so many ports from the base on, and the servers as many behind them.
PORTS = 150


def is_sentinel(file):
    return file.startswith(PREFIX)


def path_of(file):
    """Where the suite has a file, from its folder on."""
    if is_sentinel(file):
        return f"tests/sentinel/tests/{file.removeprefix(PREFIX)}.tcl"
    return f"tests/{file}.tcl"


def link_program(suite, suite_folder, program):
    """Puts the Sentinel where the suite looks for it: by its name it knows what it is to be. Unless another one is
    named, the suite of 7.0 gets Debian's; that of 8.0 knows more than that, and gets the newer Redis that was fetched."""
    if program is None and suite.upstream.startswith("7.0"):
        ensure_packages({"redis-sentinel": DEBIAN_SENTINEL})
        program = DEBIAN_SENTINEL
    elif program is None:
        program = next((str(peer) for peer in peers.fetched_peers() if peer.name == "redis-server"), "a newer Redis")
    found = shutil.which(program)
    if found is None:
        raise CannotRun(f"no program to be the Sentinel: {program}")
    (suite_folder / "src" / "redis-sentinel").symlink_to(pathlib.Path(found).absolute())


def run_file(suite_folder, file, options):
    """Runs one file with servers, Sentinels and a folder of its own."""
    start = time.monotonic()
    logs = CACHE / options.suite.name / "logs"
    logs.mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rs-"))
    try:
        lay_out(suite_folder, folder)
        events = folder / "events"
        events.touch()
        command = ["tclsh", "tests/sentinel/run.tcl", "--single", file.removeprefix(PREFIX)]
        environment = {**os.environ, "SUITE_HOOKS": str(HOOKS), "SUITE_EVENTS": str(events), "SUITE_FILE": file,
                       "TERM": "dumb"}
        limits = copy.copy(options)
        limits.hang_limit = max(options.hang_limit, HANG_LIMIT_S)
        with open(logs / (file.replace("/", "-") + ".log"), "wb") as log:
            ending = run_watched(command, folder, environment, log, events, limits)
        result, hung_test = read_events(file, events, ending)
        if hung_test is not None:
            result.failed[hung_test] = f"hung: no progress for {limits.hang_limit} s"
        result.duration_s = time.monotonic() - start
        return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def lay_out(suite_folder, folder):
    """The suite's folder as its runner wants it: what is written to is a copy, so that several files can be run at the
    same time."""
    tests = folder / "tests"
    tests.mkdir()
    for entry in (suite_folder / "tests").iterdir():
        if entry.name not in ("tmp", "sentinel", "instances.tcl"):
            (tests / entry.name).symlink_to(entry)
    (folder / "src").symlink_to(suite_folder / "src")
    shutil.copytree(suite_folder / "tests" / "sentinel", tests / "sentinel")
    (tests / "sentinel" / "tmp").mkdir(exist_ok=True)
    base = free_base_port()
    ports = {"sentinel_base_port": base, "redis_base_port": base + PORTS, "redis_port_count": PORTS}
    text = (suite_folder / "tests" / "instances.tcl").read_text()
    for name, value in ports.items():
        text, count = re.subn(rf"^set ::{name} \d+$", f"set ::{name} {value}", text, flags=re.MULTILINE)
        if count != 1:
            raise CannotRun(f"tests/instances.tcl is not laid out as expected: no {name}")
    (tests / "instances.tcl").write_text(text)
    runner = tests / "sentinel" / "run.tcl"
    text = runner.read_text()
    anchor = "source ../instances.tcl\n"
    if text.count(anchor) != 1:
        raise CannotRun(f"tests/sentinel/run.tcl is not laid out as expected: no place to load {HOOKS.name}")
    runner.write_text(text.replace(anchor, f"{anchor}source $::env(SUITE_HOOKS)\n"))
