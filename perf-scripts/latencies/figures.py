"""What is made of the runs: medians, and ratios round by round."""

import statistics
from dataclasses import dataclass

from .measure import PERCENTILES
from .peers import system_of

# The percentiles that ratios are told of: the largest latency is one record's.
COMPARED = [name for name in PERCENTILES if name != "max"]


@dataclass(frozen=True)
class Figure:
    """The median of the rounds, the least and the largest."""

    median: float
    least: float
    largest: float
    rounds: int
    # A peer did not hold the rate: the records that it gave up would have taken longer still.
    at_least: bool = False

    @staticmethod
    def of(values, at_least=False):
        """The figure of a value a round, if there is one."""
        values = list(values)
        if not values:
            return None
        return Figure(statistics.median(values), min(values), max(values), len(values), at_least)


class Figures:
    """The runs that were not disturbed by other processes."""

    def __init__(self, rows, waited_max):
        self.rows = rows
        self.quiet = [row for row in rows if (row["waited"] or 0.0) <= waited_max]

    def modes(self, rate, wait):
        """The modes that were measured."""
        return list(dict.fromkeys(row["mode"] for row in self.rows if (row["rate"], row["wait"]) == (rate, wait)))

    def of(self, rate, wait, mode):
        """The undisturbed runs of a mode."""
        return [row for row in self.quiet if (row["rate"], row["wait"], row["mode"]) == (rate, wait, mode)]

    def latency(self, rate, wait, mode, name):
        """A percentile, in nanoseconds."""
        rows = self.of(rate, wait, mode)
        return Figure.of((row[f"{name}_ns"] for row in rows), any(row["unsent"] for row in rows))

    def standing(self, rate, peer):
        """The mode that stands for a peer: the one with the lowest p99."""
        modes = [mode for mode in self.modes(rate, "") if system_of(mode) == peer and self.of(rate, "", mode)]
        return min(modes, key=lambda mode: self.latency(rate, "", mode, "p99").median, default=None)

    def above_floor(self, rate, wait, name):
        """How many times as long as through bare rtrb a hop took: in each round the mean of the ratios to the floor
        before it and the floor after it."""
        ratios = []
        for hop, floors in self.beside(rate, wait, wait, "rtrb"):
            # One side alone would take a machine that became slower, or faster, for a slower or a faster job.
            if len(floors) == 2:
                ratios.append(statistics.mean(ratio(hop, floor, name) for floor in floors))
        return Figure.of(ratios)

    def beside_peer(self, rate, wait, peer, name):
        """How many times as long as a hop a peer took."""
        mode = self.standing(rate, peer)
        pairs = [(hop, other) for hop, others in self.beside(rate, wait, "", mode) for other in others]
        gave_up = any(other["unsent"] for _, other in pairs)
        return Figure.of((ratio(other, hop, name) for hop, other in pairs), gave_up)

    def beside(self, rate, wait, other_wait, mode):
        """Every hop with the runs of another mode in the same round."""
        others = self.of(rate, other_wait, mode)
        return [(hop, [other for other in others if other["round"] == hop["round"]])
                for hop in self.of(rate, wait, "hop")]


def ratio(row, other, name):
    """How many times as long one took as the other."""
    return row[f"{name}_ns"] / max(other[f"{name}_ns"], 1)

