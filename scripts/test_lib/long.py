"""The stages that take hours: what happens once in a hundred runs, and what needs much random input."""

import json
import os
import shutil
import subprocess

from suite_lib.suites import MIXED

from .quick import genuine_servers, python_with_clients, run_fuzz_targets, run_suite
from .runner import ROOT, count_cargo_tests, run, run_cargo_tests, succeeds

REPETITIONS = 100
# Test programs whose tests depend on real time, sockets, threads or processes; of the library's own tests a part.
SUSPECTS = {
    "oneloop": ["reactor::", "storage::file::", "storage::aof::", "drive::", "net::", "engine::clients::"],
    "launch": [], "metrics": [], "migration": [], "process": [], "saving": [], "scripting": [], "sessions": [], "tcp": [],
    "tls": [], "waiting": [], "durability": [], "interop_debugger": [], "interop_tools": [], "echo_loop": [],
}

SEEDS = range(1_000, 1_040)
# Test programs whose random input follows a seed, and the variable that sets it.
SEEDED = {"differential": "DIFFERENTIAL_SEED", "exchange": "EXCHANGE_SEED", "snapshots": "SNAPSHOT_SEED",
          "durability": "DURABILITY_SEED"}

FUZZ_TARGET_S = 300

# Stories over several nodes, and how many of them one run of the test program plays.
STORIES = 10_000
STORIES_AT_ONCE = 500
SLOW_REPLICATION = ["--group", "replication-slow"]


def test_programs(outcome):
    """The paths of the test programs, by name, built where they are not there."""
    command = ["cargo", "test", "--no-run", "--workspace", "--message-format", "json"]
    print(f"$ {' '.join(command)}", flush=True)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        outcome.problems.append(f"`{' '.join(command[:4])} …` ended with {done.returncode}")
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {message["target"]["name"]: message["executable"] for message in messages
            if message.get("executable") and message["profile"]["test"] and message["target"]["kind"] != ["bin"]}


def tests_of(program, word):
    """The number of tests whose names contain this."""
    listed = subprocess.run([program, "--list", "--format", "terse", word], stdout=subprocess.PIPE, text=True, check=True)
    return len(listed.stdout.splitlines())


def run_quietly(program, words, outcome, environment=None):
    """Runs a test program, and shows what it prints only if it fails. Whether it passed."""
    status, lines = run([program, *words], outcome, environment, is_shown=False, may_fail=True)
    if status == 0:
        return True
    print("\n".join(lines[-60:]), flush=True)
    return False


def stage_flaky(outcome):
    programs = test_programs(outcome)
    for name, filters in SUSPECTS.items():
        if outcome.problems:
            return
        if not all(tests_of(programs[name], word) for word in filters):
            outcome.problems.append(f"{name}: one of {filters} names no test")
            return
        failures = 0
        for number in range(1, REPETITIONS + 1):
            if not run_quietly(programs[name], filters, outcome):
                failures += 1
                print(f"{name}: run {number} of {REPETITIONS} failed", flush=True)
            if outcome.problems:
                break
        outcome.passed += number - failures
        outcome.failed += failures
        outcome.closing.append(f"{name}: {failures} of {number} runs failed")
        print(outcome.closing[-1], flush=True)


def stage_seeds(outcome):
    programs = test_programs(outcome)
    for name, variable in SEEDED.items():
        failed = []
        for seed in SEEDS:
            if outcome.problems:
                return
            environment = {**os.environ, variable: str(seed)}
            if not run_quietly(programs[name], [], outcome, environment):
                failed.append(seed)
                print(f"{name}: {variable}={seed} failed", flush=True)
        outcome.passed += len(SEEDS) - len(failed)
        outcome.failed += len(failed)
        outcome.closing.append(f"{name}: {len(SEEDS)} seeds, failed: {failed or 'none'}")
        print(outcome.closing[-1], flush=True)
    _, lines = run(["cargo", "test", "--lib", "--test", "keyspace"], outcome, {"PROPTEST_CASES": "5000"})
    count_cargo_tests(lines, outcome)


