"""The report: Markdown tables, raw JSON, and a plot written as SVG by hand."""

import json
from statistics import median
from xml.sax.saxutils import escape

from . import verdict
from .servers import ECHO, SUBJECT, omissions

PLOTTED_TESTS = ("GET", "SET")
COLOURS = {ECHO: "#9aa0a6", SUBJECT: "#d9480f", "valkey": "#4263eb", "redis-8": "#2b8a3e", "redis": "#9c36b5"}
SPARE_COLOURS = ["#0c8599", "#e67700", "#5f3dc4"]


def _table(head, rows):
    """A Markdown table: first column to the left, figures to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _figure(value, digits):
    return "–" if value is None else f"{value:.{digits}f}"


def _scaled(value, scale):
    return _figure(None if value is None else value * scale, 1)


def _middle(values, digits, scale=1):
    return _figure(median(values) * scale if values else None, digits)


class Report:
    """Gathers the results of the sections as they come in."""

    def __init__(self, facts, labels):
        self.facts, self.labels = facts, labels
        self.cases, self.evictions, self.memory, self.waits = [], [], [], []
        self.durability, self.loads = [], []
        self.streams, self.synchronizations = [], []
        self.buses, self.moves = [], {}

    def markdown(self):
        doubt = verdict.warning(self)
        parts = ["# Benchmark", *([f"**{doubt}**"] if doubt else []), "\n".join(f"- {name}: {value}" for name, value in self.facts.items())]
        if self.cases:
            parts += self._cpu()
        if self.evictions:
            parts += self._evictions()
        if self.durability or self.loads:
            parts += self._durability()
        if self.memory:
            parts += self._memory()
        if self.waits:
            parts += self._waits()
        if self.streams or self.synchronizations:
            parts += self._replication()
        if self.buses or self.moves:
            parts += self._cluster()
        if omissions:
            parts += ["## Left out", "\n".join(f"- {text}" for text in dict.fromkeys(omissions))]
        return "\n\n".join(parts) + "\n"

    def raw(self):
        return json.dumps(
            {
                "facts": self.facts,
                "labels": self.labels,
                "cpu": [vars(case) for case in self.cases],
                "evictions": [{"policy": policy, "servers": row} for policy, row in self.evictions],
                "durability": [{"setting": setting, "servers": row} for setting, row in self.durability],
                "loads": [{"file": file, "servers": row} for file, row in self.loads],
                "memory": [{"shape": shape, "servers": row} for shape, row in self.memory],
                "streams": [{"replicas": count, "servers": row} for count, row in self.streams],
                "synchronizations": [{"server": name, **figures} for name, figures in self.synchronizations],
                "buses": [{"server": name, **figures} for name, figures in self.buses],
                "moves": self.moves,
                "waits": [{"server": name, "phase": phase, **figures} for name, phase, figures in self.waits],
            },
            indent=1,
        )

    def _names(self):
        return list(self.labels)

    def _cpu(self):
        names = self._names()
        has_subject = SUBJECT in names
        parts = [
            "## Server CPU per request, µs",
            "Medians over the rounds; the ratios are medians of each round's own ratio. Below 1 is better than the peer. "
            "`–`: not measured.",
        ]
        rates = ["## Requests per second, thousands", "The load generator has one core too, and is often the limit."]
        for depth in dict.fromkeys(case.depth for case in self.cases):
            cases = [case for case in self.cases if case.depth == depth]
            title = f"### {depth} request{'s' if depth > 1 else ''} in flight per connection"
            rows = [[case.test, *(_middle(case.cpu_us.get(name), 3) for name in names), *self._ratios(case)] for case in cases]
            ratio_heads = [f"{self.labels[SUBJECT]} ÷ echo", f"{self.labels[SUBJECT]} ÷ best peer"] if has_subject else []
            ratio_heads = ratio_heads or ["best peer ÷ echo"]
            parts += [title, _table(["Test", *self.labels.values(), *ratio_heads], rows)]
            rows = [[case.test, *(_middle(case.per_second.get(name), 1, 1e-3) for name in names)] for case in cases]
            rates += [title, _table(["Test", *self.labels.values()], rows)]
        noise = [share for case in self.cases for shares in case.off_core_share.values() for share in shares]
        parts.append(
            f"While they were measured, the servers waited for their core {median(noise):.1%} (median) to {max(noise):.1%} "
            "(worst) of the time that they ran: a measure of what else the machine was doing."
        )
        return parts + rates

    def _ratios(self, case):
        peer = case.best_peer()
        if SUBJECT not in self.labels:
            return [_figure(case.ratio(peer, ECHO), 2) if peer else "–"]
        to_peer = case.ratio(SUBJECT, peer) if peer else None
        return [_figure(case.ratio(SUBJECT, ECHO), 2), f"{to_peer:.2f} ({self.labels[peer]})" if to_peer else "–"]

    def _replication(self):
        names = [name for name in self._names() if name != ECHO]
        heads = [self.labels[name] for name in names]
        parts = ["## Replication"]
        if self.streams:
            rows = []
            for count, row in self.streams:
                rows.append([f"primary, {count} replicas", *(_middle(row.get(name, {}).get("cpu_us"), 3) for name in names)])
                if count:
                    rows.append([f"one of {count} replicas", *(_middle(row.get(name, {}).get("applied_us"), 3) for name in names)])
            parts += ["CPU per SET at 16 requests in flight, µs; replicas are of the primary's kind.", _table(["", *heads], rows)]
        if self.synchronizations:
            rows = [
                [self.labels[name], f"{got['sync_s']:.1f}", f"{got['beyond_bytes'] / 1e6:.0f}", f"{got['data_bytes'] / 1e6:.0f}",
                 f"{got['wait_max_us'] / 1000:.2f}", str(got["waits_over_2ms"]), str(got["busy_over_2ms"])]
                for name, got in self.synchronizations
            ]
            head = ["Full synchronization of two replicas", "s", "MB beyond the data", "MB of data", "longest wait, ms",
                    "waits of 2 ms and more", "of its processor time"]
            parts += ["Under 20,000 writes a second; the second replica comes while the first is sent the data.", _table(head, rows)]
        return parts

    def _cluster(self):
        parts = ["## Cluster"]
        if self.buses:
            rows = [[self.labels[name], f"{got['core_share']:.2%}", f"{got['frames_per_s']:.0f}", f"{got['frame_bytes']:.0f}"]
                    for name, got in self.buses]
            head = ["Server", "of a core", "frames per second, both ways", "bytes per frame"]
            parts += ["One node of a cluster of a hundred, without clients, with a node timeout of 15 s.", _table(head, rows)]
        if self.moves:
            rows = []
            for name, row in self.moves.items():
                busy = [_figure(max(row[f"{side}_busy_ms"]), 2) for side in ("source", "target")]
                times = [_middle(row[figure], 3) for figure in ("wall_s", "source_cpu_s", "target_cpu_s")]
                rows.append([self.labels[name], *times, *busy])
            head = ["Server", "s", "CPU of the source, s", "CPU of the target, s", "source busy, ms", "target busy, ms"]
            parts += ["One slot moves by CLUSTER MIGRATESLOTS between two nodes of the same kind. *Busy*: the most processor time that "
                      "the server used during one wait of a quiet client.", _table(head, rows)]
        return parts

    def _evictions(self):
        names = [name for name in self._names() if name != ECHO]
        rows = []
        for policy, row in self.evictions:
            middles = {name: median(figures["cpu_us"]) for name, figures in row.items()}
            peers = [value for name, value in middles.items() if name != SUBJECT]
            ratio = middles[SUBJECT] / min(peers) if SUBJECT in middles and peers else None
            cells = [_figure(middles.get(name), 3) for name in names] + [_figure(ratio, 2)]
            rates = (row[name]["hit_rate"] if name in row else None for name in names)
            rows.append([policy, *cells, *(_figure(rate and rate * 100, 2) for rate in rates)])
        labels = [self.labels[name] for name in names]
        head = ["Policy", *labels, f"{self.labels.get(SUBJECT, 'it')} ÷ best peer", *(f"{label}: hits, %" for label in labels)]
        return [
            "## Eviction: server CPU per request, µs, and hit rates",
            "SET at depth 16 of four times as many keys as fit below the limit, which holds the same number of keys on every "
            "server. Hit rates: one Zipf-distributed trace of reads, in which a miss is followed by a write.",
            _table(head, rows),
        ]

    def _durability(self):
        names = [name for name in self._names() if name != ECHO]
        labels = [self.labels[name] for name in names]

        def to_best(row, key, best):
            peers = [median(figures[key]) for name, figures in row.items() if name != SUBJECT and figures[key]]
            mine = row.get(SUBJECT, {}).get(key)
            return _figure(median(mine) / best(peers) if mine and peers else None, 2)

        def rows(table, key, scale, digits, best=min):
            return [
                [what, *(_middle(row[name][key] if name in row else [], digits, scale) for name in names), to_best(row, key, best)]
                for what, row in table
            ]

        head = [*labels, f"{self.labels.get(SUBJECT, 'it')} ÷ best peer"]
        parts = ["## Durability"]
        if self.durability:
            parts += [
                "Server CPU per SET in µs, all threads, at depth 16 with the append-only file on:",
                _table(["appendfsync", *head], rows(self.durability, "cpu_us", 1, 3)),
                "SETs per second in thousands, 50 clients with one request each in flight (more is better):",
                _table(["appendfsync", *head], rows(self.durability, "per_second", 1e-3, 1, max)),
            ]
        if self.loads:
            parts += [
                "From the start of the process until its data are loaded, in seconds:",
                _table(["File", *head], rows(self.loads, "wall_s", 1, 2)),
                "CPU seconds of all threads for it:",
                _table(["File", *head], rows(self.loads, "cpu_s", 1, 2)),
                "Size of the files, MB:",
                _table(["File", *head], rows(self.loads, "file_bytes", 1e-6, 1)),
            ]
        return parts

    def _memory(self):
        names = [name for name in self._names() if name != ECHO]
        subject = SUBJECT if SUBJECT in names else None
        rows = []
        for shape, row in self.memory:
            peers = [figures["bytes"] for name, figures in row.items() if name != subject]
            cells = [_figure(row[name]["bytes"] if name in row else None, 1) for name in names]
            if subject:
                known = subject in row and peers
                cells.append(_figure(row[subject]["bytes"] / min(peers) if known else None, 2))
            rows.append([shape, *cells])
        head = ["Stored", *(self.labels[name] for name in names)]
        head += [f"{self.labels[subject]} ÷ smallest peer"] if subject else []
        return [
            "## Resident bytes per element",
            "Growth of the resident set from the empty server, divided by the elements; keys of 16 bytes.",
            _table(head, rows),
        ]

    def _waits(self):
        parts = [
            "## Waits of a quiet client, ms",
            "A PING every millisecond while the phase runs. *Own*: the longest wait less the time that the kernel kept the "
            "server or the probe off its core. *Busy*: the most processor time that the server used during one wait. *≥ 2 ms*: how "
            "many waits were so long; after the growth, how many of as many pings to the idle server. The echo loop's line is what the machine itself costs. *Gone*: how long "
            "after falling due the last key was reclaimed. *Copied*: memory that a snapshot or rewrite copied because of the "
            "writes meanwhile.",
        ]
        rows = []
        for phase in dict.fromkeys(phase for _, phase, _ in self.waits):
            for name, own_phase, figures in self.waits:
                if own_phase != phase:
                    continue
                keys = ("wait_median_us", "wait_p999_us", "wait_max_us", "wait_max_own_us", "wait_max_busy_us", "batch_median_us")
                cells = [_figure(figures[key] / 1000, 2) for key in keys]
                gone = _figure(figures.get("gone_s"), 2)
                job = [_figure(figures.get("job_s"), 1), _scaled(figures.get("copied_bytes"), 1e-6)]
                idle = f" (idle: {figures['idle_over_2ms']})" if "idle_over_2ms" in figures else ""
                cells.insert(5, f"{figures['waits_over_2ms']}{idle}")
                rows.append([phase, self.labels[name], *cells, _figure(figures["load_s"], 2), gone, *job])
        head = ["Phase", "Server", "median", "p99.9", "longest", "own", "busy", "≥ 2 ms", "one batch"]
        head += ["command, s", "gone, s", "job, s", "copied, MB"]
        return parts + [_table(head, rows)]

    def plot(self):
        """Grouped bars: CPU per request as a multiple of the echo loop's; None where that was not measured."""
        groups = []
        for case in self.cases:
            if case.test not in PLOTTED_TESTS or ECHO not in case.cpu_us:
                continue
            bars = [(name, case.ratio(name, ECHO)) for name in self._names() if name in case.cpu_us]
            groups.append((f"{case.test}, {case.depth} in flight", bars))
        if not groups:
            return None
        spare = iter(SPARE_COLOURS * 4)
        colours = {name: COLOURS.get(name) or next(spare) for name in self._names()}
        return _draw(groups, self.labels, colours)


