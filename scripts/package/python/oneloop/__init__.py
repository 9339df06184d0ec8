"""Oneloop, a Redis-compatible in-memory server, for the tests of Python programs.

    from oneloop import Server

    with Server(maxmemory="10mb") as server:
        client = redis.Redis(port=server.port)

For pytest there are fixtures: see `oneloop.pytest_plugin`. The program itself is `oneloop`, on the path of the
environment.
"""

import os
import pathlib
import sys

from .server import Server, StartError

__all__ = ["Server", "StartError", "program"]


def program():
    """The path of the server's program."""
    return pathlib.Path(__file__).resolve().parent / "bin" / "oneloop"


def main():
    """Becomes the server, with the arguments of this process."""
    path = str(program())
    os.execv(path, ["oneloop", *sys.argv[1:]])
