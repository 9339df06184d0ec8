"""Gets a suite: Debian's source package, verified, unpacked, and set up around the server to be tested."""

import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from suite_lib.suites import MIXED, ROOT, CannotRun

CACHE = ROOT / "target" / "redis-suite"
HOOKS = ROOT / "scripts" / "redis-suite-hooks.tcl"
DEBIAN_KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEBIAN_ARCHIVES = ["http://deb.debian.org/debian", "http://deb.debian.org/debian-security"]


def run(command, **options):
    """Runs a command that must succeed; its output is shown only when it does not."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        raise CannotRun(f"`{' '.join(map(str, command))}` failed:\n{done.stdout.strip()[-2000:]}")
    return done.stdout


def ensure_packages(wanted):
    """Installs the Debian packages of which a file is missing. `wanted`: {package: path or program}."""
    missing = [package for package, name in wanted.items() if not (shutil.which(name) or os.path.exists(name))]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise CannotRun(f"missing: {' '.join(missing)}. Install them: apt-get install {' '.join(missing)}")
    print(f"installing {' '.join(missing)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update"], env=environment)
    run(["apt-get", "install", "-y", "--no-install-recommends", *missing], env=environment)


def debian_archives():
    """The Debian archives that this machine is set up to use, so that a mirror is used; else Debian's own."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages"],
            capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in listed.splitlines()]
        archives = sorted({row[0].rstrip("/") for row in rows
                           if len(row) == 2 and row[1] == "main" and re.search(r"/debian(-security)?/?$", row[0])})
        if archives:
            return archives
    return DEBIAN_ARCHIVES


def sources_list(suite):
    """A list of sources of our own: the release may be another one than this machine runs."""
    lines = []
    for uri in debian_archives():
        release = f"{suite.debian_release}-security" if uri.endswith("-security") else suite.debian_release
        lines.append(f"deb-src [signed-by={DEBIAN_KEYRING}] {uri} {release} main\n")
    return "".join(lines)