def _draw(groups, labels, colours):
    bar, gap, left, top, height = 26, 44, 48, 78, 260
    highest = max(value for _, bars in groups for _, value in bars)
    step = next(step for step in (0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if highest / step <= 8)
    ceiling = step * (int(highest / step) + 1)
    tall = top + height + 36
    width = left + sum(len(bars) * bar + gap for _, bars in groups) + 16

    def vertical(value):
        return top + height * (1 - value / ceiling)

    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {tall}" width="{width}" height="{tall}" '
        f'role="img" aria-label="CPU per request relative to a bare echo loop">',
        "<style>text{font:12px system-ui,sans-serif;fill:#333}.head{font-size:15px;font-weight:600}.value{font-size:10px}"
        ".grid{stroke:#8884}@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>",
        f'<text class="head" x="{left - 36}" y="22">Server CPU per request, as a multiple of a bare echo loop (lower is better)</text>',
    ]
    across = left - 36
    for name, label in labels.items():
        drawn.append(f'<rect x="{across}" y="36" width="12" height="12" rx="2" fill="{colours[name]}"/>')
        drawn.append(f'<text x="{across + 17}" y="46">{escape(label)}</text>')
        across += 36 + 7 * len(label)
    for tick in range(int(ceiling / step) + 1):
        y = vertical(tick * step)
        drawn.append(f'<line class="grid" x1="{left}" x2="{width - 16}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{tick * step:g}×</text>')
    across = left + gap / 2
    for title, bars in groups:
        middle = across + len(bars) * bar / 2
        for name, value in bars:
            y = vertical(value)
            drawn.append(
                f'<rect x="{across + 2:.1f}" y="{y:.1f}" width="{bar - 4}" height="{top + height - y:.1f}" rx="2" '
                f'fill="{colours[name]}"><title>{escape(labels[name])}: {value:.2f}×</title></rect>'
            )
            drawn.append(f'<text class="value" x="{across + bar / 2:.1f}" y="{y - 4:.1f}" text-anchor="middle">{value:.1f}</text>')
            across += bar
        drawn.append(f'<text x="{middle:.1f}" y="{top + height + 20}" text-anchor="middle">{escape(title)}</text>')
        across += gap
    return "\n".join(drawn + ["</svg>"]) + "\n"
