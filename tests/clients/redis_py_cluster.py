"""redis-py against a cluster, of which one node's port is given: values, pipelines, transactions, messages, a reshard and a
failover.

Each part is a function; its name is printed when it has succeeded. A line that begins with `>` asks the test to do something
to the cluster; the part goes on when a line has come back. Anything unexpected ends the program.
"""

import sys
import threading
import time

from redis.backoff import ConstantBackoff
from redis.cluster import LoadBalancingStrategy, RedisCluster
from redis.exceptions import RedisError
from redis.retry import Retry

PORT = int(sys.argv[1])
PATIENCE_S = 30
KEYS = 300


def connect(**options):
    retry = Retry(ConstantBackoff(0.1), 20)
    return RedisCluster("127.0.0.1", PORT, decode_responses=True, socket_timeout=5, retry=retry, **options)


cluster = connect()


def ask(request):
    print(f"> {request}", flush=True)
    assert sys.stdin.readline() == "done\n"


def wait_until(what, holds):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)


def values():
    for number in range(KEYS):
        assert cluster.set(f"key:{number}", number)
    assert [cluster.get(f"key:{number}") for number in range(KEYS)] == [str(number) for number in range(KEYS)]
    assert cluster.mget_nonatomic([f"key:{number}" for number in range(KEYS)])[-1] == str(KEYS - 1)
    reader = connect(load_balancing_strategy=LoadBalancingStrategy.ROUND_ROBIN)
    wait_until("replicas have the values",
               lambda: all(reader.get(f"key:{number}") == str(number) for number in range(KEYS)))


def pipelines():
    pipe = cluster.pipeline()
    for number in range(KEYS):
        pipe.append(f"key:{number}", "").get(f"key:{number}")
    replies = pipe.execute()
    assert replies[1::2] == [str(number) for number in range(KEYS)]


def transactions():
    pipe = cluster.pipeline(transaction=True)
    pipe.set("{tag}text", "a").incr("{tag}count").append("{tag}text", "b")
    assert pipe.execute() == ["OK", 1, 2]
    assert cluster.get("{tag}text") == "ab"


def messages():
    plain, sharded = cluster.pubsub(), cluster.pubsub()
    plain.subscribe("news")
    sharded.ssubscribe("{06S}news")

    def heard(channel, publish, read):
        def holds():
            publish(channel, "first")
            message = read()
            return message and message["data"] == "first"
        wait_until(f"a message of {channel}", holds)

    heard("news", cluster.publish, plain.get_message)
    heard("{06S}news", cluster.spublish, sharded.get_sharded_message)


def resharding():
    names = ["{k2}1", "{06S}1", "{06S}2"]
    for key in names:
        cluster.set(key, key)
    ask("reshard")
    for key in names:
        assert cluster.get(key) == key
        cluster.append(key, "+")
    # New keys of the slot that is half way belong to its target.
    cluster.set("{06S}3", "{06S}3+")
    ask("finish")
    for key in [*names, "{06S}3"]:
        assert cluster.get(key) == f"{key}+", key


def failover():
    done, ends = [0], threading.Event()

    def write():
        while not ends.is_set():
            try:
                cluster.incr("{06S}count")
                done[0] += 1
            except RedisError:
                time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_until("writes", lambda: done[0] > 50)
        ask("fail over")
        before = done[0]
        wait_until("writes after the failover", lambda: done[0] > before + 50)
    finally:
        ends.set()
        writer.join()
    for number in range(KEYS):
        assert cluster.get(f"key:{number}") == str(number)
    assert int(cluster.get("{06S}count")) > before


for part in (values, pipelines, transactions, messages, resharding, failover):
    part()
    print(part.__name__, flush=True)
