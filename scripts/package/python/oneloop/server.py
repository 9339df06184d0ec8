"""A server as a child process, on a port that is free, in a folder of its own."""

import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

ATTEMPTS = 10
START_S = 20.0
STOP_S = 10.0
REPLY_S = 10.0


class StartError(RuntimeError):
    """The server does not start; the message holds its log."""


class Server:
    """A server. Directives are given as arguments, with underscores for hyphens: `Server(maxmemory="10mb")`.

    `port` is the port of the loopback interface on which it listens, `unix_socket` its Unix socket, `url` its address
    for a client, `folder` the folder of its data. It saves nothing unless `save` is given.
    """

    host = "127.0.0.1"

    def __init__(self, **directives):
        self.directives = {"save": "", **{name.replace("_", "-"): value for name, value in directives.items()}}
        self.port = None
        self.folder = None
        self._process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        return f"<Server port={self.port} running={self.is_running()}>"

    @property
    def url(self):
        return f"redis://{self.host}:{self.port}/0"

    @property
    def unix_socket(self):
        return str(self.folder / "socket")

    @property
    def log(self):
        """All that the server has logged so far."""
        path = self.folder and self.folder / "log"
        return path.read_text(errors="replace") if path and path.exists() else ""

    def is_running(self):
        return self._process is not None and self._process.poll() is None

    def start(self):
        """Starts the server and waits until it serves. After `stop`, it starts on the same port, with the same data."""
        if self.is_running():
            return
        if self.folder is None:
            self.folder = pathlib.Path(tempfile.mkdtemp(prefix="oneloop-"))
        ports = [self.port] if self.port else (self._free_port() for _ in range(ATTEMPTS))
        for port in ports:
            if self._serves(port):
                self.port = port
                return
            # Another process may have taken the port meanwhile.
            if "Address already in use" not in self.log:
                break
        raise StartError(f"the server does not start:\n{self.log}")

    def stop(self):
        """Stops the server in good order; its data stay for `start`, as far as it saves them."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self):
        """Ends the server at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self):
        """Stops the server and starts it again."""
        self.stop()
        self.start()

    def close(self):
        """Stops the server and removes its folder."""
        self.stop()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def flush(self):
        """Removes all keys, functions and statistics."""
        for words in (("FLUSHALL", "SYNC"), ("FUNCTION", "FLUSH", "SYNC"), ("SCRIPT", "FLUSH", "SYNC"),
                      ("CONFIG", "RESETSTAT")):
            self.command(*words)

    def command(self, *words):
        """Runs a command whose reply is one line, and gives that line. For more there are client libraries."""
        encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        request = b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(REPLY_S)
            connection.connect(self.unix_socket)
            connection.sendall(request)
            with connection.makefile("rb") as replies:
                line = replies.readline().decode(errors="replace").rstrip("\r\n")
        if line.startswith("-"):
            raise RuntimeError(line[1:])
        return line[1:]

    def _free_port(self):
        with socket.socket() as probe:
            probe.bind((self.host, 0))
            return probe.getsockname()[1]

    def _serves(self, port):
        """Starts the process; says whether it serves."""
        from . import program

        arguments = [str(program()), "--port", str(port), "--bind", self.host, "--dir", str(self.folder),
                     "--unixsocket", self.unix_socket]
        for name, value in self.directives.items():
            values = value if isinstance(value, (list, tuple)) else [value]
            arguments += [f"--{name}", *(self._written(word) for word in values)]
        with open(self.folder / "log", "ab") as log:
            log.truncate(0)
            self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                             cwd=self.folder)
        deadline = time.monotonic() + START_S
        while self.is_running() and time.monotonic() < deadline:
            try:
                if self.command("PING") == "PONG":
                    return True
            except (OSError, RuntimeError):
                # It has yet to listen, or to load its data.
                time.sleep(0.005)
        self.kill()
        return False

    @staticmethod
    def _written(value):
        return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
