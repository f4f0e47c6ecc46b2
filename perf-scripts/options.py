"""Kinds of options, for argparse: what is wrong with one is said before anything is measured."""

import os
from argparse import ArgumentTypeError
from pathlib import Path


def number(least=1, kind=int):
    """A number that is `least` at least."""

    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            raise ArgumentTypeError(f"`{text}` is not a {'whole ' if kind is int else ''}number") from None
        # Neither endless nor not-a-number.
        if not least <= value < float("inf"):
            raise ArgumentTypeError(f"`{text}` is out of range: {least} at least")
        return value

    return parse


def one_of(known):
    """One of several names."""

    def parse(text):
        if text not in known:
            raise ArgumentTypeError(f"`{text}` is none of {', '.join(known)}")
        return text

    return parse


def listed(kind):
    """One or several of a kind, with commas between them."""

    def parse(text):
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if not parts:
            raise ArgumentTypeError("one at least")
        return [kind(part) for part in parts]

    return parse


def file(text):
    """A file that is there."""
    path = Path(text)
    if not path.is_file():
        raise ArgumentTypeError(f"there is no file `{text}`")
    return path


def program(text):
    """A file that can be run."""
    path = file(text).absolute()
    if not os.access(path, os.X_OK):
        raise ArgumentTypeError(f"`{text}` is not a program")
    return path
