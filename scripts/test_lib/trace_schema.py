"""What a trace of Chrome's JSON form has to look like for Perfetto, and what this server says of its own beyond that."""

PHASES = {"X": {"ph", "pid", "tid", "cat", "name", "ts", "dur", "args"}, "M": {"ph", "pid", "tid", "name", "args"}}
TURN = {"number", "waited_us", "events", "visits", "requests", "input_bytes", "output_bytes", "end"}
VISIT = {"client", "requests", "waited_us"}
ROUNDING_US = 0.0015


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def breaches(trace):
    """What is wrong with a trace: a text for each thing."""
    if set(trace) != {"displayTimeUnit", "traceEvents"} or trace["displayTimeUnit"] not in ("ms", "ns"):
        return [f"fields of the trace: {sorted(trace)}"]
    found = []
    for place, event in enumerate(trace["traceEvents"]):
        found += [f"event {place}: {text}" for text in breaches_of_event(event)]
    if not found:
        found = breaches_of_order(trace["traceEvents"])
    return found[:20]


def breaches_of_event(event):
    if event.get("ph") not in PHASES or set(event) != PHASES[event["ph"]]:
        return [f"fields {sorted(event)}"]
    found = []
    if not isinstance(event["name"], str) or not event["name"]:
        found.append("no name")
    if event["pid"] != 1 or event["tid"] not in (1, 2):
        found.append(f"track {event['pid']}/{event['tid']}")
    if event["ph"] == "M":
        if set(event["args"]) != {"name"}:
            found.append(f"metadata {event['args']}")
        return found
    if not is_number(event["ts"]) or not is_number(event["dur"]):
        found.append(f"times {event['ts']} {event['dur']}")
    expected = {"turn": TURN, "visit": VISIT, "part": set(), "job": set()}.get(event["cat"])
    if expected is None or set(event["args"]) != expected:
        found.append(f"arguments of {event['cat']}: {sorted(event['args'])}")
    return found


def breaches_of_order(events):
    """Turns follow each other, and what is inside of a turn lies within it."""
    found = []
    turn = None
    for event in events:
        if event["ph"] != "X":
            continue
        end = event["ts"] + event["dur"]
        if event["cat"] == "turn":
            if turn and (event["ts"] + ROUNDING_US < turn["ts"] or event["args"]["number"] <= turn["args"]["number"]):
                found.append(f"turn {event['args']['number']} comes late")
            turn = event
        elif event["cat"] in ("part", "job"):
            if turn is None or event["ts"] + ROUNDING_US < turn["ts"] or end > turn["ts"] + turn["dur"] + ROUNDING_US:
                found.append(f"{event['name']} at {event['ts']} is not within its turn")
    return found
