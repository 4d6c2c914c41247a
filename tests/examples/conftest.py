"""Runs a DAG file of examples/ as a person would: with `airloom run`, in a process of its own."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Outcome(NamedTuple):
    """What `airloom run -o json` said. `tasks`: for each task id, its TIs by map index."""

    status: int
    state: str
    tasks: dict[str, list[dict[str, Any]]]

    def states(self) -> dict[str, str | list[str]]:
        """The state of each task; a list of states for a mapped one."""
        found: dict[str, str | list[str]] = {}
        for task_id, tis in self.tasks.items():
            mapped = tis[0]["map_index"] >= 0
            assert mapped or len(tis) == 1
            found[task_id] = [ti["state"] for ti in tis] if mapped else tis[0]["state"]
        return found


@pytest.fixture
def airloom_run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`airloom run -o json` on a file of examples/ with a conf, in an empty home."""

    def run(file: str, conf: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRLOOM")}
        command = [Path(sys.executable).with_name("airloom"), "run", ROOT / "examples" / file, "-o", "json"]
        if conf is not None:
            command += ["--conf", json.dumps(conf)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=100,
            cwd=tmp_path,
            env=environment | {"AIRLOOM_HOME": str(tmp_path / "home"), "MPLCONFIGDIR": str(tmp_path / "matplotlib")},
            stdin=subprocess.DEVNULL,
        )

    return run


@pytest.fixture
def run_example(airloom_run: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Outcome]:
    """Run a file of examples/ to its end and read what came out."""

    def run(file: str, conf: dict[str, Any] | None = None) -> Outcome:
        done = airloom_run(file, conf)
        assert done.stdout, done.stderr
        print(done.stderr)
        answer = json.loads(done.stdout)
        tasks: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for ti in sorted(answer["tasks"], key=lambda ti: (ti["task_id"], ti["map_index"])):
            tasks[ti["task_id"]].append(ti)
        return Outcome(done.returncode, answer["state"], dict(tasks))

    return run
