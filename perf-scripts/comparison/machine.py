"""The machine: what it is, and how much of it others took meanwhile."""

import os
import platform
import sys
from pathlib import Path


def cores():
    """The cores this process may use."""
    return sorted(os.sched_getaffinity(0))


def read(path):
    """A file's text, or nothing where there is none."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def entry(text, name):
    """The value of a `name : value` line."""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def steal():
    """Ticks of all cores, and those of them that the hypervisor gave to others."""
    ticks = [int(tick) for tick in read("/proc/stat").splitlines()[0].split()[1:9]]
    return [sum(ticks), ticks[7]]


def steal_since(before):
    """The share of the time since then that the hypervisor gave to others."""
    now = steal()
    return round((now[1] - before[1]) / max(1, now[0] - before[0]), 4)


def facts():
    """What a reader needs to know of the machine; nothing that names it."""
    cpu = read("/proc/cpuinfo")
    return {
        "processor": entry(cpu, "model name") or platform.machine(),
        "family": "/".join(entry(cpu, key) for key in ["cpu family", "model", "stepping"]),
        "architecture": platform.machine(),
        "cores": len(cores()),
        "memory": entry(read("/proc/meminfo"), "MemTotal"),
        "kernel": platform.release(),
        "hypervisor": "hypervisor" in entry(cpu, "flags").split(),
        "huge_pages": read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "unknown",
        "python": platform.python_version(),
        "load_before": os.getloadavg(),
        "steal": steal(),
    }


def warn_if_busy():
    """Says so where others keep the cores busy: no figure is worth much then."""
    load = os.getloadavg()[0]
    if load > 0.5 * len(cores()):
        print(f"compare: the machine is busy (load {load:.1f}): ratios will be rough, and rates low",
              file=sys.stderr)
