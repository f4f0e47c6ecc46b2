"""The targets: what a record is to take through thalweg, alone and beside its peers."""

import json
import operator
from dataclasses import dataclass
from pathlib import Path

from .peers import NAMES

SIGNS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}

# What is recorded for less time may lie between two interruptions by the hypervisor or the scheduler.
SECONDS_MIN = 5


@dataclass(frozen=True)
class Verdict:
    """A target, and what became of it: met, missed, or none where the figure is missing."""

    target: dict
    met: bool | None
    # The worst figure, and the percentile it stands at, if it is one.
    found: float | None = None
    at: str | None = None

    def told(self):
        """In words."""
        return {None: "not measured", True: "met", False: "missed"}[self.met]


def load():
    """The targets of latency."""
    path = Path(__file__).resolve().parent.parent / "targets.json"
    return json.loads(path.read_text())["latency"]["targets"]


def verdicts(figures, idle, targets, seconds):
    """One for every target; none of what was recorded for too short a time."""
    if seconds < SECONDS_MIN:
        return [Verdict(target, None) for target in targets]
    return [verdict(target, figures, idle) for target in targets]


def verdict(target, figures, idle):
    """Whether a target is met at all of its percentiles."""
    sign, bound = target["is"]
    if target["figure"] == "idle":
        share = idle.get(target["wait"])
        return Verdict(target, None if share is None else SIGNS[sign](share, bound), share)
    found = {name: figure(target, figures, name) for name in target["at"]}
    if not all(found.values()):
        return Verdict(target, None)
    worst = (max if sign in ("<", "<=") else min)(found, key=lambda name: found[name].median)
    met = SIGNS[sign](found[worst].median, bound)
    # A peer that did not hold the rate took longer than it could tell: that it is not behind proves nothing.
    if found[worst].at_least and not met:
        return Verdict(target, None)
    return Verdict(target, met, found[worst].median, worst)


def figure(target, figures, name):
    """The figure that a target is about, at a percentile."""
    rate, wait, about = target["rate"], target["wait"], target["figure"]
    if about == "hop":
        return figures.latency(rate, wait, "hop", name)
    if about == "hop / rtrb":
        return figures.above_floor(rate, wait, name)
    peer = about.removesuffix(" / hop")
    if peer not in NAMES:
        raise ValueError(f"targets.json: there is no figure `{about}`")
    return figures.beside_peer(rate, wait, peer, name)
