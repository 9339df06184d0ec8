"""How scripts/test judges a stage."""

import contextlib
import io
import unittest

from . import quick
from .quick import run_suite
from .runner import Outcome, run


class Stages(unittest.TestCase):
    def setUp(self):
        self.silence = contextlib.redirect_stdout(io.StringIO())
        self.silence.__enter__()
        self.addCleanup(self.silence.__exit__, None, None, None)

    def test_a_stage_that_ran_nothing_is_skipped(self):
        outcome = Outcome("fuzz", limit_s=10)
        outcome.skips.append("no compiler")
        self.assertEqual(outcome.verdict, "skipped")
        run(["true"], outcome)
        self.assertEqual(outcome.verdict, "ok")
        run(["false"], outcome)
        self.assertEqual(outcome.verdict, "FAILED")

    def test_a_stage_has_no_more_time_than_its_limit(self):
        outcome = Outcome("unit", limit_s=1)
        run(["sleep", "60"], outcome)
        self.assertIn("took longer than 1 s", outcome.problems[0])

    def test_a_suite_that_cannot_run_is_skipped(self):
        for in_ci, verdict in ((False, "skipped"), (True, "FAILED")):
            outcome = self.judge_suite(2, ["redis-suite CANNOT RUN: missing: tcl"], in_ci)
            self.assertEqual(outcome.verdict, verdict)

    def test_known_failures_are_shown_and_are_no_failures(self):
        lines = ["unit/a: known: test: one: needs a fork", "known failures, each with its reason in a.tsv: 1", "7 passed, 0 failed"]
        outcome = self.judge_suite(0, lines)
        self.assertEqual((outcome.verdict, outcome.passed, outcome.known), ("ok", 7, lines[:1]))

    def judge_suite(self, status, lines, in_ci=False):
        def pretend(_command, outcome, **_options):
            outcome.has_run = True
            return status, lines

        kept = quick.run, quick.IN_CI
        quick.run, quick.IN_CI = pretend, in_ci
        try:
            outcome = Outcome("suite", limit_s=10)
            run_suite(outcome, "A suite")
            return outcome
        finally:
            quick.run, quick.IN_CI = kept


if __name__ == "__main__":
    unittest.main()
