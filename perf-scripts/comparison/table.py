"""The figures: medians with their spread, ratios round by round, answers compared with known ones and each other."""

from collections import Counter
from statistics import median

from . import systems

ANSWER = ("records", "rows", "checksum")


def answer(run):
    """What all systems must agree on."""
    return tuple(run[key] for key in ANSWER)


def variant_of(run):
    """What an answer is wrong of: (query, parallelism, system, variant)."""
    return run["query"], run["parallelism"], run["system"], run["variant"]


def disagreements(runs, known):
    """(query, parallelism, system, variant) -> how its answer differs from the known one of its query or, where there
    is none, from that of most systems."""
    wrong = {}
    for query in {run["query"] for run in runs}:
        own = [run for run in runs if run["query"] == query]
        right = known.get(query) or voted(own)
        for run in own:
            differs = [f"{key} {run[key]} instead of {value}"
                       for key, value in zip(ANSWER, right) if run[key] != value]
            if differs:
                wrong[variant_of(run)] = ", ".join(differs)
    return wrong


def voted(runs):
    """The answer of most systems; of as many, the hand-written loop's side."""
    answers = {}
    for run in runs:
        answers.setdefault(answer(run), set()).add(run["system"])
    return max(answers, key=lambda one: (len(answers[one]), "hand" in answers[one]))


def spread(values):
    """Median, least and most."""
    return {"median": median(values), "min": min(values), "max": max(values)}


def of_round(runs, key):
    """round -> median of its runs."""
    by_round = {}
    for run in runs:
        by_round.setdefault(run["round"], []).append(run[key])
    return {number: median(values) for number, values in by_round.items()}


def figures(runs, wrong):
    """One entry for every query, parallelism, system and variant, in the order of the runs."""
    groups = {}
    for run in runs:
        groups.setdefault(variant_of(run), []).append(run)
    entries = []
    for (query, parallelism, system, variant), own in groups.items():
        rates = of_round(own, "records_per_second")
        entries.append({
            "query": query, "parallelism": parallelism, "system": system, "variant": variant,
            "records": own[0]["records"],
            "rates": rates, "rate": spread(list(rates.values())),
            "cpu": spread(list(of_round(own, "user_cpu_ns_per_record").values())),
            "right": (query, parallelism, system, variant) not in wrong,
            "best": False,
        })
    for entry in entries:
        rivals = [other for other in entries if same_case(entry, other) and entry["system"] == other["system"]]
        entry["best"] = entry is max(rivals, key=lambda one: (one["right"], one["rate"]["median"]))
    order = [system.name for system in systems.ALL]
    entries.sort(key=lambda entry: order.index(entry["system"]))
    for entry in entries:
        own = find(entries, entry["query"], entry["parallelism"], "thalweg")
        entry["ratio"] = ratio(own, entry) if own and entry["system"] != "thalweg" else None
    return entries


def same_case(one, other):
    """Whether two entries are of the same query at the same parallelism."""
    return (one["query"], one["parallelism"]) == (other["query"], other["parallelism"])


def find(entries, query, parallelism, system, variant=None):
    """A system's entry: that of a variant, or of its best one."""
    for entry in entries:
        if (entry["query"], entry["parallelism"], entry["system"]) == (query, parallelism, system):
            if entry["variant"] == variant or (variant is None and entry["best"]):
                return entry
    return None


def ratio(one, other):
    """How many times faster one is than the other, round by round."""
    common = one["rates"].keys() & other["rates"].keys()
    return spread([one["rates"][number] / other["rates"][number] for number in common]) if common else None


def shown(value):
    """Three significant digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def millions(rate):
    """A rate with its spread, in millions a second."""
    median_, least, most = (shown(rate[key] / 1e6) for key in ("median", "min", "max"))
    return f"{median_:>6}  {least + '–' + most:<14}"


def render(plan_order, entries, verdicts, failures, wrong):
    """The table for people, query by query in the order they were run."""
    lines = ["", f"{'':<28}{'M records/s':<16}{'CPU ns':>12}   thalweg is"]
    measured = {(entry["query"], entry["parallelism"]) for entry in entries}
    cases = dict.fromkeys(case for case in plan_order if case in measured)
    cases.update(dict.fromkeys(key[:2] for key in failures))
    for query, parallelism in cases:
        lines.append(f"{query}, parallelism {parallelism}")
        for entry in entries:
            if (entry["query"], entry["parallelism"]) == (query, parallelism):
                lines.append(line(entry, verdicts))
        for (_, _, system), failure in select(failures, query, parallelism):
            lines.append(f"  {system:<24}ERROR: {failure}")
        for (_, _, system, variant), how in select(wrong, query, parallelism):
            lines.append(f"  {named(system, variant):<24}ERROR: wrong answer: {how}")
        for verdict in verdicts:
            if verdict["entry"] is None and (verdict["query"], verdict["parallelism"]) == (query, parallelism):
                ratio_ = times(verdict["ratio"])
                lines.append(f"  {verdict['against']:<23}{' ' * 34 if ratio_ else ''}{ratio_}{goal([verdict])}")
    if verdicts:
        count = Counter(verdict["verdict"] for verdict in verdicts)
        lines.append(f"\ntargets: {count['met']} met, {count['missed']} missed, {count['not measured']} not measured")
    return "\n".join(lines)


def named(system, variant):
    """A system with its variant, if it has several."""
    return f"{system} ({variant})" if variant else system


def line(entry, verdicts):
    """One system's line."""
    name = named(entry["system"], entry["variant"])
    mark = " " if entry["best"] else "·"
    own = [verdict for verdict in verdicts if verdict["entry"] is entry]
    return (f" {mark}{name:<24}{millions(entry['rate'])}{shown(entry['cpu']['median']):>8}"
            f"   {times(entry['ratio'])}{goal(own)}").rstrip()


def times(ratio_):
    """A ratio with its spread."""
    if ratio_ is None:
        return ""
    median_, least, most = (shown(ratio_[key]) for key in ("median", "min", "max"))
    return f"{median_ + '×':<10}  {least + '–' + most:<13}"


def goal(verdicts):
    """The targets of a line."""
    marks = {"met": "✓ ≥ {target}", "missed": "✗ MISSED ≥ {target}",
             "not measured": "≥ {target} not measured: {reason}"}
    return "".join(" " + marks[verdict["verdict"]].format(**verdict) for verdict in verdicts)


def select(by_key, query, parallelism):
    """Those of a query at a parallelism."""
    return [(key, value) for key, value in by_key.items() if key[:2] == (query, parallelism)]
