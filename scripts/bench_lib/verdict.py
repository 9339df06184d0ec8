"""What a run comes to: the five lines that matter, and whether the machine was quiet enough to believe them."""

from statistics import median

from .servers import ECHO, SUBJECT

# Share of its running time that a server may wait for its core, by the median over the rounds of a test.
NOISE_MAX = 0.10
DEPTHS = (1, 16, 100)
TESTS = ("GET", "SET")
MEMORY_SHAPES = ("string, integer", "string, 64 B")
NOT_MEASURED = "not measured"


def doubts(report):
    """Why the figures cannot be relied on; none if they can."""
    slow, noisy = [], []
    for case in report.cases:
        name = f"{case.test} at {case.depth} in flight"
        middles = {server: median(figures) for server, figures in case.cpu_us.items() if figures}
        faster = [server for server, middle in middles.items() if ECHO in middles and middle < middles[ECHO]]
        if faster:
            slow.append(f"{name} ({', '.join(report.labels[server] for server in faster)})")
        shares = [share for shares in case.off_core_share.values() for share in shares]
        if shares and median(shares) > NOISE_MAX:
            noisy.append(f"{name} ({median(shares):.0%})")
    reasons = []
    if slow:
        reasons.append("the echo loop, which does no work, took longer than a server: " + ", ".join(slow))
    if noisy:
        reasons.append(f"servers waited for their core for more than {NOISE_MAX:.0%} of the time that they ran: " + ", ".join(noisy))
    return reasons


def warning(report):
    """One line that says that the figures cannot be relied on, and why; nothing if they can."""
    reasons = doubts(report)
    return f"UNRELIABLE, the machine was busy: {'; '.join(reasons)}" if reasons else None


def _cpu_line(report, depth):
    parts = []
    for test in TESTS:
        case = next((case for case in report.cases if (case.test, case.depth) == (test, depth)), None)
        if case is None or not case.cpu_us.get(SUBJECT):
            continue
        text = f"{test} {median(case.cpu_us[SUBJECT]):.2f} µs"
        if (to_echo := case.ratio(SUBJECT, ECHO)) is not None:
            text += f", {to_echo:.2f} × echo loop"
        if peer := case.best_peer():
            text += f", {case.ratio(SUBJECT, peer):.2f} × {report.labels[peer]}"
        parts.append(text)
    return f"CPU per request, {depth} in flight: {'; '.join(parts) or NOT_MEASURED}"


def _memory_line(report):
    parts = []
    for wanted in MEMORY_SHAPES:
        row = next((row for shape, row in report.memory if shape.startswith(wanted) and SUBJECT in row), None)
        if row is None:
            continue
        own = row[SUBJECT]["bytes"]
        peers = {name: figures["bytes"] for name, figures in row.items() if name not in (SUBJECT, ECHO)}
        text = f"{wanted}: {own:.0f} bytes"
        if peers:
            smallest = min(peers, key=peers.get)
            text += f", {own / peers[smallest]:.2f} × {report.labels[smallest]}"
        parts.append(text)
    return f"Memory per key: {'; '.join(parts) or NOT_MEASURED}"


def _waits_line(report):
    def longest(name):
        found = [(figures["wait_max_own_us"] / 1000, phase) for server, phase, figures in report.waits if server == name]
        return max(found, default=None)

    own, control = longest(SUBJECT), longest(ECHO)
    if own is None:
        return f"Longest wait of a quiet client: {NOT_MEASURED}"
    text = f"Longest wait of a quiet client: {own[0]:.2f} ms ({own[1]})"
    return text + (f"; echo loop {control[0]:.2f} ms" if control else "")


def closing(report):
    """The end of a run: five lines, and the warning if there is reason for one."""
    lines = [*(_cpu_line(report, depth) for depth in DEPTHS), _memory_line(report), _waits_line(report)]
    return "\n".join([*lines, *filter(None, [warning(report)])])
