"""What was measured, where and how, beside the CSV of the runs."""

import json
import shlex
import sys

import results
from comparison import systems

from .peers import system_of


def write_about(path, options, commands, facts, idle, failures, verdicts):
    """Writes everything but the runs as JSON."""
    measured = {system_of(mode) for mode in commands}
    about = {
        "machine": facts,
        "measurement": {
            "command": shlex.join(sys.argv), "rates": options.rates, "waits": options.waits, "mode": options.mode,
            "rounds": options.rounds, "seconds": options.seconds, "warm_up": options.warm_up,
            "waited_max": options.waited_max,
        },
        "peers": {
            system.name: {"versions": system.versions(), "settings": system.settings}
            for system in systems.ALL if system.name in measured
        },
        # Cores that a job without records uses, by wait strategy.
        "idle": idle,
        "targets": [{**verdict.target, "verdict": verdict.told(), "found": verdict.found, "worst_at": verdict.at}
                    for verdict in verdicts],
        "failures": failures,
    }
    with results.create(path) as file:
        file.write(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
