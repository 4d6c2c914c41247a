"""How long `import airloom` takes, beyond starting Python."""

from pathlib import Path

from benchmarks import floors
from benchmarks.figures import Figure, median

_ROUNDS = 15
_LINES = (
    "import airloom",
    "from airloom import dag, task",
    "from airloom import DAG, BashOperator, TaskGroup",
)


def measure(folder: Path) -> list[Figure]:
    """Interleaved, so that what else the machine does falls on all alike."""
    seconds: dict[str, list[float]] = {line: [] for line in ("pass", *_LINES)}
    for _ in range(_ROUNDS):
        for line, found in seconds.items():
            found += floors.interpreter(line, 1)
    bare = median(seconds["pass"]) * 1e3
    return [
        Figure(
            what=f"{line}, beyond bare Python",
            ours=median(seconds[line]) * 1e3 - bare,
            unit="ms",
            floor=bare,
            floor_is="python -c pass",
            budget=60.0,
        )
        for line in _LINES
    ]
