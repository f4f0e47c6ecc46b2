"""Tests of the figures: `python3 -m unittest discover perf-scripts/comparison -t perf-scripts`."""

import re
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

import inputs
import page_cache

from . import answers, measure, record, table, targets


def run(system, rate, **other):
    """A run of q0 as a system reports it."""
    return {"query": "q0", "parallelism": 1, "system": system, "variant": "", "round": 1, "records": 9,
            "rows": 9, "checksum": "a", "records_per_second": rate, "user_cpu_ns_per_record": 1.0, **other}


def verdicts(runs, wanted, known=None):
    """The verdicts on q0 at parallelism 1."""
    figures = table.figures(runs, table.disagreements(runs, known or {}))
    return targets.verdicts(figures, {"q0": {"1": wanted}}, [("q0", 1)], lambda *_: "is not there")


def plan(directory=".", **chosen):
    """What is to be run."""
    chosen = {"queries": ["q0", "q3"], "parallelism": [1], "systems": ["thalweg", "hand"], "limit": None,
              "jitter_ms": 0, "suffix": None, "data": Path(directory), "name": "a machine", **chosen}
    return measure.Plan(SimpleNamespace(**chosen), [], [0])


class Pages(unittest.TestCase):
    """Where the inputs lie in memory."""

    MAPS = """\
7f00-8f00 r--s 00000000 fe:00 12 /data of a run/bids.bin
Rss:                 320 kB
FilePmdMapped:       256 kB
8f00-9f00 rw-p 00000000 00:00 0
FilePmdMapped:       512 kB
9f00-af00 r--s 00000000 fe:00 13 /data of a run/bids.bin.old
FilePmdMapped:      1024 kB
"""

    def test_the_huge_pages_of_a_file_are_those_of_its_mapping(self):
        found = page_cache.in_huge_pages(self.MAPS.splitlines(True), "/data of a run/bids.bin")
        self.assertEqual(found, 256 * 1024)

    def test_of_files_smaller_than_a_page_there_is_no_share(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(5000))
            file.flush()
            self.assertIsNone(page_cache.lay_out([Path(file.name)]))

    def test_the_share_of_a_file_is_at_most_all(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(5 << 20))
            file.flush()
            self.assertIn(page_cache.lay_out([Path(file.name)]), (None, 0.0, 0.5, 1.0))


class Answers(unittest.TestCase):
    """Which answers are wrong."""

    def test_a_system_that_differs_from_most_is_wrong(self):
        runs = [run("thalweg", 1, checksum="b"), run("hand", 1), run("timely", 1)]
        wrong = table.disagreements(runs, {})
        self.assertEqual(wrong, {("q0", 1, "thalweg", ""): "checksum b instead of a"})

    def test_between_two_the_hand_written_loop_is_right(self):
        runs = [run("thalweg", 1, rows=8), run("hand", 1)]
        self.assertEqual(list(table.disagreements(runs, {})), [("q0", 1, "thalweg", "")])

    def test_most_systems_are_wrong_where_the_answer_is_known(self):
        runs = [run("thalweg", 1, checksum="b"), run("hand", 1), run("timely", 1)]
        wrong = table.disagreements(runs, {"q0": (9, 9, "b")})
        self.assertEqual([system for _, _, system, _ in wrong], ["hand", "timely"])

    def test_a_wrong_variant_marks_only_itself(self):
        runs = [run("thalweg", 1), run("hand", 2, variant="plain"), run("hand", 9, variant="prefetch", rows=8)]
        figures = table.figures(runs, table.disagreements(runs, {}))
        self.assertEqual([entry["right"] for entry in figures], [True, True, False])
        self.assertEqual([entry["best"] for entry in figures], [True, True, False], "nor does it stand for all")

    def test_answers_are_known_for_whole_inputs_of_the_default_kind(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "bids.bin")
            path.write_bytes(b"bids")
            right = {"records": 1, "rows": 2, "checksum": "a"}
            found = {"files": {"bids.bin": {"bytes": 4, "start": inputs.start(path)}},
                     "answers": {"q0": {"": right}, "q3": {"": right}}}
            self.assertEqual(answers.known(plan(directory), found), {"q0": (1, 2, "a")})
            self.assertEqual(answers.known(plan(directory, limit=1), found), {})
            self.assertEqual(answers.known(plan(directory, jitter_ms=1), found), {})
            for other in [b"bids and more", b"dibs"]:
                path.write_bytes(other)
                self.assertEqual(answers.known(plan(directory), found), {})

    def test_every_query_has_an_answer(self):
        found = answers.load()
        for query, by_suffix in found["answers"].items():
            for suffix, right in by_suffix.items():
                self.assertEqual(list(right), list(table.ANSWER))
                self.assertLessEqual(set(inputs.files(query, suffix)), set(found["files"]))
        self.assertEqual(list(found["answers"]), list(targets.load()))


