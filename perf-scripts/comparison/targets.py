"""The targets: what thalweg is to reach of each peer's rate."""

import json

import inputs

from . import systems, table


def load():
    """The table of targets: query -> parallelism -> peer -> least ratio."""
    return json.loads((systems.SCRIPTS / "targets.json").read_text())["targets"]


def judged(plan, known):
    """The cases that the targets are meant for, and the reasons why others have no verdict."""
    cases = [(case.query, case.parallelism) for case in plan.cases]
    if plan.chosen.limit:
        return [], ["no verdicts: with --limit, start and end weigh too much"]
    if "thalweg" not in plan.chosen.systems:
        return [], ["no verdicts: thalweg is not among --systems"]
    other = [query for query in plan.chosen.queries if query not in known]
    short = [query for query in other if query in ("q3", "q8") and plan.suffix(query) != inputs.LONG]
    reasons = []
    if short:
        reasons.append(f"no verdicts on {' and '.join(short)}: the targets are for the longer inputs that "
                       "`thalweg generate --x10` makes")
    if rest := [query for query in other if query not in short]:
        reasons.append(f"no verdicts on {', '.join(rest)}: the targets are for inputs with known answers")
    return [case for case in cases if case[0] in known], reasons


def verdicts(entries, targets, cases, why):
    """One for every target of the cases. `why` tells why a system has not run a case."""
    found = []
    for query, parallelism in cases:
        for name, target in targets.get(query, {}).get(str(parallelism), {}).items():
            verdict = {"query": query, "parallelism": parallelism, "against": name, "target": target,
                       "ratio": None, "entry": None, "reason": None}
            try:
                own = entry(entries, query, parallelism, "thalweg", why)
                other = peer(entries, query, parallelism, name, why)
                verdict["ratio"] = table.ratio(own, other)
                if not verdict["ratio"]:
                    raise NotMeasured("no round has both")
                met = own["right"] and verdict["ratio"]["median"] >= target
                verdict["verdict"] = "met" if met else "missed"
                # Where the target stands in the table: beside its peer, or on a line of its own.
                verdict["entry"] = None if name == "own p1" else other
            except NotMeasured as reason:
                verdict |= {"verdict": "not measured", "reason": str(reason)}
            found.append(verdict)
    return found


class NotMeasured(Exception):
    """Why there is nothing to compare with a target."""


def peer(entries, query, parallelism, name, why):
    """The entry a target is about: `system`, `system:variant`, the best of `one|other`, or `own p1`."""
    if name == "own p1":
        found = [entry(entries, query, 1, "thalweg", why)]
    else:
        # The best of several is known only when all are there.
        found = [entry(entries, query, parallelism, one, why) for one in name.split("|")]
    for one in found:
        if not one["right"]:
            raise NotMeasured(f"the answer of {table.named(one['system'], one['variant'])} is wrong")
    return max(found, key=lambda one: one["rate"]["median"])


def entry(entries, query, parallelism, name, why):
    """The entry of a `system` or a `system:variant`."""
    system, _, variant = name.partition(":")
    found = table.find(entries, query, parallelism, system, variant or None)
    if not found:
        raise NotMeasured(f"{name} {why(query, parallelism, system)}")
    return found
