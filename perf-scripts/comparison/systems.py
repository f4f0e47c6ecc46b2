"""The systems: how each is built, called, and described."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import cargo

SCRIPTS = Path(__file__).resolve().parent.parent
ROOT = cargo.ROOT
PEERS = cargo.PEERS
FLINK = PEERS / "flink"


def output(*command):
    """What a command prints, or nothing where it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    except OSError:
        return ""
    return (done.stdout or done.stderr).strip()


def locked(package, lock=PEERS / "Cargo.lock"):
    """The version of a crate in a lock file: the one that the workspace's own crates depend on, if there are several."""
    if not lock.exists():
        return package
    packages = tomllib.loads(lock.read_text())["package"]
    versions = {one["version"] for one in packages if one["name"] == package}
    if len(versions) > 1:
        own = [one for one in packages if "source" not in one]
        wanted = {name for one in own for name in one.get("dependencies", []) if name.split()[0] == package}
        versions = {name.split()[1] for name in wanted}
    return " ".join([package, *sorted(versions)])


class Rust:
    """A program built by cargo."""

    flags = cargo.NATIVE
    pinned = True

    def __init__(self, name, workspace, arguments, settings, crates):
        self.name = name
        self.workspace = workspace
        self.arguments = arguments
        self.settings = settings
        self.crates = crates

    def program(self):
        """The built program."""
        return cargo.built(self.name, self.workspace)

    def missing(self):
        """Why it cannot run, if it cannot."""
        return None if self.program().exists() else f"{self.program()} is not built"

    def build(self):
        """Builds it; gives the reason why it cannot run, if it cannot."""
        return cargo.build(self.name, self.workspace)

    def command(self):
        """How it is called, up to the query's name."""
        return [str(self.program()), *self.arguments]

    def versions(self):
        """What was compiled by what."""
        crates = ", ".join(locked(crate) for crate in self.crates)
        return "; ".join(part for part in [crates, output("rustc", "-V")] if part)


class Thalweg(Rust):
    """The system that all this is about."""

    def versions(self):
        """The commit, and whether it is what was built."""
        commit = output("git", "rev-parse", "--short=12", "HEAD")
        changed = output("git", "status", "--porcelain", "--", "src", "Cargo.toml", "Cargo.lock")
        return f"{commit}{' with changes' if changed else ''}; {output('rustc', '-V')}"


class Flink:
    """Flink, in one JVM with the job."""

    name = "flink"
    settings = ("local MiniCluster in one JVM; object reuse; hand-written serializers; heap state, counters "
                "updated in place; buffers sent when full; parallel garbage collector, 6 GB heap; warm-up runs of 5 s "
                "together at least; q5 also in two phases")
    flags = None
    pinned = False

    def missing(self):
        """Why it cannot run, if it cannot."""
        for program in ["java", "javac"]:
            if not shutil.which(program):
                return f"{program} is not installed (Java 17)"
        if not list((FLINK / "lib").glob("flink-dist-*.jar")):
            return "its jars are not here: perf-scripts/peers/flink/get fetches them (330 MB)"
        return None

    def build(self):
        """Compiles the job."""
        missing = self.missing()
        if missing:
            return missing
        print("building flink …", flush=True)
        done = subprocess.run([str(FLINK / "build")], check=False)
        return "its job does not compile" if done.returncode else None

    def command(self):
        """How it is called, up to the query's name."""
        return [str(FLINK / "run")]

    def versions(self):
        """Of Flink and of Java."""
        jars = [jar.stem for jar in (FLINK / "lib").glob("flink-dist-*.jar")]
        java = output("java", "-version").splitlines()
        return "; ".join(jars + java[1:2])


def peer(name, settings, crates):
    """A peer of the peers' workspace."""
    return Rust(name, PEERS, [], settings, crates)


ALL = [
    Thalweg("thalweg", ROOT, ["bench", "--format", "json"],
            "defaults of `thalweg bench`: `expected_keys` given exactly (keysum, wordcount), and tables of that size "
            "mapped and touched before the first record is read; huge pages; inputs mapped and fetched ahead; text split by vector "
            "instructions; q5 at parallelism 2 and more in two phases; mimalloc; workers pinned", []),
    peer("hand", "one loop a query; tables sized exactly (keysum, wordcount) and touched before the clock starts; huge "
         "pages; inputs mapped and fetched ahead; text split by vector instructions; two subtasks: rings of 32768 records, q5 also "
         "in two phases; mimalloc; threads pinned", ["hashbrown", "foldhash", "rtrb", "mimalloc"]),
    peer("timely", "containers of 1024 records from sources, 16 a turn; sources at most 8 turns, or 30 s of event "
         "time, ahead of the sink; sums written in place; maps of keysum and wordcount sized and touched before the "
         "clock starts, in huge pages; inputs mapped and fetched ahead; text split by vector instructions; q5 at parallelism 2 "
         "and more also in two phases; mimalloc; workers pinned", ["timely", "hashbrown", "mimalloc"]),
    peer("renoir", "fixed batches of 4096 records; a watermark every 1024; at parallelism 1 no exchange but those of its "
         "joins and merges, whose inputs have threads of their own; its own maps, which grow inside the timed span; "
         "inputs mapped and fetched ahead; text split by vector instructions; q5 at parallelism 2 and more also in two "
         "phases; mimalloc", ["renoir", "mimalloc"]),
    Flink(),
]
