"""The machine: what it is, and how much of it others took meanwhile."""

import os
import platform
import sys
import time
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


class Watch:
    """What others do with the cores from now on."""

    def __init__(self):
        self.before = self.reading()

    @staticmethod
    def reading():
        """Seconds of all cores: in sum, at work, given to others by the hypervisor; and at work for this process and
        those that it has waited for."""
        ticks = read("/proc/stat").splitlines()[0].split()[1:9]
        seconds = [int(tick) / os.sysconf("SC_CLK_TCK") for tick in ticks]
        user, nice, system, *_, steal = seconds
        return [sum(seconds), user + nice + system, steal, sum(os.times()[:4])]

    def seen(self):
        """The share of the time that the hypervisor gave to others, and how many cores other processes used."""
        total, busy, steal, own = (now - then for now, then in zip(self.reading(), self.before))
        total = max(total, 0.01)
        return {"steal": round(steal / total, 4),
                "others_cores": round(max(0, busy - own) / total * os.cpu_count(), 3)}


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
        # Of the last minute: to be read before anything is built.
        "load_before": os.getloadavg(),
    }


def warn_if_busy(script):
    """Watches for two seconds, and says so in a script's name where others keep the cores busy: no figure is worth much
    then. Gives what it saw."""
    watch = Watch()
    time.sleep(2)
    seen = watch.seen()
    if seen["others_cores"] > 0.1 or seen["steal"] > 0.05:
        print(f"{script}: the machine is busy: others use {seen['others_cores']:.1f} of {os.cpu_count()} cores, and the "
              f"hypervisor has {seen['steal']:.0%}: ratios will be rough, and rates low", file=sys.stderr)
    return seen
