"""Runs the commands of a stage within the time that it has, and keeps what came of them."""

import contextlib
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
IN_CI = os.environ.get("CI") == "true"
# Programs that a stage builds for itself.
TOOLS = ROOT / "target" / "tools"

current_process = None


@dataclasses.dataclass
class Outcome:
    """What came of one stage."""

    stage: str
    limit_s: float = 0.0
    passed: int = 0
    failed: int = 0
    has_run: bool = False
    problems: list = dataclasses.field(default_factory=list)  # failures that no test stands for
    skips: list = dataclasses.field(default_factory=list)
    closing: list = dataclasses.field(default_factory=list)  # the closing lines of test runners
    known: list = dataclasses.field(default_factory=list)  # known failures, each with its reason
    duration_s: float = 0.0
    started: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def failures(self):
        return self.failed or len(self.problems)

    @property
    def verdict(self):
        if self.failures:
            return "FAILED"
        return "ok" if self.has_run else "skipped"

    def left_s(self):
        """Seconds that the stage may still take."""
        return max(1.0, self.started + self.limit_s - time.monotonic())


def run(command, outcome, environment=None, is_shown=True, may_fail=False):
    """Runs a command, showing its output as it comes unless told otherwise; a failure becomes a problem unless it may fail.
    Gives its exit status and its lines."""
    global current_process
    words = [str(word) for word in command]
    name = " ".join(words[:4]) + (" …" if len(words) > 4 else "")
    outcome.has_run = True
    if is_shown:
        print(f"$ {' '.join(words)}", flush=True)
    try:
        process = subprocess.Popen(words, cwd=ROOT, env={**os.environ, **(environment or {})}, text=True, bufsize=1,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   errors="replace", start_new_session=True)
    except OSError as error:
        outcome.problems.append(f"{words[0]}: {error}")
        return 127, []
    current_process = process
    too_long = threading.Event()
    timer = threading.Timer(outcome.left_s(), lambda: (too_long.set(), end(process)))
    timer.start()
    lines = []
    try:
        for line in process.stdout:
            if is_shown:
                print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
        process.wait()
    finally:
        timer.cancel()
        end(process)
        process.stdout.close()
        current_process = None
    if too_long.is_set():
        outcome.problems.append(f"`{name}`: the stage took longer than {outcome.limit_s:.0f} s and was ended")
    elif process.returncode != 0 and not may_fail:
        outcome.problems.append(f"`{name}` ended with {process.returncode}")
    return process.returncode, lines


def end(process):
    """Asks the process to end, so that it can end what it started, and then ends its whole group."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def end_current():
    """Ends the command that runs now, if there is one."""
    if current_process is not None:
        end(current_process)


def succeeds(command):
    """Whether a command that shows nothing ends well."""
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def count_cargo_tests(lines, outcome):
    """Adds up the closing lines of cargo's test runners, and gathers what the tests said they skipped."""
    runner = ""
    for line in lines:
        if match := re.match(r"\s+(?:Running|Doc-tests) (.*?)(?: \(.*)?$", line):
            runner = match[1]
        if match := re.match(r"test result: \w+\. (\d+) passed; (\d+) failed;", line):
            outcome.passed += int(match[1])
            outcome.failed += int(match[2])
            outcome.closing.append(f"{runner}: {line}")
        if match := re.match(r"SKIP(?:PED)?: (.*)", line):
            outcome.skips.append(match[1])


def run_cargo_tests(words, outcome, environment=None):
    """Runs tests by cargo and counts them; a failure of tests that were counted is no further problem."""
    failed_before = outcome.failed
    status, lines = run(["cargo", "test", "--no-fail-fast", *words], outcome, environment, may_fail=True)
    count_cargo_tests(lines, outcome)
    if status != 0 and outcome.failed == failed_before and not outcome.problems:
        outcome.problems.append(f"`cargo test {' '.join(words[:3])} …` ended with {status}")
