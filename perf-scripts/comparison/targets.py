"""The targets: what thalweg is to reach of each peer's rate."""

import json

from . import systems, table


def load():
    """The table of targets: query -> parallelism -> peer -> least ratio."""
    return json.loads((systems.SCRIPTS / "targets.json").read_text())["targets"]


def peer(entries, query, parallelism, name):
    """The entry a target is about: `system`, `system:variant`, the best of `one|other`, or `own p1`."""
    if name == "own p1":
        return table.find(entries, query, 1, "thalweg")
    found = []
    for one in name.split("|"):
        system, _, variant = one.partition(":")
        found.append(table.find(entries, query, parallelism, system, variant or None))
    # The best of several is known only when all are there.
    return max(found, key=lambda entry: entry["rate"]["median"]) if all(found) else None


def verdicts(entries, targets):
    """One for every target whose peer was measured."""
    found = []
    for query, by_parallelism in targets.items():
        for parallelism, by_peer in by_parallelism.items():
            own = table.find(entries, query, int(parallelism), "thalweg")
            for name, target in by_peer.items():
                other = peer(entries, query, int(parallelism), name)
                ratio = table.ratio(own, other) if own and other else None
                if ratio is None:
                    continue
                found.append({
                    "query": query, "parallelism": int(parallelism), "against": name, "target": target,
                    "ratio": ratio, "met": own["right"] and ratio["median"] >= target,
                    # Where the target stands in the table: beside its peer, or on a line of its own.
                    "entry": None if name == "own p1" else other,
                })
    return found
