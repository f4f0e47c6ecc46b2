"""The rounds: every system on every query, one process after the other."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

import inputs

from . import machine

# What a peer exits with that does not have the query at this parallelism.
NOT_WRITTEN = 3


@dataclass(frozen=True)
class Case:
    """A query at a parallelism."""

    query: str
    parallelism: int


class Plan:
    """What is to be run, and how each process is called."""

    def __init__(self, chosen, systems, cores):
        self.chosen = chosen
        self.systems = systems
        self.cores = cores
        self.cases = [Case(query, parallelism)
                      for query in chosen.queries for parallelism in chosen.parallelism]

    def suffix(self, query):
        """What stands after the names of a query's inputs."""
        return inputs.suffix(self.chosen.data, query, self.chosen.suffix)

    def inputs(self):
        """The files that are read, as paths."""
        names = {name for query in self.chosen.queries for name in inputs.files(query, self.suffix(query))}
        return [self.chosen.data / name for name in sorted(names)]

    def pin(self, system, parallelism):
        """The cores a process may use: the last ones, as the first serve the devices. None: all."""
        if not shutil.which("taskset") or not (system.pinned or self.chosen.pin_flink):
            return None
        return self.cores[-parallelism:]

    def command(self, system, case):
        """The whole command line."""
        chosen = self.chosen
        command = [*system.command(), case.query, "--data", str(chosen.data),
                   "--parallelism", str(case.parallelism), "--runs", str(chosen.runs)]
        if self.suffix(case.query):
            command += ["--suffix", self.suffix(case.query)]
        if chosen.limit:
            command += ["--limit", str(chosen.limit)]
        if chosen.jitter_ms:
            command += ["--jitter-ms", str(chosen.jitter_ms)]
        pin = self.pin(system, case.parallelism)
        if pin:
            command = ["taskset", "-c", ",".join(map(str, pin)), *command]
        return command


def run(plan, system, case):
    """Runs one process. Gives its runs, and what went wrong, if anything."""
    try:
        done = subprocess.run(plan.command(system, case), capture_output=True, text=True,
                              timeout=plan.chosen.timeout, check=False)
    except subprocess.TimeoutExpired:
        return [], f"took longer than {plan.chosen.timeout} s"
    except OSError as error:
        return [], f"{error.strerror}"
    if done.returncode == NOT_WRITTEN:
        return [], None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        return [], f"{ended}: {lines[0] if lines else 'no message'}"
    try:
        runs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    except json.JSONDecodeError as error:
        return [], f"no JSON: {error}"
    for one in runs:
        one["system"] = system.name
        one.setdefault("variant", "")
    return runs, None if runs else "reported no run"


class Progress:
    """One line on a terminal, one line a round elsewhere."""

    def __init__(self, steps):
        self.steps = steps
        self.done = 0
        self.started = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def step(self, what):
        """Shows what is being done now."""
        if self.terminal:
            elapsed = time.monotonic() - self.started
            left = f", {elapsed / self.done * (self.steps - self.done) / 60:.0f} min left" if self.done else ""
            print(f"\r\x1b[K[{self.done}/{self.steps}{left}] {what}", end="", file=sys.stderr, flush=True)
        self.done += 1

    def line(self, what):
        """Shows something that stays."""
        print(f"{chr(13) + chr(27) + '[K' if self.terminal else ''}{what}", file=sys.stderr, flush=True)


def rounds(plan, prepare):
    """Runs them all, each round after `prepare`. Gives every run, for (query, parallelism, system) what went wrong, and
    whether it was stopped: who interrupts it gets what there was until then."""
    runs, failures = [], {}
    progress = Progress(plan.chosen.rounds * len(plan.cases) * len(plan.systems))
    stopped = False
    try:
        for number in range(1, plan.chosen.rounds + 1):
            progress.line(f"round {number} of {plan.chosen.rounds}")
            prepare()
            make(plan, progress, number, runs, failures)
    except KeyboardInterrupt:
        progress.line("stopped: this is what there was")
        stopped = True
    if progress.terminal:
        print("\r\x1b[K", end="", file=sys.stderr)
    return runs, failures, stopped


def make(plan, progress, number, runs, failures):
    """Makes the runs of a round, and notes what they found and what else the machine did meanwhile."""
    watch = machine.Watch()
    before = len(runs)
    worked = {(run["query"], run["parallelism"], run["system"]) for run in runs}
    try:
        for case in plan.cases:
            # Nobody always goes first.
            turn = number % len(plan.systems)
            for system in plan.systems[turn:] + plan.systems[:turn]:
                key = (case.query, case.parallelism, system.name)
                progress.step(f"{system.name} {case.query} p{case.parallelism}")
                # What has never worked is not tried again.
                if key in failures and key not in worked:
                    continue
                found, failure = run(plan, system, case)
                if failure:
                    failures[key] = failure
                    progress.line(f"{system.name} {case.query} p{case.parallelism}: {failure}")
                runs += [{**one, "round": number} for one in found]
    finally:
        seen = watch.seen()
        for one in runs[before:]:
            one |= seen
