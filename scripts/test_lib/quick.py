"""The stages that every change goes through."""

import json
import os
import re
import shutil
import subprocess
import sys

from bench_lib import servers as peers

from .browser import find_browser
from .runner import IN_CI, ROOT, TOOLS, count_cargo_tests, run, run_cargo_tests, succeeds

FUZZ_TARGET_S = 15
# Beyond the size from which on the parser receives an argument in a buffer of its own.
FUZZ_INPUT_MAX_BYTES = 100_000
FUZZ = ROOT / "tests" / "fuzz"
IOREDIS = "ioredis@5"


def stage_fmt(outcome):
    run(["cargo", "fmt", "--all", "--check"], outcome)
    run(["scripts/draw", "--check"], outcome)


def stage_clippy(outcome):
    run(["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], outcome)
    # The fuzz targets are a workspace of their own: a name that has changed must not first fail where they are run.
    environment = {"CARGO_TARGET_DIR": str(ROOT / "target")}
    run(["cargo", "clippy", "--manifest-path", str(FUZZ / "Cargo.toml"), "--", "-D", "warnings"], outcome, environment)


def integration_tests():
    """The names of the server's integration tests: those of the interop stage, and the others."""
    metadata = subprocess.run(["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=ROOT,
                              capture_output=True, text=True, check=True).stdout
    names = [target["name"] for package in json.loads(metadata)["packages"] if package["name"] == "oneloop"
             for target in package["targets"] if "test" in target["kind"]]
    return ([name for name in names if name.startswith("interop")],
            [name for name in names if not name.startswith("interop")])


def stage_unit(outcome):
    _, others = integration_tests()
    chosen = [word for name in others for word in ("--test", name)]
    run_cargo_tests(["--lib", "--bins", *chosen], outcome, genuine_servers(outcome))
    run_cargo_tests(["--package", "oneloop-scripts"], outcome)
    run_cargo_tests(["--doc"], outcome)
    run_python_tests(outcome)


def run_python_tests(outcome):
    """The tests of these scripts themselves."""
    _, lines = run([sys.executable, "-m", "unittest", "discover", "-s", "scripts", "-t", "scripts"], outcome)
    for line in lines:
        if match := re.match(r"Ran (\d+) tests? in ", line):
            outcome.passed += int(match[1])
            outcome.closing.append(f"scripts: {line}")


def stage_interop(outcome):
    interop, _ = integration_tests()
    run(["cargo", "build", "--release", "--bin", "oneloop"], outcome)
    if outcome.problems:
        return
    chosen = [word for name in interop for word in ("--test", name)]
    environment = {"ONELOOP_BINARY": str(ROOT / "target" / "release" / "oneloop"), **genuine_servers(outcome)}
    if "ONELOOP_PYTHON" not in os.environ and (python := python_with_clients()):
        environment["ONELOOP_PYTHON"] = str(python)
    if "ONELOOP_NODE_MODULES" not in os.environ and (modules := modules_with_clients()):
        environment["ONELOOP_NODE_MODULES"] = str(modules)
    run_cargo_tests([*chosen, "--", "--show-output"], outcome, environment)
    try_wheel(outcome)
    if IN_CI and outcome.skips:
        outcome.problems.append(f"{len(outcome.skips)} interop tests were skipped")


def try_wheel(outcome):
    """Builds the Python wheel, and tries its fixtures in a fresh environment."""
    if not succeeds(["python3", "-c", "import ensurepip"]):
        outcome.skips.append("the Python wheel was not tried: a virtual environment cannot be made (apt-get install python3-venv)")
        return
    status, lines = run(["scripts/package/build-wheel", "target/release/oneloop"], outcome)
    if status != 0 or not lines:
        return
    status, lines = run(["scripts/package/check-wheel", lines[-1]], outcome, may_fail=True)
    counts = {name: int(count) for line in lines for count, name in re.findall(r"(\d+) (passed|failed|error)s? ?", line)
              if line.startswith("=") and " in " in line}
    outcome.passed += counts.get("passed", 0)
    outcome.failed += counts.get("failed", 0) + counts.get("error", 0)
    if counts:
        outcome.closing.append(f"the wheel's fixtures: {lines[-1].strip('= ')}")
    elif status != 0:
        # A machine without a way to the registry is no fault of the code.
        outcome.skips.append(f"the Python wheel was not tried: its environment could not be made (status {status})")


def genuine_servers(outcome):
    """The variable that names the newer genuine servers to the tests, unless it is set."""
    if "GENUINE_SERVERS" in os.environ:
        return {}
    others = peers.fetched_peers()
    outcome.closing.append(f"genuine servers besides redis-server: {len(others)} of {len(peers.PEER_WHEELS)}")
    return {"GENUINE_SERVERS": ":".join(map(str, others))}


def stage_page(outcome):
    run(["cargo", "build", "--release", "--bin", "oneloop"], outcome)
    if outcome.problems:
        return
    if find_browser() is None:
        text = "the page was not tried: there is no chromium here (apt-get install chromium)"
        (outcome.problems if IN_CI else outcome.skips).append(text)
        outcome.has_run = False
        return
    status, lines = run([sys.executable, "scripts/page"], outcome, may_fail=True)
    for line in lines:
        outcome.passed += bool(re.search(r" \.\.\. ok$", line))
        outcome.failed += bool(re.search(r" \.\.\. (FAIL|ERROR)$", line))
        if line.startswith("Ran "):
            outcome.closing.append(f"the page in a browser: {line}; pictures in target/page/")
    if status != 0 and outcome.failed == 0:
        outcome.problems.append(f"scripts/page ended with {status}")


def python_with_clients():
    """A Python that has redis-py, made where there is none yet; None where it cannot be had (the tests say so)."""
    if succeeds(["python3", "-c", "import redis"]):
        return "python3"
    folder = TOOLS / "python"
    python = folder / "bin" / "python"
    if not succeeds([str(python), "-c", "import redis"]):
        install = [str(python), "-m", "pip", "install", "--quiet", "redis"]
        for command in (["python3", "-m", "venv", str(folder)], install):
            if not succeeds(command):
                return None
    return python


def modules_with_clients():
    """The folder of Node.js's modules with ioredis, installed where it is missing; None where it cannot be had."""
    folder = TOOLS / "node"
    modules = folder / "node_modules"
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), IOREDIS]
    return modules if (modules / "ioredis").exists() or succeeds(install) else None


def cargo_fuzz(outcome):
    """The command line that cargo-fuzz begins with, or None where it cannot be had; says why."""
    command = [shutil.which("cargo-fuzz") or str(TOOLS / "bin" / "cargo-fuzz"), "fuzz"]
    # cargo-fuzz runs whichever cargo this variable chooses.
    environment = {"RUSTUP_TOOLCHAIN": "nightly"}
    if not succeeds(["cargo", "+nightly", "--version"]):
        outcome.skips.append("fuzz targets not run: no nightly compiler here (rustup toolchain install nightly); "
                             "cargo test runs the same properties")
        return None, environment
    if succeeds([*command, "--version"]):
        return command, environment
    if not IN_CI:
        outcome.skips.append("fuzz targets not run: no cargo-fuzz here (cargo install cargo-fuzz --locked); "
                             "cargo test runs the same properties")
        return None, environment
    status, _ = run(["cargo", "install", "cargo-fuzz", "--locked", "--root", str(TOOLS)], outcome, may_fail=True)
    if status != 0:
        # A machine without a way to the registry is no fault of the code.
        outcome.has_run = False
        outcome.skips.append(f"fuzz targets not run: cargo-fuzz could not be installed (status {status})")
        return None, environment
    return command, environment


def run_fuzz_targets(outcome, target_s):
    command, environment = cargo_fuzz(outcome)
    if command is None:
        return
    folder = ["--fuzz-dir", str(FUZZ.relative_to(ROOT))]
    # The sanitizer of addresses takes what Lua's errors leave on a machine stack of their own for faults; and a second build for
    # the other targets takes minutes. Unsafe code is Miri's.
    folder += ["--sanitizer", "none"]
    run([*command, "build", *folder], outcome, environment)
    if outcome.problems:
        return
    for target in sorted(path.stem for path in (FUZZ / "fuzz_targets").glob("*.rs")):
        run([*command, "run", *folder, target, "--", f"-max_total_time={target_s}",
             f"-max_len={FUZZ_INPUT_MAX_BYTES}", "-verbosity=0"],
            outcome, environment)


def stage_fuzz(outcome):
    run_fuzz_targets(outcome, FUZZ_TARGET_S)


def modules_with_unsafe_code():
    """Module paths of the files that hold unsafe code, but for base/sys/: Miri cannot follow its system calls."""
    modules = []
    for path in sorted((ROOT / "src").rglob("*.rs")):
        parts = path.relative_to(ROOT / "src").with_suffix("").parts
        if parts[:2] != ("base", "sys") and re.search(r"^[^/\n]*\bunsafe (?:\{|fn|impl)", path.read_text(), re.MULTILINE):
            modules.append("::".join(part for part in parts if part != "mod"))
    return [name for name in modules if name not in ("lib", "main")]


# Miri runs no code of C, so Lua's bindings are the sanitizer's: stage `asan` of scripts/test long.
BEYOND_MIRI = "scripting::lua"
# Folders whose files are tested together.
FOLDERS_FOR_MIRI = ("collections::table", "collections::ordered", "keyspace::record")
# At least so many tests are to be run: a filter that names none would go unnoticed.
MIRI_TESTS_MIN = 25
# Modules of unsafe code without tests of their own, and where they are tested.
TESTED_THROUGH = {"keyspace::database": "keyspace::fork", "keyspace::value_mut": "keyspace::text"}


def tests_for_miri():
    """The filters that name what Miri runs: the topmost modules with unsafe code, and what tests others through."""
    modules = [name for name in modules_with_unsafe_code() if not name.startswith(BEYOND_MIRI)]
    filters = {TESTED_THROUGH.get(name, name) for name in modules}
    # The tests of a folder are those of all its files.
    return sorted({"::".join(name.split("::")[:2]) if name.startswith(FOLDERS_FOR_MIRI) else name for name in filters})


def stage_miri(outcome):
    filters = tests_for_miri()
    if not succeeds(["cargo", "+nightly", "miri", "--version"]):
        outcome.skips.append(f"unsafe code of {', '.join(filters)} not run under Miri: it is not here "
                             "(rustup +nightly component add miri rust-src)")
        return
    # The tests make themselves small under Miri, and say so; the number of cases is for what chooses its input at random.
    # The heap keeps its chunks when a thread ends, which Miri takes for leaks; the tests count for themselves.
    environment = {"MIRIFLAGS": "-Zmiri-disable-isolation -Zmiri-ignore-leaks", "PROPTEST_CASES": "3"}
    _, lines = run(["cargo", "+nightly", "miri", "test", "--lib", "--", *filters], outcome, environment)
    count_cargo_tests(lines, outcome)
    if not outcome.problems and outcome.passed < MIRI_TESTS_MIN:
        outcome.problems.append(f"Miri ran {outcome.passed} tests, expected are {MIRI_TESTS_MIN} or more")
    outcome.closing.append(f"Miri runs no C: {BEYOND_MIRI} is left to the sanitizer of addresses (scripts/test asan)")


def run_suite(outcome, title, *options):
    """Runs one of the suites of genuine servers, which scripts/redis-suite knows, and counts its tests."""
    command = [sys.executable, "scripts/redis-suite", "--check", "--jobs", "2", *options]
    status, lines = run(command, outcome, may_fail=True)
    closing = lines[-1] if lines else ""
    outcome.known += [line for line in lines if ": known: " in line]
    if match := re.fullmatch(r"(\d+) passed, (\d+) failed", closing):
        outcome.passed += int(match[1])
        outcome.failed += int(match[2])
        outcome.closing += [f"{title}: {line}" for line in lines[-4:]
                            if line == closing or line.startswith(("not expected", "known failures", "flaky:"))]
        if status != 0 and int(match[2]) == 0:
            outcome.problems.append(f"scripts/redis-suite {' '.join(options)} ended with {status}")
    elif status == 2 and not IN_CI:
        outcome.skips.append(f"{title} could not be run: {closing}")
        outcome.has_run = outcome.passed > 0
    elif not outcome.problems:
        outcome.problems.append(f"scripts/redis-suite {' '.join(options)} ended with {status}: {closing}")


def stage_suite(outcome):
    run_suite(outcome, "Redis 7.0's suite")


STAGES = {"fmt": stage_fmt, "clippy": stage_clippy, "unit": stage_unit, "interop": stage_interop, "page": stage_page,
          "fuzz": stage_fuzz, "miri": stage_miri, "suite": stage_suite}
# Seconds that each takes in a fresh clone on two cores; it gets more if the others leave it.
EXPECTED_S = {"fmt": 5, "clippy": 100, "unit": 360, "interop": 430, "page": 75, "fuzz": 400, "miri": 420, "suite": 580}
LIMIT_MINUTES = 43
