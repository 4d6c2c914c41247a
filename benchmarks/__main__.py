"""`python -m benchmarks [name ...] [--json FILE]`: measures, one benchmark after the other, each in a fresh process.

The exit status is 0 unless something crashed; a missed budget is said, and is no crash.
"""

import argparse
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks.figures import Figure, machine, table

#: name -> its module; in the order of DESIGN's budgets
NAMES = (
    "import_time",
    "at_rest",
    "hand_off",
    "with_ui",
    "pages",
    "events",
    "throughput",
    "scheduler_cpu",
    "big_run",
    "dag_files",
    "restart",
    "take_over",
    "task_api",
    "log_ingest",
    "api_reads",
    "cluster",
)
#: seconds that one benchmark may take
_LIMIT = 600.0


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ours, the floor, and the ratio.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"one or more of: {', '.join(NAMES)}")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in NAMES]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    if asked.alone is not None:
        return _alone(asked.names[0], asked.alone)
    about = machine()
    print("  ".join(f"{key}: {value}" for key, value in about.items()))
    found: dict[str, list[Figure] | None] = {}
    for name in asked.names or NAMES:
        began = time.monotonic()
        print(f"\n{name.replace('_', ' ')}", flush=True)
        found[name] = figures = _in_a_process(name)
        text = "it crashed; what it said is above" if figures is None else table(figures)
        print(f"{text}\n({time.monotonic() - began:.0f} s)", flush=True)
    _sum_up(found)
    if asked.json is not None:
        whole = {"machine": about, "figures": found}
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=2))
    return 1 if None in found.values() else 0


def _in_a_process(name: str) -> list[Figure] | None:
    """The figures of one benchmark, from a process whose memory nothing has touched; None if it crashed."""
    # Short, for the sockets in it; open to be passed through, for PostgreSQL is another user.
    folder = Path(tempfile.mkdtemp(prefix="airloom-bench-"))
    folder.chmod(0o711)
    results = folder / "figures.json"
    command = [sys.executable, "-m", "benchmarks", name, "--alone", str(results)]
    process = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(folder)}, start_new_session=True)
    try:
        process.wait(_LIMIT)
        return msgspec.json.decode(results.read_bytes(), type=list[Figure]) if process.returncode == 0 else None
    except subprocess.TimeoutExpired:
        print(f"{name} took longer than {_LIMIT:g} s and was ended", file=sys.stderr)
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _alone(name: str, results: Path) -> int:
    folder = Path(tempfile.mkdtemp(prefix="b-"))
    folder.chmod(0o711)
    figures: list[Figure] = importlib.import_module(f"benchmarks.{name}").measure(folder)
    results.write_bytes(msgspec.json.encode(figures))
    return 0


def _sum_up(found: dict[str, list[Figure] | None]) -> None:
    all_figures = [figure for figures in found.values() for figure in figures or ()]
    missed = [figure for figure in all_figures if figure.verdict == "MISSED"]
    met = sum(figure.verdict == "met" for figure in all_figures)
    print(f"\n{met} budgets met, {len(missed)} missed" + (":" if missed else ""))
    if missed:
        print(table(missed))


if __name__ == "__main__":
    sys.exit(main())
