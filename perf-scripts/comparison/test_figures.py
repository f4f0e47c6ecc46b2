"""Tests of the figures: `python3 -m unittest discover perf-scripts/comparison -t perf-scripts`."""

import unittest

from . import table, targets


def run(system, rate, **other):
    """A run of q0 as a system reports it."""
    return {"query": "q0", "parallelism": 1, "system": system, "variant": "", "round": 1, "records": 9,
            "rows": 9, "checksum": "a", "records_per_second": rate, "user_cpu_ns_per_record": 1.0, **other}


class Figures(unittest.TestCase):
    """What is made of runs."""

    def test_a_system_that_differs_from_most_is_wrong(self):
        runs = [run("thalweg", 1, checksum="b"), run("hand", 1), run("timely", 1)]
        wrong = table.disagreements(runs)
        self.assertEqual(wrong, {("q0", 1, "thalweg"): "checksum b instead of a"})

    def test_between_two_the_hand_written_loop_is_right(self):
        runs = [run("thalweg", 1, rows=8), run("hand", 1)]
        self.assertEqual(list(table.disagreements(runs)), [("q0", 1, "thalweg")])

    def test_ratios_are_taken_round_by_round(self):
        # Both were twice as fast in round 2: nothing of that is in the ratio.
        runs = [run("thalweg", 10), run("hand", 20), run("thalweg", 20, round=2), run("hand", 40, round=2)]
        [_, hand] = table.figures(runs, {})
        self.assertEqual(hand["ratio"], {"median": 0.5, "min": 0.5, "max": 0.5})
        self.assertEqual(hand["rate"]["median"], 30)

    def test_the_fastest_variant_stands_for_a_system(self):
        runs = [run("thalweg", 10), run("hand", 5, variant="plain"), run("hand", 20, variant="prefetch")]
        figures = table.figures(runs, {})
        found = targets.verdicts(figures, {"q0": {"1": {"hand": 0.6, "hand:plain": 2}}})
        self.assertEqual([verdict["met"] for verdict in found], [False, True])

    def test_best_of_two_is_not_known_from_one(self):
        runs = [run("thalweg", 10), run("timely", 5)]
        wanted = {"q0": {"1": {"timely|renoir": 1}}}
        self.assertEqual(targets.verdicts(table.figures(runs, {}), wanted), [])
        [verdict] = targets.verdicts(table.figures(runs + [run("renoir", 8)], {}), wanted)
        self.assertEqual(verdict["ratio"]["median"], 10 / 8)

    def test_a_wrong_answer_meets_no_target(self):
        runs = [run("thalweg", 10, checksum="b"), run("hand", 1), run("timely", 1)]
        figures = table.figures(runs, table.disagreements(runs))
        [verdict] = targets.verdicts(figures, {"q0": {"1": {"hand": 1}}})
        self.assertFalse(verdict["met"])


if __name__ == "__main__":
    unittest.main()
