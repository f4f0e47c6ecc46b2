"""The files a comparison leaves behind."""

import csv
import datetime
import json
import re

from . import systems

COLUMNS = ["round", "query", "parallelism", "system", "variant", "records", "rows", "seconds",
           "records_per_second", "user_cpu_ns_per_record", "checksum"]


def stem(chosen, facts):
    """A name that tells when and on what kind of machine, but not on which."""
    kind = f"{facts['processor']} {facts['cores']} cores"
    name = re.sub(r"[^a-z0-9]+", "-", (chosen.name or kind).lower()).strip("-")
    return f"{datetime.date.today().isoformat()}-{name}"


def plain(entry):
    """An entry of the table as it is written down."""
    return {key: value for key, value in entry.items() if key != "rates"}


def write(chosen, running, facts, runs, failures, figures, verdicts):
    """Writes every run as CSV and everything else as JSON; gives the path without its extension."""
    path = chosen.results / stem(chosen, facts)
    with path.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(runs)
    about = {
        "machine": facts,
        "comparison": {
            "rounds": chosen.rounds, "runs": chosen.runs, "limit": chosen.limit,
            "jitter_ms": chosen.jitter_ms, "pin_flink": chosen.pin_flink,
        },
        "systems": {
            system.name: {
                "versions": system.versions(),
                "settings": system.settings,
                "flags": systems.RUSTFLAGS if isinstance(system, systems.Rust) else None,
                "pinned": system.pinned or chosen.pin_flink,
            }
            for system in running
        },
        "figures": [plain(entry) for entry in figures],
        "targets": [{key: value for key, value in verdict.items() if key != "entry"} for verdict in verdicts],
        "failures": [{"query": key[0], "parallelism": key[1], "system": key[2], "failure": failure}
                     for key, failure in failures.items()],
    }
    path.with_suffix(".json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    return path
