"""Load that redis-benchmark cannot make: transactions, and messages to subscribers.

A driver is called with the server, the number of requests, of keys and of requests in flight per connection, and gives the
requests per second, and what the server had used when it began and when it ended. It runs in this process, which keeps to the load's core: requests are encoded in large pieces, and of the
replies only the bytes are counted, so that it keeps up.
"""

import random
import resource
import select
import socket
import time

CONNECTIONS = 50
VALUE = b"x" * 64
SETS = 10
TIMEOUT_S = 60
RECEIVE_BYTES = 1 << 18


def encode(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def _connect(port, count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + 1000:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 1000), hard))
    sockets = []
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets.append(client)
    return sockets


def _receive(client, count):
    while count > 0:
        data = client.recv(min(count, RECEIVE_BYTES))
        if not data:
            raise ConnectionError("the server closed the connection")
        count -= len(data)


class Drain:
    """Reads what many clients are sent, and only counts it."""

    def __init__(self, clients):
        self.poll = select.epoll()
        self.clients = {client.fileno(): client for client in clients}
        for client in clients:
            client.setblocking(False)
            self.poll.register(client.fileno(), select.EPOLLIN)

    def wait_for(self, count):
        deadline = time.monotonic() + TIMEOUT_S
        while count > 0:
            if time.monotonic() > deadline:
                raise RuntimeError("messages were lost")
            for number, _ in self.poll.poll(1):
                data = self.clients[number].recv(RECEIVE_BYTES)
                if not data:
                    raise ConnectionError("the server closed a subscriber's connection")
                count -= len(data)


def _exchange(clients, piece, reply_bytes, rounds, after=lambda: None):
    """Every client sends a piece and reads the replies, so many times."""
    for _ in range(rounds):
        for client in clients:
            client.sendall(piece())
        for client in clients:
            _receive(client, reply_bytes)
        after()


def _metered(server, requests, load):
    server.settle()
    before, started = server.cpu(), time.monotonic()
    load()
    return requests / (time.monotonic() - started), before, server.cpu()


def transactions(server, requests, keys, depth):
    """MULTI, ten SETs and EXEC; a request is one such transaction."""
    clients = _connect(server.port, CONNECTIONS)
    numbers = random.Random(requests)

    def transaction():
        sets = (encode(b"SET", b"key:%d" % numbers.randrange(keys), VALUE) for _ in range(SETS))
        return encode(b"MULTI") + b"".join(sets) + encode(b"EXEC")

    # Made beforehand: what is sent must not wait for this.
    pieces = [b"".join(transaction() for _ in range(depth)) for _ in range(200)]
    reply_bytes = depth * len(b"+OK\r\n" + b"+QUEUED\r\n" * SETS + b"*10\r\n" + b"+OK\r\n" * SETS)
    rounds = requests // (CONNECTIONS * depth)
    result = _metered(server, requests, lambda: _exchange(clients, lambda: numbers.choice(pieces), reply_bytes, rounds))
    for client in clients:
        client.close()
    return result


def publish(subscribers):
    """PUBLISH to a channel with so many subscribers; they have read a round of messages before the next is sent."""

    def drive(server, requests, _keys, depth):
        server.call("CONFIG", "SET", "maxclients", subscribers + 1000)
        listeners = _connect(server.port, subscribers)
        confirmation = b"*3\r\n$9\r\nsubscribe\r\n$7\r\nchannel\r\n:1\r\n"
        for client in listeners:
            client.sendall(encode(b"SUBSCRIBE", b"channel"))
        for client in listeners:
            _receive(client, len(confirmation))
        message = encode(b"message", b"channel", VALUE)
        publishers = _connect(server.port, CONNECTIONS)
        drain = Drain(listeners)
        count = CONNECTIONS * depth
        piece = encode(b"PUBLISH", b"channel", VALUE) * depth
        reply_bytes = depth * len(b":%d\r\n" % subscribers)
        in_between = lambda: drain.wait_for(count * subscribers * len(message))  # noqa: E731
        result = _metered(
            server, requests, lambda: _exchange(publishers, lambda: piece, reply_bytes, requests // count, in_between)
        )
        for client in listeners + publishers:
            client.close()
        server.settle()
        return result

    return drive