def stage_nodes(outcome):
    program = test_programs(outcome)["nodes"]
    failed = []
    for first in range(0, STORIES, STORIES_AT_ONCE):
        if outcome.problems:
            return
        environment = {**os.environ, "ONELOOP_NODES_FIRST": str(first), "ONELOOP_NODES_STORIES": str(STORIES_AT_ONCE)}
        if not run_quietly(program, ["story::", "--nocapture"], outcome, environment):
            failed.append(first)
    outcome.passed += STORIES // STORIES_AT_ONCE - len(failed)
    outcome.failed += len(failed)
    outcome.closing.append(f"nodes: {STORIES} stories, failed among the {STORIES_AT_ONCE} from: {failed or 'none'}")
    print(outcome.closing[-1], flush=True)
    are_cut = run_quietly(program, ["cuts::"], outcome, {**os.environ, "ONELOOP_NODES_CUTS": "all"})
    outcome.passed += are_cut
    outcome.failed += not are_cut


# Seeds of the simulated cluster for all its tests together, how many tests there are, and how many runs of the program.
CLUSTER_SEEDS = 10_000
CLUSTER_RUNS = 10
CLUSTER_NODES = 100


def stage_cluster(outcome):
    program = test_programs(outcome)["oneloop"]
    tests = tests_of(program, "cluster::tests::simulation::")
    if not tests:
        outcome.problems.append("no test simulates a cluster")
        return
    seeds = -(-CLUSTER_SEEDS // CLUSTER_RUNS // tests)
    failed = []
    for first in range(0, seeds * CLUSTER_RUNS, seeds):
        if outcome.problems:
            return
        environment = {**os.environ, "ONELOOP_CLUSTER_FIRST": str(first), "ONELOOP_CLUSTER_SEEDS": str(seeds)}
        if not run_quietly(program, ["cluster::tests::simulation::"], outcome, environment):
            failed.append(first)
    environment = {**os.environ, "ONELOOP_CLUSTER_NODES": str(CLUSTER_NODES)}
    stories_pass = run_quietly(program, ["cluster::tests::stories::"], outcome, environment)
    outcome.passed += CLUSTER_RUNS - len(failed) + stories_pass
    outcome.failed += len(failed) + (not stories_pass)
    outcome.closing.append(f"cluster: {seeds * CLUSTER_RUNS * tests} seeds, failed among the {seeds} of each test from: "
                           f"{failed or 'none'}; stories of {CLUSTER_NODES} nodes: {'ok' if stories_pass else 'FAILED'}")
    print(outcome.closing[-1], flush=True)
    run(["cargo", "build", "--release", "--bin", "oneloop"], outcome)
    if outcome.problems:
        return
    environment = {"ONELOOP_BINARY": str(ROOT / "target" / "release" / "oneloop"), "ONELOOP_CLUSTER_FAULTS": "all",
                   **genuine_servers(outcome)}
    run_cargo_tests(["--test", "interop_cluster_faults", "--", "--nocapture"], outcome, environment)


RECORDINGS = 10


def stage_recordings(outcome):
    environment = {"RECORDINGS_ROUNDS": str(RECORDINGS)}
    if "ONELOOP_PYTHON" not in os.environ and (python := python_with_clients()):
        environment["ONELOOP_PYTHON"] = str(python)
    # One after the other: a machine that is busy with others may end a recording.
    words = ["--test", "interop_recordings", "--", "--show-output", "--test-threads", "1"]
    run_cargo_tests(words, outcome, environment)


def stage_long_fuzz(outcome):
    run_fuzz_targets(outcome, FUZZ_TARGET_S)


def stage_suites(outcome):
    run_suite(outcome, "Redis 7.0's suite, replication at length", *SLOW_REPLICATION)
    for title, name in (("Redis 8.0's suite", "redis-8.0"), ("Valkey 8.1's suite", "valkey-8.1")):
        run_suite(outcome, title, "--suite", name)
        run_suite(outcome, f"{title}, replication at length", "--suite", name, *SLOW_REPLICATION)


def stage_mixed(outcome):
    for mixed in MIXED:
        run_suite(outcome, f"Redis 7.0's suite, genuine servers and ours ({mixed})", "--mixed", mixed)


def stage_package(outcome):
    """Checks the crate's contents, the release binary, a static one, and the Debian package in a system of its own."""
    steps = [["scripts/package/check-files"], ["scripts/package/build-deb"], ["scripts/package/check-binary"]]
    if succeeds(["sh", "-c", "command -v debootstrap"]):
        steps.append(["sh", "-c", "scripts/package/check-deb target/debian/oneloop_*.deb"])
    else:
        outcome.skips.append("the Debian package was not tried: debootstrap is not here")
    if succeeds(["sh", "-c", "command -v musl-gcc && rustup target list --installed | grep -q musl"]):
        steps.append(["scripts/package/build-static", "musl", "--release"])
    else:
        outcome.skips.append("no static binary was built: rustup target add x86_64-unknown-linux-musl, apt install musl-tools")
    for step in steps:
        status, _ = run(step, outcome, may_fail=True)
        outcome.passed += status == 0
        outcome.failed += status != 0


SENTINEL_FAILOVERS = 30


def stage_sentinel(outcome):
    run(["cargo", "build", "--release", "--bin", "oneloop"], outcome)
    if outcome.problems:
        return
    environment = {"ONELOOP_BINARY": str(ROOT / "target" / "release" / "oneloop"),
                   "SENTINEL_FAILOVERS": str(SENTINEL_FAILOVERS)}
    run_cargo_tests(["--test", "interop_sentinel", "--", "--nocapture"], outcome, environment)
    # Their tests are about time: no other file is run meanwhile.
    for suite in ("7.0", "8.0"):
        run_suite(outcome, f"Sentinel's suite of Redis {suite}", "--suite", f"redis-{suite}", "--group", "sentinel",
                  "--jobs", "1")


ASAN_TARGET = "x86_64-unknown-linux-gnu"
# Tests that go through unsafe code, Lua's bindings above all: of the library, and of the program of commands.
ASAN_TESTS = {
    "--lib": ["collections::", "keyspace::", "scripting::", "types::"],
    "--test=commands": ["lua", "scripting::", "functions::", "debugger::", "keys::", "expiry::", "dump::"],
}
# What measures blocks of our own heap, which the sanitizer's build does without.
ASAN_SKIPPED = ["heap::tests", "memory_is_counted_and_given_back", "memory_per_entry", "small_tables_are_small", "budgeted_blocks",
                "take_a_seventh_more", "added_in_order_fill", "freed_in_slices"]


def stage_asan(outcome):
    if not succeeds(["cargo", "+nightly", "--version"]):
        outcome.skips.append("the sanitizer of addresses was not used: no nightly compiler here "
                             "(rustup toolchain install nightly)")
        return
    folder = ROOT / "target" / "asan"
    environment = {"RUSTFLAGS": "-Zsanitizer=address --cfg sanitized", "CFLAGS": "-fsanitize=address -fno-omit-frame-pointer",
                   "ASAN_OPTIONS": "detect_leaks=0", "PROPTEST_CASES": "20"}
    skipped = [word for name in ASAN_SKIPPED for word in ("--skip", name)]
    for program, filters in ASAN_TESTS.items():
        command = ["cargo", "+nightly", "test", "--target", ASAN_TARGET, "--target-dir", folder,
                   "--features", "corosensei/sanitizer", program]
        _, lines = run([*command, "--", *skipped, *filters], outcome, environment)
        count_cargo_tests(lines, outcome)
    shutil.rmtree(folder, ignore_errors=True)


STAGES = {"asan": stage_asan, "flaky": stage_flaky, "seeds": stage_seeds, "nodes": stage_nodes,
          "cluster": stage_cluster, "long-fuzz": stage_long_fuzz, "suites": stage_suites, "mixed": stage_mixed,
          "sentinel": stage_sentinel, "recordings": stage_recordings, "package": stage_package}
EXPECTED_S = {"asan": 600, "flaky": 5400, "seeds": 2400, "nodes": 1500, "cluster": 3000, "long-fuzz": 3000,
              "suites": 4800, "mixed": 1500, "sentinel": 1000, "recordings": 1200, "package": 1200}
LIMIT_MINUTES = 400
