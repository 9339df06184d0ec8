"""Fixtures for pytest. They are there as soon as the package is installed.

`oneloop`            a running server (`oneloop.Server`), empty at the beginning of each test. One process serves the
                     whole session; a test that has stopped it leaves a fresh one to the next.
`oneloop_directives` the server's directives, as a dictionary: to be overridden in `conftest.py`, with the scope
                     `session`.
`oneloop_factory`    starts more servers for one test: `oneloop_factory(maxmemory="10mb")`.

What the servers of a test have logged meanwhile is shown where the test fails.
"""

import pytest

from .server import Server

LOGS = pytest.StashKey()


@pytest.fixture(scope="session")
def oneloop_directives():
    return {}


@pytest.fixture(scope="session")
def oneloop_session(oneloop_directives):
    """The server of the session. Tests use `oneloop`, which empties it."""
    server = Server(**oneloop_directives)
    yield server
    server.close()


@pytest.fixture
def oneloop(oneloop_session, request):
    oneloop_session.start()
    oneloop_session.flush()
    begins = len(oneloop_session.log)
    _show_log(request, f"port {oneloop_session.port}", lambda: oneloop_session.log[begins:])
    return oneloop_session


@pytest.fixture
def oneloop_factory(request):
    servers = []

    def start(**directives):
        server = Server(**directives)
        servers.append(server)
        server.start()
        _show_log(request, f"port {server.port}", lambda: server.log)
        return server

    yield start
    for server in servers:
        server.close()


def _show_log(request, title, text):
    request.node.stash.setdefault(LOGS, []).append((title, text))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        for title, text in item.stash.get(LOGS, []):
            report.sections.append((f"Log of oneloop at {title}", text() or "(nothing)"))
