"""Where files lie in the page cache. What has been written or read a little at a time lies in small pages scattered over
the memory, and finding each of them can take as long as half of what a loop does with its records; what is read through
a mapping that asks for huge pages lies in those, if the file system has them. Whoever maps a file later gets what is
there."""

import mmap
import os
import re

# Not among the constants of the module `mmap`.
MADV_POPULATE_READ = 22

HUGE = 2 << 20


def lay_out(paths):
    """Has files lie in huge pages, and gives the share that does of what could: 0 to 1, or nothing where that is not
    known, or nothing could. Files that mostly do not are read from the disk again."""
    huge = most = 0
    for path in paths:
        size = path.stat().st_size
        possible = size // HUGE * HUGE
        if not possible:
            continue
        found = mapped(path, size)
        if found is not None and found < 0.9 * possible:
            leave(path)
            found = mapped(path, size)
        if found is None:
            return None
        huge, most = huge + found, most + possible
    return round(huge / most, 3) if most else None


def leave(path):
    """Removes a file from the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def mapped(path, size):
    """How many bytes of a file are in huge pages once it is mapped; nothing where the system does not tell."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ) as mapping:
            mapping.madvise(mmap.MADV_HUGEPAGE)
            mapping.madvise(MADV_POPULATE_READ)
            with open("/proc/self/smaps", encoding="utf-8", errors="replace") as maps:
                return in_huge_pages(maps, os.path.realpath(path))
    except (AttributeError, OSError):
        return None


def in_huge_pages(maps, path):
    """The bytes of a file in huge pages, according to the lines of `smaps`."""
    total, own = 0, False
    for line in maps:
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            own = line.rstrip("\n").split(maxsplit=5)[5:] == [path]
        elif own and line.startswith("FilePmdMapped:"):
            total += 1024 * int(line.split()[1])
    return total
