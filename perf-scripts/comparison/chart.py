"""The chart: a group of bars for every query, a panel for every parallelism."""

import sys

COLOURS = {
    "thalweg": "#0b5fa5",
    "hand": "#9aa0a6",
    "timely": "#d9822b",
    "renoir": "#5a9367",
    "flink": "#c23030",
}


def draw(path, figures, facts, limit):
    """Draws the best variants' rates; gives the path, or nothing where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        print("compare: no chart, as matplotlib is not installed; get it by "
              "`pip install -r perf-scripts/requirements.txt`", file=sys.stderr)
        return None
    best = [entry for entry in figures if entry["best"] and entry["right"]]
    if not best:
        return None
    matplotlib.use("svg")
    # The same figures give the same bytes.
    matplotlib.rcParams.update({"svg.hashsalt": "thalweg", "svg.fonttype": "path", "font.size": 10})
    from matplotlib import pyplot

    parallelisms = sorted({entry["parallelism"] for entry in best})
    queries = list(dict.fromkeys(entry["query"] for entry in best))
    figure, panels = pyplot.subplots(
        len(parallelisms), 1, squeeze=False, sharey=True, layout="constrained",
        figsize=(max(6, 1.5 + 1.15 * len(queries)), 3.6 * len(parallelisms) + 0.6),
    )
    for panel, parallelism in zip(panels[:, 0], parallelisms):
        own = [entry for entry in best if entry["parallelism"] == parallelism]
        bars(panel, own, queries)
        panel.set_title(f"parallelism {parallelism}", loc="left", fontsize=10)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    figure.supxlabel(f"median, with the slowest and the fastest round; {facts['processor']}, "
                     f"{facts['cores']} cores" + (f"; only {limit:,} records of each input" if limit else ""),
                     fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path


def bars(panel, entries, queries):
    """One panel's bars."""
    present = {entry["system"] for entry in entries}
    systems = [name for name in COLOURS if name in present]
    width = 0.86 / max(1, len(systems))
    for index, system in enumerate(systems):
        own = {entry["query"]: entry["rate"] for entry in entries if entry["system"] == system}
        places = [place + (index - (len(systems) - 1) / 2) * width
                  for place, query in enumerate(queries) if query in own]
        rates = [own[query] for query in queries if query in own]
        heights = [rate["median"] / 1e6 for rate in rates]
        errors = [[(rate["median"] - rate["min"]) / 1e6 for rate in rates],
                  [(rate["max"] - rate["median"]) / 1e6 for rate in rates]]
        panel.bar(places, heights, width * 0.94, yerr=errors, label=system, color=COLOURS[system],
                  error_kw={"elinewidth": 0.7, "ecolor": "#333333"})
        for place, height, rate in zip(places, heights, rates):
            text = f"{height:.0f}" if height >= 10 else f"{height:.1f}" if height >= 1 else f"{height:.2f}"
            panel.annotate(text, (place, rate["max"] / 1e6), xytext=(0, 2), textcoords="offset points",
                           ha="center", va="bottom", fontsize=6.5)
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.margins(y=0.1)
    panel.set_ylabel("million records/s (logarithmic)")
    panel.set_xticks(range(len(queries)), queries)
    panel.set_xlim(-0.6, len(queries) - 0.4)
    panel.grid(axis="y", linewidth=0.4, alpha=0.6)
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
