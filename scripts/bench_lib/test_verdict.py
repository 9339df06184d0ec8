"""What scripts/bench says at the end."""

import unittest

from . import verdict
from .cpu import Case
from .report import Report


def report(echo_us=0.4, waited=0.01):
    made = Report({"machine": "x"}, {"echo": "echo loop", "oneloop": "Oneloop", "valkey": "Valkey 9"})
    case = Case("GET", 16, 100)
    for _ in range(3):
        case.add("echo", (echo_us, 1, waited))
        case.add("oneloop", (0.6, 1, waited))
        case.add("valkey", (0.9, 1, waited))
    made.cases.append(case)
    made.memory.append(("string, 64 B × 3", {"oneloop": {"bytes": 109.4}, "valkey": {"bytes": 120}}))
    made.waits += [("oneloop", "idle", {"wait_max_own_us": 1500.0}), ("echo", "idle", {"wait_max_own_us": 1000.0})]
    return made


class Verdict(unittest.TestCase):
    def test_a_quiet_run_ends_with_five_lines(self):
        self.assertEqual(verdict.closing(report()).splitlines(), [
            "CPU per request, 1 in flight: not measured",
            "CPU per request, 16 in flight: GET 0.60 µs, 1.50 × echo loop, 0.67 × Valkey 9",
            "CPU per request, 100 in flight: not measured",
            "Memory per key: string, 64 B: 109 bytes, 0.91 × Valkey 9",
            "Longest wait of a quiet client: 1.50 ms (idle); echo loop 1.00 ms",
        ])
        self.assertIsNone(verdict.warning(report()))

    def test_an_echo_loop_slower_than_a_server_is_a_warning(self):
        line = verdict.closing(report(echo_us=0.7)).splitlines()[5]
        self.assertTrue(line.startswith("UNRELIABLE") and line.endswith("GET at 16 in flight (Oneloop)"), line)

    def test_noise_is_a_warning(self):
        self.assertIn("10% of the time that they ran: GET at 16 in flight (20%)", verdict.warning(report(waited=0.2)))
        noisy = report(waited=0.2)
        noisy.waits.clear()
        self.assertIn("**UNRELIABLE", noisy.markdown().split("\n\n")[1])


if __name__ == "__main__":
    unittest.main()
