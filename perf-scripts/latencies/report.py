"""The figures as text."""

import itertools
import statistics

from .figures import COMPARED
from .measure import PERCENTILES
from .peers import NAMES

# A run whose last record came later than this has not kept up with its rate.
BEHIND_NS_MAX = 100_000_000

SIGNS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥"}


def nanos(value):
    """A latency in three digits."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} ns"


def times(value):
    """A ratio in three digits, or two decimals."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def render(figures, options, measured_peers):
    """Medians and ratios of everything that was measured."""
    lines = [f"{'rate':>9}  {'wait':<8}{'mode':<11}{'runs':>5}"
             + "".join(f"{name:>10}" for name in PERCENTILES) + f"{'CPU':>6}"]
    for rate in options.rates:
        for wait in [*options.waits, *([""] if measured_peers else [])]:
            lines += [line_of(figures, rate, wait, mode) for mode in figures.modes(rate, wait)]
        lines.append("")
    for rate, wait in itertools.product(options.rates, options.waits):
        lines += ratios(figures, rate, wait)
    return "\n".join(lines)


def line_of(figures, rate, wait, mode):
    """A mode's medians."""
    every = [row for row in figures.rows if (row["rate"], row["wait"], row["mode"]) == (rate, wait, mode)]
    quiet = figures.of(rate, wait, mode)
    line = f"{rate:>9}  {wait or '-':<8}{mode:<11}" + f"{len(quiet)}/{len(every)}".rjust(5)
    if not quiet:
        return line + "  every run was disturbed by other processes"
    for name in PERCENTILES:
        latency = figures.latency(rate, wait, mode, name)
        line += (("≥ " if latency.at_least else "") + nanos(latency.median)).rjust(10)
    cores = [row["cpu_cores"] for row in quiet if row["cpu_cores"] is not None]
    line += f"{statistics.median(cores):>6.2f}" if cores else "     -"
    return line + fell_behind(quiet)


def fell_behind(rows):
    """Whether the rate was held."""
    unsent = sum(row["unsent"] for row in rows)
    if unsent:
        return f"  did not hold the rate: gave up {unsent:,} records"
    behind = max(row["behind_ns"] for row in rows)
    return f"  did not keep up: ended {nanos(behind)} behind" if behind > BEHIND_NS_MAX else ""


def ratios(figures, rate, wait):
    """How far a hop is from the floor of the same round, and from its peers."""
    lines = []
    for about, figure in [("hop / rtrb", figures.above_floor),
                          *((f"{peer} / hop", beside(figures, peer)) for peer in NAMES)]:
        found = [figure(rate, wait, name) for name in COMPARED]
        if all(found):
            lines.append(f"  {about:<14}" + "".join(f" {cell(one):>23}" for one in found))
    if not lines:
        return []
    title = f"{rate:,} records/s, {wait}"
    header = f"{title}: times as long, median of the rounds (least–most)"
    return [header, " " * 16 + "".join(name.rjust(24) for name in COMPARED), *lines, ""]


def beside(figures, peer):
    """The ratio of a peer, as a function like that of the floor."""
    return lambda rate, wait, name: figures.beside_peer(rate, wait, peer, name)


def cell(figure):
    """A ratio with its range."""
    median = ("≥ " if figure.at_least else "") + times(figure.median)
    return f"{median} ({times(figure.least)}–{times(figure.largest)})"


def render_verdicts(verdicts):
    """One line for every target."""
    return "\n".join(["targets (perf-scripts/targets.json):", *map(verdict_line, verdicts)])


def verdict_line(verdict):
    """A target, and what became of it."""
    target = verdict.target
    sign, bound = target["is"]
    about, at = target["figure"], target.get("at", [])
    shown = {"hop": nanos, "idle": lambda share: f"{share * 100:.3g} % of a core"}.get(about, times)
    where = f" at {', '.join(at)}" if at else ""
    rate = f"{target['rate']:,} records/s, " if "rate" in target else ""
    line = f"  {verdict.told():<13} {about}{where}, {rate}{target['wait']}: {SIGNS[sign]} {shown(bound)}"
    if verdict.found is None:
        return line
    worst = f" at {verdict.at}" if len(at) > 1 else ""
    return f"{line}, found {shown(verdict.found)}{worst}"
