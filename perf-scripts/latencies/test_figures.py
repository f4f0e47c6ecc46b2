"""Tests of the figures: `python3 -m unittest discover perf-scripts/latencies -t perf-scripts`."""

import unittest

from . import measure, report, targets
from .figures import Figures
from .measure import PERCENTILES


def run(mode, nanos, number=1, **other):
    """A run at a million records a second whose percentiles are all the same."""
    wait = "" if mode.partition(":")[0] in ("timely", "renoir", "flink") else "spin"
    return {"round": number, "rate": 1_000_000, "wait": wait, "mode": mode, "unsent": 0, "waited": 0.0,
            "behind_ns": 0, "cpu_cores": 2.0, **{f"{name}_ns": nanos for name in PERCENTILES}, **other}


def verdict(rows, figure, sign, bound):
    """What becomes of a target at p50 and p99."""
    target = {"figure": figure, "rate": 1_000_000, "wait": "spin", "at": ["p50", "p99"], "is": [sign, bound]}
    return targets.verdict(target, Figures(rows, 0.01), {})


class Floor(unittest.TestCase):
    """The hop beside bare rings."""

    def test_floor_counts_from_both_sides_of_the_hop(self):
        # The machine became twice as slow while the hop was measured.
        rows = [run("rtrb", 100), run("hop", 300), run("rtrb", 200)]
        figure = Figures(rows, 0.01).above_floor(1_000_000, "spin", "p50")
        self.assertEqual(figure.median, 2.25)

    def test_floor_of_one_side_is_none(self):
        rows = [run("rtrb", 100), run("hop", 300), run("rtrb", 200, waited=0.5)]
        self.assertIsNone(Figures(rows, 0.01).above_floor(1_000_000, "spin", "p50"))

    def test_rounds_are_told_with_their_range(self):
        rows = [row for number, hop in [(1, 200), (2, 300), (3, 800)]
                for row in (run("rtrb", 100, number), run("hop", hop, number), run("rtrb", 100, number))]
        figure = Figures(rows, 0.01).above_floor(1_000_000, "spin", "p99")
        self.assertEqual(report.cell(figure), "3.00 (2.00–8.00)")


class Peers(unittest.TestCase):
    """The hop beside peers."""

    def test_ratios_are_taken_round_by_round(self):
        rows = [run("hop", 100), run("timely", 300), run("hop", 1000, 2), run("timely", 5000, 2)]
        self.assertEqual(Figures(rows, 0.01).beside_peer(1_000_000, "spin", "timely", "p50").median, 4)

    def test_the_variant_with_the_best_p99_stands_for_a_peer(self):
        rows = [run("hop", 1), run("flink:0ms", 5000), run("flink:1ms", 2000, p50_ns=9000)]
        self.assertEqual(Figures(rows, 0.01).standing(1_000_000, "flink"), "flink:1ms")

    def test_peer_that_gave_up_is_at_least_that_slow(self):
        rows = [run("hop", 100), run("renoir", 300, unsent=7)]
        self.assertTrue(verdict(rows, "renoir / hop", ">", 1).met)
        self.assertIsNone(verdict(rows, "renoir / hop", ">", 5).met)
        self.assertIn("gave up 7 records", report.line_of(Figures(rows, 0.01), 1_000_000, "", "renoir"))


class Verdicts(unittest.TestCase):
    """What becomes of targets."""

    def test_the_worst_percentile_decides(self):
        found = verdict([run("hop", 500, p99_ns=1500)], "hop", "<", 1000)
        self.assertEqual((found.met, found.found, found.at), (False, 1500, "p99"))
        found = verdict([run("hop", 500), run("timely", 5000, p99_ns=400)], "timely / hop", ">", 1)
        self.assertEqual((found.met, found.at), (False, "p99"))

    def test_what_is_missing_is_not_measured(self):
        for rows in [[], [run("hop", 500)], [run("hop", 500), run("timely", 900, waited=0.5)]]:
            self.assertIsNone(verdict(rows, "timely / hop", ">", 1).met)

    def test_every_target_of_the_file_can_be_judged(self):
        rows = [run("rtrb", 100), run("hop", 120), run("rtrb", 100), run("hop", 120, wait="backoff"),
                run("timely", 500), run("renoir", 500), run("flink:0ms", 500_000)]
        found = targets.verdicts(Figures(rows, 0.01), {"backoff": 0.001}, targets.load(), 5)
        self.assertEqual({one.met for one in found}, {True})
        self.assertEqual(report.render_verdicts(found).count(" met "), len(found))

    def test_of_runs_of_less_than_five_seconds_nothing_is_said(self):
        found = targets.verdicts(Figures([run("hop", 500)], 0.01), {"backoff": 0.001}, targets.load(), 4.9)
        self.assertEqual({one.told() for one in found}, {"not measured"})


class Turns(unittest.TestCase):
    """The order of a round."""

    def test_everything_is_first_in_some_round(self):
        rounds = [measure.turns(number, ["spin", "park"], {"timely": []}) for number in (1, 2, 3, 4)]
        self.assertEqual([turns[0] for turns in rounds], ["spin", "park", "timely", "spin"])
        self.assertEqual({frozenset(turns) for turns in rounds}, {frozenset(["spin", "park", "timely"])})


if __name__ == "__main__":
    unittest.main()
