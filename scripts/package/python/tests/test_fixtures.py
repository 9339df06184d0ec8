"""The fixtures, with redis-py as the client. Run by scripts/package/check-wheel within a fresh environment."""

import subprocess
import sys
import textwrap

import oneloop as package
import pytest
import redis


def client_of(server):
    return redis.Redis(host=server.host, port=server.port, decode_responses=True)


def test_a_server_is_there(oneloop):
    client = client_of(oneloop)
    assert client.set("key", "value", ex=60)
    assert client.get("key") == "value"
    assert redis.from_url(oneloop.url).ttl("key") == 60
    assert redis.Redis(unix_socket_path=oneloop.unix_socket).dbsize() == 1


def test_it_is_empty_for_each_test(oneloop):
    client = client_of(oneloop)
    assert client.dbsize() == 0
    client.set("key", "value")
    oneloop.flush()
    assert client.dbsize() == 0


def test_it_can_be_stopped(oneloop):
    port = oneloop.port
    oneloop.stop()
    assert not oneloop.is_running()
    with pytest.raises(redis.ConnectionError):
        client_of(oneloop).ping()
    oneloop.start()
    assert oneloop.port == port and client_of(oneloop).ping()
    oneloop.kill()


def test_the_next_test_finds_it_running_again(oneloop):
    assert client_of(oneloop).ping()


def test_more_servers_with_directives(oneloop_factory):
    small = oneloop_factory(maxmemory="5mb", maxmemory_policy="allkeys-lru")
    other = oneloop_factory(appendonly=True, save=["3600", "1"])
    assert small.port != other.port
    assert client_of(small).config_get("maxmemory*")["maxmemory-policy"] == "allkeys-lru"
    client = client_of(other)
    assert client.config_get("save") == {"save": "3600 1"}
    client.set("key", "value")
    other.restart()
    assert client_of(other).get("key") == "value"


def test_a_replica_of_another(oneloop, oneloop_factory):
    replica = oneloop_factory(replicaof=[oneloop.host, oneloop.port])
    client = client_of(oneloop)
    client.set("key", "value")
    assert client.wait(1, 20000) == 1
    assert client_of(replica).get("key") == "value"


def test_why_it_does_not_start():
    with pytest.raises(package.StartError, match="argument must be a memory value"):
        package.Server(maxmemory="much").start()


def test_the_program_is_on_the_path():
    version = subprocess.run([sys.executable, "-c", "import oneloop; oneloop.main()", "--version"], check=True,
                             capture_output=True, text=True)
    assert version.stdout.startswith("Redis server v=")


def test_the_log_of_a_failed_test_is_shown(tmp_path):
    (tmp_path / "conftest.py").write_text(textwrap.dedent("""
        import pytest

        @pytest.fixture(scope="session")
        def oneloop_directives():
            return {"enable-debug-command": "yes", "databases": 3}
    """))
    (tmp_path / "test_failing.py").write_text(textwrap.dedent("""
        import redis

        def test_failing(oneloop):
            client = redis.Redis(port=oneloop.port)
            assert client.config_get("databases") == {"databases": "3"}
            client.execute_command("DEBUG", "LOG", "what the server says")
            assert False
    """))
    failed = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)],
                            capture_output=True, text=True, check=False)
    assert failed.returncode == 1, failed.stdout
    assert "Log of oneloop at port" in failed.stdout
    assert "what the server says" in failed.stdout
