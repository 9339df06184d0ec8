"""redis-py against a server at a port: locks, transactions, messages, scripts, and caching on the client's side.

Each part is a function; its name is printed when it has succeeded. Anything unexpected ends the program.
"""

import queue
import sys
import threading

import redis
from redis.lock import Lock

PORT = int(sys.argv[1])
PATIENCE_S = 30


def connect(**options):
    return redis.Redis(port=PORT, decode_responses=True, socket_timeout=PATIENCE_S, **options)


def locks():
    """Twenty threads take the library's own lock, which is given back by a script, and some let it expire."""
    client = connect()
    inside, most, errors = [], [0], []

    def work(number):
        try:
            for turn in range(5):
                lock = Lock(client, "resource", timeout=PATIENCE_S, sleep=0.001)
                assert lock.acquire(blocking_timeout=PATIENCE_S)
                inside.append(number)
                most[0] = max(most[0], len(inside))
                lock.extend(5)
                assert lock.owned() and lock.locked()
                inside.remove(number)
                lock.release()
        except Exception as error:  # noqa: BLE001 — told by the main thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert most[0] == 1, "two had the lock"
    late = Lock(client, "resource", timeout=0.005, sleep=0.001)
    assert late.acquire()
    assert Lock(client, "resource", timeout=PATIENCE_S, sleep=0.001).acquire(blocking_timeout=PATIENCE_S)
    try:
        late.release()
    except redis.exceptions.LockNotOwnedError:
        client.delete("resource")
        return
    raise AssertionError("a lock was given back by whom it no longer belonged to")


def transactions():
    client = connect()
    with client.pipeline(transaction=True) as pipe:
        assert pipe.set("a", 1).incr("a").get("a").execute() == [True, 2, "2"]
        results = pipe.set("s", "x").incr("s").get("s").execute(raise_on_error=False)
    assert results[0] is True and isinstance(results[1], redis.ResponseError) and results[2] == "x"

    def add(pipe):
        value = int(pipe.get("counter") or 0)
        pipe.multi()
        pipe.set("counter", value + 1)

    def work():
        own = connect()
        for _ in range(20):
            own.transaction(add, "counter")

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("counter") == "100"


def messages():
    """A thread of the library listens, in either protocol."""
    for protocol in (2, 3):
        client = connect(protocol=protocol)
        got = queue.Queue()
        listener = client.pubsub()
        listener.subscribe(news=got.put)
        listener.psubscribe(**{"n*": got.put})
        listener.ssubscribe(shard=got.put)
        thread = listener.run_in_thread(sleep_time=0.01)
        while (
            client.pubsub_numsub("news") != [("news", 1)]
            or not client.pubsub_numpat()
            or not client.pubsub_shardnumsub("shard")[0][1]
        ):
            pass
        assert client.publish("news", "hello") == 2
        assert client.spublish("shard", "there") == 1
        kinds = {}
        for _ in range(3):
            message = got.get(timeout=PATIENCE_S)
            kinds[message["type"]] = (message["channel"], message["data"])
        expected = {"message": ("news", "hello"), "pmessage": ("news", "hello"), "smessage": ("shard", "there")}
        assert kinds == expected, kinds
        thread.stop()
        thread.join()
        while client.pubsub_numsub("news") != [("news", 0)]:
            pass


def scripts():
    client = connect()
    unlock = client.register_script(
        "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
    )
    client.set("lock", "token", nx=True, ex=10)
    # Not known to the server yet: the library loads it when told so.
    assert unlock(keys=["lock"], args=["other"]) == 0
    client.script_flush()
    assert unlock(keys=["lock"], args=["token"]) == 1
    assert client.script_exists(unlock.sha) == [True]
    with client.pipeline() as pipe:
        client.script_flush()
        pipe.set("lock", "token")
        unlock(keys=["lock"], args=["token"], client=pipe)
        assert pipe.execute() == [True, 1]
    client.function_load("#!lua name=mylib\nredis.register_function('double', function(k, a) return 2 * a[1] end)", True)
    assert client.fcall("double", 0, 21) == 42
    assert client.function_list()[0]
    client.function_flush()


def caching():
    """What a connection has read it is told of when another client changes it. The library's own cache refuses servers that say
    they are older than 7.4, so this uses its connections."""
    other = connect()
    other.set("cached", "first")
    connection = connect(protocol=3).connection_pool.get_connection()
    told = []
    connection._parser.set_invalidation_push_handler(told.append)

    def ask(*words):
        connection.send_command(*words)
        return connection.read_response()

    assert ask("CLIENT", "TRACKING", "ON") == "OK"
    assert ask("GET", "cached") == "first"
    assert ask("PING") == "PONG" and not told
    other.set("cached", "second")
    other.set("cached", "third")
    assert ask("GET", "cached") == "third"
    assert [message[1] for message in told] == [["cached"]], told
    other.flushall()
    assert ask("PING") == "PONG"
    assert told[1][1] is None, told


for part in (locks, transactions, messages, scripts, caching):
    connect().flushall()
    part()
    print(part.__name__, flush=True)
