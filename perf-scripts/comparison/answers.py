"""The answers that are known, whatever the systems say: those over the inputs as they are made by default."""

import json

import inputs

from . import systems, table


def load():
    """The table of answers, and what tells the files that they belong to."""
    return json.loads((systems.SCRIPTS / "answers.json").read_text())


def known(plan, found):
    """query -> its answer, of those whose inputs are read whole and are the ones that the table is about."""
    if plan.chosen.limit or plan.chosen.jitter_ms:
        return {}
    answers = {}
    for query in plan.chosen.queries:
        suffix = plan.suffix(query)
        answer = found["answers"][query].get(suffix)
        names = inputs.files(query, suffix)
        if answer and all(same(plan.chosen.data / name, found["files"].get(name)) for name in names):
            answers[query] = tuple(answer[key] for key in table.ANSWER)
    return answers


def unknown(plan, answers):
    """A line on the queries whose answers are only compared with each other."""
    others = [query for query in plan.chosen.queries if query not in answers]
    reason = ("part of the input is read, or it is jittered" if plan.chosen.limit or plan.chosen.jitter_ms
              else "the inputs are not those of `thalweg generate --x10`, or are damaged")
    return [f"answers of {', '.join(others)} were compared with each other only: {reason}"] if others else []


def same(path, wanted):
    """Whether a file is the one that was meant."""
    return (wanted is not None and path.is_file()
            and {"bytes": path.stat().st_size, "start": inputs.start(path)} == wanted)
