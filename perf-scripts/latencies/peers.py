"""The peers: which there are, and how each is called."""

import sys

from comparison import systems

NAMES = ["timely", "renoir", "flink"]

# What is tried of a peer, where it depends on the rate which is better. The best at p99 stands for the peer.
VARIANTS = {"flink": {"flink:0ms": ["--buffer-timeout-ms", "0"], "flink:1ms": ["--buffer-timeout-ms", "1"]}}


def system_of(mode):
    """The peer that a mode belongs to."""
    return mode.partition(":")[0]


def built(names):
    """Builds them; the command of each of their modes. Says which are left out, and why."""
    commands = {}
    for system in systems.ALL:
        if system.name not in names:
            continue
        missing = system.build()
        if missing:
            print(f"{system.name} is left out: {missing}", file=sys.stderr)
            continue
        for mode, arguments in VARIANTS.get(system.name, {system.name: []}).items():
            commands[mode] = [*system.command(), "latency", *arguments]
    return commands