class Figures(unittest.TestCase):
    """What is made of runs."""

    def test_ratios_are_taken_round_by_round(self):
        # Both were twice as fast in round 2: nothing of that is in the ratio.
        runs = [run("thalweg", 10), run("hand", 20), run("thalweg", 20, round=2), run("hand", 40, round=2)]
        [_, hand] = table.figures(runs, {})
        self.assertEqual(hand["ratio"], {"median": 0.5, "min": 0.5, "max": 0.5})
        self.assertEqual(hand["rate"]["median"], 30)

    def test_names_tell_the_time_and_whether_the_inputs_were_cut(self):
        facts = {"processor": "CPU @ 2 GHz", "cores": 2}
        self.assertRegex(record.stem(plan(name=None).chosen, facts), r"^\d{4}-\d\d-\d\d-\d{6}-cpu-2-ghz-2-cores$")
        self.assertTrue(record.stem(plan(limit=9).chosen, facts).endswith("-a-machine-partial"))

    def test_no_file_is_replaced(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "there.csv")
            record.results.create(path).close()
            with self.assertRaisesRegex(SystemExit, re.escape(f"{path} cannot be written: File exists")):
                record.results.create(path)


class Targets(unittest.TestCase):
    """Which targets are met."""

    def test_the_fastest_variant_stands_for_a_system(self):
        runs = [run("thalweg", 10), run("hand", 5, variant="plain"), run("hand", 20, variant="prefetch")]
        found = verdicts(runs, {"hand": 0.6, "hand:plain": 2})
        self.assertEqual([verdict["verdict"] for verdict in found], ["missed", "met"])

    def test_best_of_two_is_not_known_from_one(self):
        runs = [run("thalweg", 10), run("timely", 5)]
        [verdict] = verdicts(runs, {"timely|renoir": 1})
        self.assertEqual((verdict["verdict"], verdict["reason"]), ("not measured", "renoir is not there"))
        [verdict] = verdicts(runs + [run("renoir", 8)], {"timely|renoir": 1})
        self.assertEqual(verdict["ratio"]["median"], 10 / 8)

    def test_a_missing_peer_or_variant_or_round_is_not_measured(self):
        runs = [run("thalweg", 10), run("hand", 1, variant="plain"), run("timely", 1, round=2)]
        found = verdicts(runs, {"flink": 1, "hand:prefetch": 1, "timely": 1})
        self.assertEqual([verdict["reason"] for verdict in found],
                         ["flink is not there", "hand:prefetch is not there", "no round has both"])
        self.assertIn("0 met, 0 missed, 3 not measured",
                      table.render([("q0", 1)], table.figures(runs, {}), found, {}, {}))

    def test_without_thalweg_no_target_is_missed(self):
        [verdict] = verdicts([run("hand", 1)], {"hand": 1})
        self.assertEqual(verdict["reason"], "thalweg is not there")

    def test_a_wrong_answer_meets_no_target(self):
        runs = [run("thalweg", 10, checksum="b"), run("hand", 1), run("timely", 1)]
        [verdict] = verdicts(runs, {"hand": 1})
        self.assertEqual(verdict["verdict"], "missed")
        [verdict] = verdicts(runs, {"hand": 1}, known={"q0": (9, 9, "b")})
        self.assertEqual(verdict["reason"], "the answer of hand is wrong")

    def test_inputs_without_a_known_answer_have_no_verdicts(self):
        known = {"q0": (9, 9, "a"), "q3": (9, 9, "a")}
        self.assertEqual(targets.judged(plan(suffix="_x10"), known), ([("q0", 1), ("q3", 1)], []))
        cases, [reason] = targets.judged(plan(), {"q0": known["q0"]})
        self.assertEqual(cases, [("q0", 1)])
        self.assertIn("q3", reason)
        cases, [_, reason] = targets.judged(plan(), {})
        self.assertEqual(cases, [])
        self.assertIn("q0", reason)
        cases, [reason] = targets.judged(plan(limit=9), known)
        self.assertEqual(cases, [])
        self.assertIn("--limit", reason)


if __name__ == "__main__":
    unittest.main()
