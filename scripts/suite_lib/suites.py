"""The suites that there are: where each comes from, its files by what they need of a server, and what is left out."""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class CannotRun(Exception):
    """The suite could not be run at all; the text says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Suite:
    """One test suite of a genuine server."""

    name: str
    product: str  # the prefix of its programs, and of its Tcl client's namespace
    upstream: str
    debian_release: str
    archive: str
    tables: str  # the beginning of the names of its tables under tests/
    mixed: str = ""  # where our server is, one of `MIXED`, if the other ones are genuine

    @property
    def title(self):
        servers = f" ({self.mixed})" if self.mixed else ""
        return f"{self.product.capitalize()} {self.upstream}{servers}"

    def with_genuine_servers(self, mixed):
        """The same suite with two kinds of servers, and with tables of its own."""
        return dataclasses.replace(self, mixed=mixed, tables=f"{self.tables}-{mixed}")

    def table(self, kind):
        return ROOT / "tests" / f"{self.tables}-{kind}.tsv"

    @property
    def expected(self):
        return self.table("expected")

    @property
    def known(self):
        return self.table("known")

    @property
    def genuine(self):
        return self.table("genuine")


SUITES = [
    Suite("redis-7.0", "redis", "7.0.15", "bookworm", "redis_7.0.15.orig.tar.gz", "redis-suite"),
    Suite("redis-8.0", "redis", "8.0.2", "trixie", "redis_8.0.2.orig.tar.gz", "redis-suite-8.0"),
    Suite("valkey-8.1", "valkey", "8.1.1", "trixie", "valkey_8.1.1+dfsg1.orig.tar.xz", "valkey-suite-8.1"),
]
SUITES = {suite.name: suite for suite in SUITES}

# With two kinds of servers, those that are started within another one are of the other kind: ours are the outermost
# ones, with genuine ones within, and so on, or it is the other way round.
MIXED = ["ours-outside", "ours-inside"]

# The files by what they need of a server; a file that a suite does not have is passed over. unit/printver holds no
# test; unit/moduleapi needs modules that the source package does not hold built.
GROUPS = {
    "core": """unit/type/string unit/type/incr unit/expire unit/protocol unit/keyspace unit/quit unit/other
        unit/introspection unit/introspection-2 unit/slowlog unit/commandlog unit/latency-monitor unit/info
        unit/info-keysizes unit/querybuf unit/networking unit/obuf-limits unit/pause""",
    "admin": """unit/info-command unit/auth unit/limits unit/pendingquerybuf unit/replybufsize unit/shutdown
        unit/oom-score-adj unit/violations unit/acl unit/acl-v2""",
    "types": """unit/type/list unit/type/list-2 unit/type/list-3 unit/type/set unit/type/zset unit/type/hash
        unit/type/hash-field-expire unit/type/stream unit/type/stream-cgroups unit/sort unit/scan unit/dump unit/geo""",
    "bits": "unit/bitops unit/bitfield unit/hyperloglog",
    "sessions": "unit/multi unit/pubsub unit/pubsubshard unit/tracking",
    "scripting": "unit/scripting unit/functions unit/cluster-scripting",
    "memory": "unit/maxmemory unit/client-eviction unit/memefficiency unit/lazyfree",
    "persistence": """unit/aofrw integration/aof integration/aof-race integration/rdb
        integration/corrupt-dump integration/corrupt-dump-fuzzer integration/convert-zipmap-hash-on-load
        integration/convert-ziplist-hash-on-load integration/convert-ziplist-zset-on-load
        integration/dismiss-mem integration/shutdown integration/logging integration/skip-rdb-checksum""",
    # Where it waits for a forked child it waits in vain, minutes altogether.
    "persistence-slow": "integration/aof-multi-part",
    # Left out are files about what is newer than 7.2: integration/replication-rdbchannel,
    # integration/dual-channel-replication and integration/replica-redirect.
    "replication": """unit/wait integration/block-repl integration/replication-2 integration/replication-3
        integration/replication-4 integration/replication-buffer integration/psync2-reg integration/psync2-pingoff
        integration/psync2-master-restart integration/failover""",
    "replication-slow": "integration/replication integration/replication-psync integration/psync2",
    "tools": """integration/redis-cli integration/redis-benchmark integration/valkey-cli
        integration/valkey-benchmark""",
    # Left out are unit/cluster/internal-secret, which is of Redis 8 alone, and unit/cluster/cluster-response-tls, which
    # is for --tls.
    "cluster": """unit/cluster unit/cluster/announced-endpoints unit/cluster/cli unit/cluster/failure-marking
        unit/cluster/hostnames unit/cluster/human-announced-nodename unit/cluster/links unit/cluster/misc
        unit/cluster/multi-slot-operations unit/cluster/scripting unit/cluster/sharded-pubsub
        unit/cluster/slot-ownership unit/cluster/slot-stats""",
    # Valkey has its long tests of clusters among the others.
    "cluster-slow": """unit/cluster/base unit/cluster/cluster-nodes-slots unit/cluster/cluster-shards
        unit/cluster/consistency-check unit/cluster/faildet unit/cluster/failover unit/cluster/half-migrated-slot
        unit/cluster/manual-takeover unit/cluster/no-failover-option unit/cluster/noaddr unit/cluster/pubsub
        unit/cluster/pubsubshard unit/cluster/pubsubshard-slot-migration unit/cluster/replica-in-sync
        unit/cluster/slave-selection unit/cluster/slave-stop-cond unit/cluster/slot-migration-response
        unit/cluster/transactions-on-replica unit/cluster/update-msg""",
    "tls": "unit/tls",
    # With a runner of its own: five servers and five genuine Sentinels. 04-slave-selection holds no test.
    "sentinel": """sentinel/00-base sentinel/01-conf-update sentinel/02-slaves-reconf sentinel/03-runtime-reconf
        sentinel/05-manual sentinel/06-ckquorum sentinel/07-down-conditions sentinel/08-hostname-conf
        sentinel/09-acl-support sentinel/10-replica-priority sentinel/11-port-0 sentinel/12-master-reboot
        sentinel/13-info-command sentinel/14-debug-command sentinel/15-config-set-config-get""",
}
GROUPS = {group: files.split() for group, files in GROUPS.items()}

# What is run with two kinds of servers.
MIXED_FILES = """unit/wait integration/block-repl integration/replication integration/replication-2
    integration/replication-3 integration/replication-psync integration/psync2 integration/psync2-reg
    integration/psync2-pingoff integration/psync2-master-restart integration/failover""".split()

# What this server is held to. A group is added when its commands are there.
AGREED_GROUPS = ["core", "admin", "types", "bits", "sessions", "scripting", "memory", "persistence", "replication",
                 "tools", "cluster", "tls"]
# The files of the agreed set that take a few seconds each.
QUICK = """unit/type/incr unit/protocol unit/keyspace unit/quit unit/introspection-2 unit/latency-monitor
    unit/info unit/querybuf unit/networking""".split()

# These are about a later redis-cli than the one at hand.
LATER_CLI = [
    "Interactive non-TTY CLI: Subscribed mode", "/valkey-cli pubsub mode",
    "/Interactive CLI: (should (be ok if there is no result|find |exit reverse|disable and persist)|upon submitting search)",
]

# What these leave behind when they fail would fail those after them.
EXPIRED_WHILE_BLOCKED = [
    "SWAPDB wants to wake blocked client, but the key already expired",
    "MULTI + LPUSH + EXPIRE + DEBUG SLEEP on blocked client, key already expired",
]

# Tests that are left out, whatever the server is, by suite and file; /… is a pattern.
LEFT_OUT = {
    # Since 7.2 an expired key that a client waits for is not deleted for that.
    ("redis-7.0", "unit/type/list"): EXPIRED_WHILE_BLOCKED,
    # Valkey frees lazily as it comes, and sends UNLINK.
    ("valkey-8.1", "unit/type/list"): EXPIRED_WHILE_BLOCKED,
    ("redis-8.0", "integration/redis-cli"): LATER_CLI,
    ("valkey-8.1", "integration/valkey-cli"): LATER_CLI,
    # It waits for an event of Valkey's own.
    ("valkey-8.1", "unit/pubsub"): ["Keyspace notification: expired event (Expiration time is already expired)"],
    ("redis-7.0", "unit/tracking"): [
        # It waits forever for an invalidation of a key that the script was given but did not read: since 7.2 only those
        # that are read are tracked.
        "Tracking only occurs for scripts when a command calls a read-only command",
    ],
}

# Tests whose names hold numbers that differ from run to run: those are left out of the names that we keep.
RANDOM_NAMES = {"integration/psync2": re.compile(r"(?<=#)\d+|(?<=x = )\d+|(?<=CYCLE )\d+"),
                **dict.fromkeys(GROUPS["sentinel"], re.compile(r"127\.0\.0\.1:\d+"))}
# Tests that are run again as long as there is time, in psync2 once or four times in each of at least three rounds; and
# those that depend on how fast the machine is.
UNCERTAIN = {
    "integration/psync2": re.compile(r"to replicate from #N \[(1[3-9]|[2-9]\d)\]|(?<!from #N) \[([4-9]|\d\d)\]"),
    "integration/psync2-reg": re.compile(r"kill (first|chained) replica"),
    # Whether both sides took a whole µs.
    "unit/cluster/slot-stats": re.compile(r"metrics replication for"),
}


def all_files():
    return [file for files in GROUPS.values() for file in files]
