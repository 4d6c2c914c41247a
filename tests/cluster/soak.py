"""`python -m tests.cluster.soak --seeds 20 --tasks 2000`: many seeds of the cluster test, and a table of what came."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.cluster.seed import Outcome, run_seed

_COLUMNS = "{:>4}  {:<8}  {:>5}  {:>5}  {:>7}  {:>8}  {:<34}  {}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--tasks", type=int, default=2000, help="of each seed, about")
    parser.add_argument("--faults", type=int, default=7, help="of each seed")
    parser.add_argument("--broker", choices=("redis", "rabbitmq"), help="default: in turn")
    parser.add_argument("--keep", action="store_true", help="keep the folders of seeds with problems")
    asked = parser.parse_args()
    bad = 0
    print(_COLUMNS.format("seed", "broker", "tasks", "tries", "seconds", "takeover", "causes", "faults"), flush=True)
    for seed in range(asked.first, asked.first + asked.seeds):
        broker = asked.broker or ("redis", "rabbitmq")[seed % 2]
        folder = Path(tempfile.mkdtemp(prefix=f"airloom-soak-{seed}-"))
        began = time.monotonic()

        def say(text: str, began: float = began) -> None:
            print(f"  {time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

        outcome = run_seed(folder, broker, seed, asked.tasks, asked.faults, say)
        _show(outcome)
        bad += bool(outcome.problems)
        if outcome.problems and asked.keep:
            print(f"      kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{asked.seeds - bad} of {asked.seeds} seeds without a problem")
    return bad > 0


def _show(outcome: Outcome) -> None:
    causes = ", ".join(f"{cause} {count}" for cause, count in sorted(outcome.causes.items()))
    takeovers = max(outcome.takeovers, default=None)
    row = (outcome.seed, outcome.broker, outcome.tasks, outcome.tries, f"{outcome.seconds:.0f}")
    slowest = "-" if takeovers is None else f"{takeovers:.1f} s"
    print(_COLUMNS.format(*row, slowest, causes, "; ".join(map(str, outcome.faults))), flush=True)
    for problem in outcome.problems:
        print(f"      {problem}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
