"""The chart over the rates."""

import sys


def draw(path, figures, options):
    """Medians over the rates: one panel for each wait strategy."""
    try:
        import matplotlib
        matplotlib.use("svg")
        from matplotlib import pyplot
    except ImportError:
        print("no chart over the rates, as matplotlib is not installed: pip install -r "
              "perf-scripts/requirements.txt", file=sys.stderr)
        return
    figure, panels = pyplot.subplots(1, len(options.waits), sharey=True, squeeze=False,
                                     figsize=(1.5 + 4.2 * len(options.waits), 4.6))
    # Peers wait in ways of their own: they stand in every panel.
    modes = list(dict.fromkeys((bool(row["wait"]), row["mode"]) for row in figures.rows))
    for panel, wait in zip(panels[0], options.waits):
        for colour, (has_wait, mode) in enumerate(modes):
            for name, style in (("p50", "-"), ("p99.9", "--")):
                found = [(rate, figures.latency(rate, wait if has_wait else "", mode, name))
                         for rate in options.rates]
                points = [(rate, latency.median / 1e3) for rate, latency in found if latency]
                if points:
                    panel.plot(*zip(*points), style, color=f"C{colour}", marker="o", markersize=3,
                               label=f"{mode} {name}")
        panel.set(title=wait, xscale="log", yscale="log", xlabel="records a second")
        panel.grid(True, which="major", alpha=0.3)
    panels[0][0].set_ylabel("latency in µs: p50 solid, p99.9 dashed")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="center right", fontsize="small", frameon=False)
    figure.tight_layout(rect=(0, 0, 1 - 1.4 / figure.get_figwidth(), 1))
    figure.savefig(path)
