"""The rounds: Thalweg at every rate and wait strategy, and its peers beside it."""

import csv
import itertools
import json
import subprocess
import sys

PERCENTILES = ["p50", "p90", "p99", "p99.9", "p99.99", "max"]

# What a peer may take beyond its schedule: the start of a JVM, and the time until it gives up a rate.
PEER_EXTRA_SECONDS = 120


def called(command, timeout=None):
    """The JSON object that a command prints, or what went wrong."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except OSError as error:
        return None, f"cannot be run: {error.strerror}"
    except subprocess.TimeoutExpired:
        return None, f"took longer than {timeout:.0f} s"
    if ended.returncode != 0:
        return None, ended.stderr.strip() or f"ended with exit code {ended.returncode}"
    try:
        return json.loads(ended.stdout), None
    except ValueError:
        return None, "has printed no JSON object"


def run(program, *options):
    """What one run of `thalweg latency` found."""
    command = [str(program), "latency", "--format", "json", *map(str, options)]
    found, failure = called(command)
    if failure:
        sys.exit(f"{' '.join(command)}\n{failure}")
    return found


def idle(options):
    """What an idle job uses of a core, by wait strategy; none where that is not available."""
    used = {}
    for wait in options.waits:
        found = run(options.program, "--idle", "--wait", wait, "--seconds", min(options.seconds, 5.0))
        used[wait] = found["cpu"]["cores"]
        told = "is not available" if used[wait] is None else f"{used[wait] * 100:.3f} % of a core"
        print(f"idle, {wait}, {found['workers']} workers: {told}")
    print(flush=True)
    return used


def row_of(case, measured):
    """One line of the CSV."""
    apart = measured.get("cores_apart_nanos") or [None, None]
    cpu = measured["cpu"]
    return {
        **case, "mode": measured["mode"], "workers": measured["workers"], "recorded": measured["recorded"],
        **{f"{name}_ns": measured[f"{name}_nanos"] for name in PERCENTILES},
        "behind_ns": measured["behind_nanos"], "unsent": measured.get("unsent", 0),
        "cores_apart_before_ns": apart[0], "cores_apart_after_ns": apart[1],
        "cpu_cores": cpu["cores"], "user_cores": cpu["user_cores"], "system_cores": cpu["system_cores"],
        "waited": measured["waited"], "steal": measured["steal"], "setting": measured.get("setting", ""),
    }


def own(options, number, rate, wait, plot):
    """Thalweg's modes, one after the other; draws them into `plot`."""
    found = run(options.program, "--rate", rate, "--wait", wait, "--mode", options.mode,
                "--seconds", options.seconds, "--warm-up", options.warm_up, "--plot", plot)
    case = {"round": number, "rate": rate, "wait": wait, "seconds": found["seconds"]}
    return [row_of(case, measured) for measured in found["runs"]]


def peer(options, number, rate, mode, command):
    """One of the peers: its run as a row, or what went wrong."""
    timeout = options.warm_up + options.seconds + PEER_EXTRA_SECONDS
    found, failure = called([*command, "--rate", str(rate), "--seconds", str(options.seconds),
                             "--warm-up", str(options.warm_up)], timeout)
    if failure:
        return [], f"{mode} at {rate:,} records/s: {failure}"
    # Peers wait in ways of their own.
    case = {"round": number, "rate": rate, "wait": "", "seconds": options.seconds}
    return [row_of(case, {**found, "mode": mode})], None


def turns(number, waits, commands):
    """What is measured at each rate of a round, in an order that begins elsewhere in every round: what the machine does
    to the one after the other in a round, it does to each of them."""
    order = [*waits, *commands]
    first = (number - 1) % len(order)
    return order[first:] + order[:first]


def rounds(options, stem, commands):
    """All rounds; every run as a row, written down as soon as it is there. And what went wrong with peers."""
    rows, failures, quietest = [], [], {}

    def drawn(number, rate, wait):
        """Thalweg's modes, whose drawing stays if they were disturbed least so far."""
        plot = options.results / f"{stem}-{rate}-{wait}.svg"
        fresh = plot.with_suffix(".svg.tmp")
        try:
            new = own(options, number, rate, wait, fresh)
            disturbed = max(row["waited"] or 0.0 for row in new)
            if disturbed < quietest.get(plot, float("inf")):
                quietest[plot] = disturbed
                fresh.replace(plot)
            return new
        finally:
            fresh.unlink(missing_ok=True)

    for number, rate in itertools.product(range(1, options.rounds + 1), options.rates):
        for turn in turns(number, options.waits, commands):
            print(f"round {number} of {options.rounds}: {rate:,} records/s, {turn}", file=sys.stderr, flush=True)
            if turn in options.waits:
                new = drawn(number, rate, turn)
            else:
                new, failure = peer(options, number, rate, turn, commands[turn])
                if failure:
                    failures.append(failure)
                    print(failure, file=sys.stderr, flush=True)
            rows.extend(new)
            if rows:
                write_csv(options.results / f"{stem}.csv", rows)
    return rows, failures


def write_csv(path, rows):
    """All rows so far."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
