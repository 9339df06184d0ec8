"""Runs one file of a suite at a time, watches it, and reads what the hooks wrote down."""

import concurrent.futures
import contextlib
import dataclasses
import itertools
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

from suite_lib.sources import CACHE, HOOKS
from suite_lib.suites import GROUPS, LEFT_OUT, RANDOM_NAMES, CannotRun
from test_lib.ports import port_is_free

HANGS_AT_MOST = 6

# Bases of port ranges, each run another one; in random order, so that two runs of this script seldom meet.
BASE_PORTS = itertools.cycle(random.sample(range(11_000, 22_000, 340), k=33))

running_groups = set()


@dataclasses.dataclass
class FileResult:
    """What became of one file of the suite."""

    file: str
    passed: list = dataclasses.field(default_factory=list)
    failed: dict = dataclasses.field(default_factory=dict)  # test name → reason
    skipped: list = dataclasses.field(default_factory=list)
    aborted: list = dataclasses.field(default_factory=list)  # reasons: tests after these were never seen
    duration_s: float = 0.0


def free_base_port():
    """A base of a range of ports whose start is free; servers use +0…+299, their cluster buses 10000 more."""
    for base in itertools.islice(BASE_PORTS, 200):
        ports = [*range(base - 32, base + 8), *range(base + 10_000, base + 10_008)]
        if all(port_is_free(port) for port in ports):
            return base
    raise CannotRun("no free range of ports between 11000 and 22000")


def run_file(folder, file, options):
    """Runs one file; a test that hangs is counted as failed, and the file is run again without it."""
    start = time.monotonic()
    hung = {}
    left_out = LEFT_OUT.get((options.suite.name, file), [])
    while True:
        result, hung_test = run_file_once(folder, file, [*left_out, *hung], options)
        if hung_test is None or hung_test in hung or len(hung) == HANGS_AT_MOST:
            break
        hung[hung_test] = f"hung: no progress for {options.hang_limit} s"
        if time.monotonic() - start > options.time_limit:
            result.aborted.append(f"time limit of {options.time_limit} s reached after a hang")
            break
    result.skipped = [name for name in result.skipped if name not in hung]
    result.failed.update(hung)
    result.duration_s = time.monotonic() - start
    return result


def run_file_once(suite_folder, file, skipped_tests, options):
    """One run of `runtest` in a folder of its own. Gives the result and the test that hung, if one did."""
    logs = CACHE / options.suite.name / "logs"
    logs.mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rs-"))  # short: a unix socket's path is limited
    try:
        (folder / "tests" / "tmp").mkdir(parents=True)
        for entry in (suite_folder / "tests").iterdir():
            if entry.name != "tmp":
                (folder / "tests" / entry.name).symlink_to(entry)
        for name in ("src", "utils", "runtest"):
            (folder / name).symlink_to(suite_folder / name)
        events = folder / "events"
        events.touch()
        command = ["./runtest", "--single", file, "--clients", "1", "--dont-clean",
                   "--baseport", str(free_base_port()), "--portcount", "300"]
        if is_encrypted(file, options):
            command.append("--tls")
        for name in skipped_tests:
            command += ["--skiptest", name]
        environment = {**os.environ, "SUITE_HOOKS": str(HOOKS), "SUITE_EVENTS": str(events),
                       "SUITE_CLIENT": options.suite.product, "TERM": "dumb"}
        with open(logs / (file.replace("/", "-") + ".log"), "wb") as log:
            ending = run_watched(command, folder, environment, log, events, options)
        return read_events(file, events, ending)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_encrypted(file, options):
    """Whether a file is run with encrypted connections."""
    return options.tls or file in GROUPS["tls"]


def run_watched(command, folder, environment, log, events, options):
    """Runs the command in a process group of its own until it ends, hangs or takes too long; says which."""
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                               stderr=subprocess.STDOUT, start_new_session=True)
    running_groups.add(process.pid)
    start = last_progress = time.monotonic()
    seen = 0
    try:
        while True:
            try:
                process.wait(timeout=0.2)
                return "ended"
            except subprocess.TimeoutExpired:
                pass
            now = time.monotonic()
            if events.stat().st_size != seen:
                seen, last_progress = events.stat().st_size, now
            if now - last_progress > options.hang_limit:
                return "hung"
            if now - start > options.time_limit:
                return "too long"
    finally:
        end_group(process.pid)
        process.wait()


def end_group(group):
    """Ends what is left of one of our process groups: servers outlive a suite that is cut short."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    running_groups.discard(group)


def read_events(file, events, ending):
    """Turns the lines that the hooks wrote into a result, plus the test that was running at a hang."""
    result = FileResult(file)
    current, done, seen = None, False, {}
    for line in events.read_text(encoding="utf-8", errors="replace").splitlines():
        kind, _, text = (line.split("\t", 2) + ["", ""])[:3]
        text = unescape(text)
        if kind == "testing":
            current = text
        elif kind == "ok":
            result.passed.append(distinct(file, text, seen))
            current = None
        elif kind == "err" and current is not None and text.startswith(f"{current} in "):
            reason = text.removeprefix(f"{current} in tests/{file}.tcl").strip()
            result.failed[distinct(file, current, seen)] = reason
            current = None
        elif kind in ("skip", "ignore"):
            result.skipped.append(text)
        elif kind in ("err", "aborted", "exception") and not done:
            result.aborted.append(text)
        elif kind == "done":
            done = True
    if ending == "hung" and current is not None:
        return result, current
    if current is not None:
        result.failed[distinct(file, current, seen)] = f"cut short: {ending}"
    if not done and not result.aborted:
        result.aborted.append(f"the file did not reach its end: {ending}")
    return result, None


def unescape(text):
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "r": "\r", "t": "\t"}.get(match[1], match[1]), text)


def distinct(file, name, seen):
    """A name for a test that no other test of its file has, fit for one field of a table."""
    name = " ".join(name.split())
    if file in RANDOM_NAMES:
        name = RANDOM_NAMES[file].sub("N", name)
    seen[name] = seen.get(name, 0) + 1
    return name if seen[name] == 1 else f"{name} [{seen[name]}]"


def run_files(folder, files, options, run_one):
    """Runs the files by `run_one`, `--jobs` at a time, telling of each as it ends; results come in the files' order."""
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(run_one, folder, file, options) for file in files]
        try:
            for future in concurrent.futures.as_completed(futures):
                result = future.result()
                print(f"  {result.file}: {len(result.passed)} passed, {len(result.failed)} failed, "
                      f"{result.duration_s:.0f} s", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for group in list(running_groups):
                end_group(group)
            raise
        return [future.result() for future in futures]
