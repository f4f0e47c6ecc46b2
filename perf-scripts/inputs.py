"""The inputs of the queries: which files they read, how long those are, and a part of them."""

import os
import zlib

# Of fifty events of NEXMark's.
EVENTS = {"persons": 1, "auctions": 3, "bids": 46}

READ = {
    **dict.fromkeys(["q0", "q1", "q2", "q5", "q7", "q11", "q12", "q17", "q18", "q19"], ["bids"]),
    **dict.fromkeys(["q3", "q8"], ["persons", "auctions"]),
    **dict.fromkeys(["q4", "q6", "q9", "q20"], ["auctions", "bids"]),
    **{f"keysum-{size}": [f"keys_{size}"] for size in ["1k", "1m", "10m"]},
    "keysum-zipf": ["keys_zipf_1m"],
    "wordcount": ["words"],
}

# What q3 and q8 are meant for: the usual files are read in a few milliseconds.
LONG = "_x10"


def file(name, suffix):
    """A file's name."""
    return f"{name}{suffix}.{'txt' if name == 'words' else 'bin'}"


def files(query, suffix):
    """The names of the files that a query reads; none of those that make up their input in memory."""
    return [file(name, suffix) for name in READ.get(query, [])]


def suffix(data, query, chosen=None):
    """What stands after the names of a query's inputs: what was chosen, or `_x10` for q3 and q8 where those are."""
    if chosen is not None:
        return chosen
    long = query in ("q3", "q8") and all((data / name).is_file() for name in files(query, LONG))
    return LONG if long else ""


def sizes(data):
    """file -> bytes, of all that lie in a directory."""
    return {entry.name: entry.stat().st_size for entry in sorted(data.iterdir()) if entry.is_file()}


def start(path):
    """What tells a file from one of the same length that another seed has made."""
    with path.open("rb") as opened:
        return f"{zlib.crc32(opened.read(4096)):08x}"


def records(path, name):
    """How many records a file has; of words: lines."""
    if name == "words":
        with path.open("rb") as opened:
            return sum(part.count(b"\n") for part in iter(lambda: opened.read(1 << 20), b""))
    return path.stat().st_size // record_bytes(name)


def record_bytes(name):
    """How long a record is."""
    return {"persons": 32, "auctions": 48, "bids": 32}.get(name, 16)


def share(query, name):
    """How many records of a query's input there are for one of its longest input, in the same event time."""
    longest = max(EVENTS.get(other, 1) for other in READ[query])
    return EVENTS.get(name, 1) / longest


def available(data, query, suffix_):
    """How many records of a query's longest input may be read until one of its inputs ends; nothing where it reads
    none of these files."""
    found = [records(data / file(name, suffix_), name) / share(query, name) for name in READ.get(query, [])]
    return int(min(found)) if found else None


def cut(data, query, suffix_, limit, folder):
    """The directory in which a query's inputs end at the same event time when its longest one ends after `limit`
    records: as a limit is the same for each input, the others are cut."""
    names = READ.get(query, [])
    if len(names) < 2:
        return data
    folder.mkdir()
    for name in names:
        whole, part = (data / file(name, suffix_)).absolute(), folder / file(name, suffix_)
        if share(query, name) == 1:
            os.symlink(whole, part)
        else:
            with whole.open("rb") as opened:
                part.write_bytes(opened.read(int(limit * share(query, name)) * record_bytes(name)))
    return folder
