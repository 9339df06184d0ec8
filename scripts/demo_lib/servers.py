"""What the demonstrations share: a connection to a server, waiting, programs and ports."""

import pathlib
import random
import shutil
import socket
import subprocess
import time

from test_lib.ports import port_is_free

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 60


class Failed(Exception):
    """Something did not go as it should."""


class CannotRun(Exception):
    """Something is missing."""


# ---------------------------------------------------------------- talking to servers


class Client:
    """A connection that speaks the protocol, as far as it is needed here."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.replies = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.replies.close()
        self.socket.close()

    def send(self, *words):
        parts = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))

    def reply(self):
        line = self.replies.readline()
        if not line.endswith(b"\r\n"):
            raise OSError("the connection was closed")
        kind, text = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise Failed(text)
        if kind == b"$":
            return None if text == "-1" else self.replies.read(int(text) + 2)[:-2].decode()
        if kind == b"*":
            return [self.reply() for _ in range(int(text))]
        return int(text) if kind == b":" else text


def ask(port, *words):
    """The reply to one request; None if the server is not there, or replies with an error."""
    try:
        with Client(port) as client:
            client.send(*words)
            return client.reply()
    except (OSError, Failed):
        return None


def info(port):
    """What INFO replication says; nothing if the server is not there."""
    lines = (ask(port, "INFO", "replication") or "").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def wait_until(what, holds):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(f"in vain: {what}")
        time.sleep(0.05)


# ---------------------------------------------------------------- programs and ports


def find_server(binary):
    if binary is None:
        binary = ROOT / "target" / "release" / "oneloop"
        if not binary.exists():
            print("building the release binary: that takes some minutes", flush=True)
            command = ["cargo", "build", "--release", "--bin", "oneloop"]
            if shutil.which("cargo") is None or subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
                raise CannotRun("the server could not be built; --binary names one that is there")
    if not binary.exists():
        raise CannotRun(f"no program: {binary}")
    return binary.absolute()


def free_ports(count):
    """Free ports whose cluster bus ports, 10000 above, are free too. All are below the range that the system gives to
    connections, so that a server can come back to its own."""
    found = []
    while len(found) < count:
        port = random.randrange(12_000, 22_000)
        if port not in found and port_is_free(port) and port_is_free(port + 10_000):
            found.append(port)
    return found
