"""The files that a measurement leaves behind: none replaces another."""

import datetime
import sys


def stem(name, partial):
    """A name that tells when, and whether less than everything was read."""
    return f"{datetime.datetime.now():%Y-%m-%d-%H%M%S}-{name}{'-partial' if partial else ''}"


def create(path):
    """Makes a file that is not there yet, and its directory."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("x", newline="")
    except OSError as error:
        sys.exit(f"{path} cannot be written: {error.strerror}; see --results")
