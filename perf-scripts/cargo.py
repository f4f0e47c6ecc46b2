"""Building with cargo, and where it puts what it has built."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "perf-scripts" / "peers"

# Whatever is measured is compiled alike, with the fat LTO of its release profile: for this CPU, or, as valgrind does
# not know every CPU's instructions, for any.
NATIVE = "-C target-cpu=native"
GENERIC = "-C target-cpu=generic"

# Apart from other builds, whose flags differ: neither throws the other's away.
FOLDERS = {NATIVE: "compare", GENERIC: "generic"}


def target(workspace=ROOT):
    """Where a workspace's programs are built: in CARGO_TARGET_DIR, where that is set. To be passed to cargo, which
    would take a relative one for a directory below its own."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or workspace / "target").absolute()


def built(name, workspace=ROOT, flags=NATIVE):
    """The program that `build` makes."""
    return target(workspace) / FOLDERS[flags] / "release" / name


def build(name, workspace=ROOT, flags=NATIVE):
    """Builds a program for measuring; gives the reason why it is not there, if it is not."""
    print(f"building {name} ({flags}) …", file=sys.stderr, flush=True)
    command = ["cargo", "build", "--release", "--manifest-path", workspace / "Cargo.toml", "--bin", name,
               "--target-dir", target(workspace) / FOLDERS[flags]]
    try:
        done = subprocess.run(command, env={**os.environ, "RUSTFLAGS": flags}, stdout=sys.stderr, check=False)
    except OSError as error:
        return f"cargo cannot be run: {error.strerror}"
    if done.returncode:
        return "it does not build"
    program = built(name, workspace, flags)
    return None if program.exists() else f"{program} is not built"


def thalweg(flags=NATIVE):
    """The program, built for measuring."""
    reason = build("thalweg", flags=flags)
    if reason:
        sys.exit(f"thalweg: {reason}")
    return built("thalweg", flags=flags)