def fetch_source(suite):
    """Downloads the upstream archive of Debian's source package, with lists and caches of our own; the system's stay
    as they are. The lists are signed, and the archive must have the checksum that they give; so the package's other
    files, which some mirrors no longer have, are not needed."""
    archive = CACHE / suite.name / suite.archive
    if archive.exists():
        return archive
    ensure_packages({"apt": "apt-get", "debian-archive-keyring": str(DEBIAN_KEYRING)})
    apt = CACHE / suite.name / "apt"
    for folder in ("lists/partial", "cache/archives/partial", "download"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    sources = apt / "sources.list"
    sources.write_text(sources_list(suite))
    options = [f"Dir::Etc::SourceList={sources}", "Dir::Etc::SourceParts=/dev/null", f"Dir::State::Lists={apt}/lists",
               f"Dir::Cache={apt}/cache", "APT::Sandbox::User=root", "Acquire::Retries=3"]
    apt_get = ["apt-get", *(word for option in options for word in ("-o", option))]
    print(f"fetching Debian's source package of {suite.title}", flush=True)
    run([*apt_get, "update"])
    listed = run([*apt_get, "source", "--print-uris", suite.product])
    match = re.search(rf"^'[^']+' {re.escape(suite.archive)} \d+ SHA256:([0-9a-f]{{64}})$", listed, re.MULTILINE)
    if not match:
        raise CannotRun(f"apt offers another version than {suite.title}:\n{listed.strip()[-2000:]}")
    done = subprocess.run([*apt_get, "source", "--download-only", suite.product], cwd=apt / "download",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    downloaded = apt / "download" / suite.archive
    if not downloaded.exists():
        raise CannotRun(f"apt did not download {suite.archive}:\n{done.stdout.strip()[-2000:]}")
    if hashlib.sha256(downloaded.read_bytes()).hexdigest() != match[1]:
        raise CannotRun(f"{downloaded} has another checksum than the one that apt gives")
    downloaded.rename(archive)
    return archive


def unpack_suite(suite, archive):
    """Unpacks the suite afresh, puts in the one line that loads our hooks, and takes out those that set parameters
    for a kind of key exchange that we do not have, and a directive of Valkey that is about its own assertions.
    Replication is tested as 7.2 does it, with one connection; clusters, without the secret that nodes of Redis 8 share.
    Valkey's scripts call the server by a name of Valkey's, which 7.2 does not have: they get Redis's."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="suite-", dir=CACHE))
    run(["tar", "xf", str(archive), "-C", str(folder), "--strip-components=1", "--wildcards", "*/tests", "*/runtest",
         "*/utils/gen-test-certs.sh"])
    helper = folder / "tests" / "test_helper.tcl"
    text = helper.read_text()
    anchor = "if {$::client} {\n    if {[catch { test_client_main"
    if text.count(anchor) != 1:
        raise CannotRun(f"{helper} is not laid out as expected: no place to load {HOOKS.name}")
    helper.write_text(text.replace(anchor, "source $::env(SUITE_HOOKS)\n" + anchor))
    remove_lines(folder / "tests" / "support" / "server.tcl", "tls-dh-params-file")
    remove_lines(folder / "tests" / "assets" / "default.conf", "enable-debug-assert")
    if suite.mixed:
        util = folder / "tests" / "support" / "util.tcl"
        util.write_text(util.read_text().replace(RANDOM_SCORE, SHORT_SCORE))
    for path in (folder / "tests").glob("**/*.tcl"):
        leave_out_second_channel(path)
    leave_out_later_parts(folder / "tests" / "support" / "cluster_util.tcl")
    if suite.product == "valkey":
        for path in (folder / "tests").glob("**/*.tcl"):
            use_redis_name(path)
    return folder


# Servers before 7.2 give the digits of a score in another way, and so another digest of the same data; but not where a
# score has few digits.
RANDOM_SCORE = "set d [expr {rand()}]"
SHORT_SCORE = "set d [expr {int(rand()*256)/256.0}]"

# Later servers can send a replica the data over a connection of its own; tests are run with it and without. 7.2 has no
# directive for that, so they are run without alone.
SECOND_CHANNEL = re.compile(r'\b(rdbchannel|dualchannel) \{"?(?:yes|no)"? "?(?:yes|no)"?\}')
SECOND_CHANNEL_SET = re.compile(r"^.* config set (?:repl-rdb-channel|dual-channel-replication-enabled) .*\n", re.MULTILINE)


def leave_out_second_channel(path):
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    changed = SECOND_CHANNEL_SET.sub("", SECOND_CHANNEL.sub(r"\1 {no}", text))
    if changed != text:
        path.write_text(changed, encoding="utf-8", errors="surrogateescape")


# Nodes of Redis 8 agree on a secret for commands among themselves, which 7.2 does not have: a cluster does not wait for
# it.
SECRET = "[R $j debug internal_secret]"


def leave_out_later_parts(path):
    if path.exists():
        path.write_text(path.read_text().replace(SECRET, "{}"))


# What scripts ask of the server, in the tests, and the loop over the two names that they ask it by. A blank keeps the
# lengths that the tests state.
SCRIPT_CALL = re.compile(r"(\\n|\b)server\.(acl_check_cmd|call|error_reply|log|register_function)\b")
API_NAMES = "foreach script_compatibility_api {server redis} {"


def use_redis_name(path):
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    changed = SCRIPT_CALL.sub(r"\1redis .\2", text).replace(API_NAMES, "foreach script_compatibility_api {redis} {")
    if changed != text:
        path.write_text(changed, encoding="utf-8", errors="surrogateescape")


def remove_lines(path, word):
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if word not in line))


def make_certificates(suite, folder):
    """Has the suite make its certificates, but no Diffie-Hellman parameters: that takes minutes."""
    ensure_packages({"tcl-tls": "/usr/share/doc/tcl-tls", "openssl": "openssl"})
    (folder / "tests" / "tls").mkdir(exist_ok=True)
    (folder / "tests" / "tls" / f"{suite.product}.dh").touch()
    run(["bash", "utils/gen-test-certs.sh"], cwd=folder)


def our_binary():
    """Our server, built as users get it."""
    print("building the release binary", flush=True)
    run(["cargo", "build", "--release", "--bin", "oneloop"], cwd=ROOT)
    return ROOT / "target" / "release" / "oneloop"


# The server is chosen by how many others it is started within, which the hooks tell. One that is started again is the
# same as before.
CHOICE = """#!/bin/sh
case "$1" in *.conf.*) ;; *) exec "{ours}" "$@" ;; esac
choice="$1.program"
if [ ! -f "$choice" ]; then
    if [ $((SUITE_LEVEL % 2)) -eq {our_level} ]; then echo "{ours}"; else echo "{other}"; fi > "$choice"
fi
exec "$(cat "$choice")" "$@"
"""


def link_programs(suite, folder, binary, other):
    """Puts the server and the tools where the suite looks for them, by the names that it knows. `other`: the genuine
    server, where there are two kinds."""
    programs = folder / "src"
    programs.mkdir()
    server = programs / f"{suite.product}-server"
    if suite.mixed:
        our_level = MIXED.index(suite.mixed)
        server.write_text(CHOICE.format(ours=binary, other=other, our_level=our_level))
        server.chmod(0o755)
    else:
        server.symlink_to(binary)
    for tool in ("cli", "benchmark"):
        (programs / f"{suite.product}-{tool}").symlink_to(shutil.which(f"redis-{tool}"))
    for tool in ("check-aof", "check-rdb"):
        # A server is these tools as well, when it is called by their names; ours by those of Redis.
        (programs / f"redis-{tool}").symlink_to(binary)
        if suite.product != "redis":
            script = programs / f"{suite.product}-{tool}"
            script.write_text(f'#!/bin/sh\nexec "$(dirname "$0")/redis-{tool}" "$@"\n')
            script.chmod(0o755)
