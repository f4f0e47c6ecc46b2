"""Building with cargo, and where it puts what it has built."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def target(workspace=ROOT):
    """Where a workspace's programs are built: in CARGO_TARGET_DIR, where that is set. To be passed to cargo, which
    would take a relative one for a directory below its own."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or workspace / "target").absolute()


def thalweg(rustflags=None):
    """The program, built for release."""
    if shutil.which("cargo") is None:
        sys.exit("cargo is not installed: name a program by --program")
    command = ["cargo", "build", "--release", "--bin", "thalweg", "--target-dir", target()]
    environment = dict(os.environ, RUSTFLAGS=rustflags) if rustflags else None
    if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
        sys.exit("the program does not build")
    return target() / "release" / "thalweg"
