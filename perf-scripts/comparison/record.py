"""The files a comparison leaves behind."""

import csv
import json
import re
import shlex
import sys

import inputs
import results

COLUMNS = ["round", "query", "parallelism", "system", "variant", "flags", "records", "rows", "seconds",
           "records_per_second", "user_cpu_ns_per_record", "checksum", "steal", "others_cores"]


def stem(chosen, facts):
    """A name that tells when and on what kind of machine, but not on which."""
    kind = f"{facts['processor']} {facts['cores']} cores"
    name = re.sub(r"[^a-z0-9]+", "-", (chosen.name or kind).lower()).strip("-")
    return results.stem(name, partial=bool(chosen.limit))


def begin(chosen, facts):
    """Makes the CSV: what cannot be written is found out before it is measured."""
    return results.create(chosen.results / f"{stem(chosen, facts)}.csv")


def plain(entry):
    """An entry of the table as it is written down."""
    return {key: value for key, value in entry.items() if key != "rates"}


def write_runs(file, running, runs):
    """Writes every run as CSV."""
    flags = {system.name: system.flags for system in running}
    with file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**run, "flags": flags[run["system"]]} for run in runs)


def write_about(path, plan, stopped, facts, known, failures, figures, verdicts):
    """Writes everything else as JSON."""
    chosen = plan.chosen
    about = {
        "machine": facts,
        "comparison": {
            "command": shlex.join(sys.argv), "stopped": stopped,
            "queries": chosen.queries, "parallelism": chosen.parallelism,
            "suffix": {query: plan.suffix(query) for query in chosen.queries},
            "rounds": chosen.rounds, "runs": chosen.runs, "limit": chosen.limit,
            "jitter_ms": chosen.jitter_ms,
            # What each query's answers were compared with.
            "answers": {query: "known" if query in known else "each other" for query in chosen.queries}, "built": not chosen.no_build,
            "bytes": inputs.sizes(chosen.data),
        },
        "systems": {
            system.name: {
                "versions": system.versions(),
                "settings": system.settings,
                "flags": system.flags,
                # The cores that it was held on, by parallelism: nothing where it had all.
                "pinned": {str(parallelism): plan.pin(system, parallelism) for parallelism in chosen.parallelism},
            }
            for system in plan.systems
        },
        "figures": [plain(entry) for entry in figures],
        "targets": [{key: value for key, value in verdict.items() if key != "entry"} for verdict in verdicts],
        "failures": [{"query": key[0], "parallelism": key[1], "system": key[2], "failure": failure}
                     for key, failure in failures.items()],
    }
    with results.create(path) as file:
        file.write(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
