"""A small world for tests of executors: DAG files in a folder, an executor, and what it has reported."""

import itertools
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from airloom.executors.base import AnswerTask, Executor
from airloom.model.log_lines import LogLine
from airloom.model.report import Ended, HandedBack, Report, Started, TryKey, Waiting
from airloom.model.wire import TaskRequest
from airloom.model.work import Cancel, RunInfo, Work
from airloom.runtime.logs import log_path_of
from tests.logs import read_log
from tests.waiting import DEADLINE, wait_for

MakeExecutor = Callable[[AnswerTask, Callable[[], None]], Executor]

#: every dag of the tests imports this much
PRELUDE = "import os, signal, subprocess, sys, time\nfrom pathlib import Path\nfrom airloom import DAG, task\n"


class Rig:
    """Writes DAG files, submits their tasks, waits for reports."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.dags = folder / "dags"
        self.marks = folder / "marks"
        for made in (self.home, self.dags, self.marks):
            made.mkdir()
        self.executor: Executor
        self.reports: list[Report] = []
        self.asked: list[tuple[TryKey, TaskRequest]] = []
        self.answers: dict[str, Any] = {}
        self._news = threading.Event()
        self._ids = itertools.count(1)
        self.works: dict[TryKey, Work] = {}
        #: scheduler processes of a test's own
        self.schedulers: list[subprocess.Popen[str]] = []
        #: seconds between two looks for reports of which nothing tells
        self.pause = DEADLINE

    # --- authoring -------------------------------------------------------------------------------------------------
    def write(self, name: str, *tasks: str, before: str = "") -> None:
        """A DAG file `name`.py with the dag `name`; each of `tasks` is the body of a task named t0, t1 and so on."""
        text = PRELUDE + f"MARKS = Path({str(self.marks)!r})\n" + before + f"\nwith DAG({name!r}):\n"
        for number, body in enumerate(tasks):
            lines = "\n".join(f"        {line}" for line in body.strip().splitlines())
            text += f"    @task\n    def t{number}():\n{lines}\n    t{number}()\n"
        (self.dags / f"{name}.py").write_text(text)

    def work(self, dag: str, task: str = "t0", **fields: Any) -> Work:
        """A new try of a task."""
        key = TryKey(next(self._ids), 1)
        run = RunInfo(run_id=f"run-{key.ti_id}", run_type="manual", run_after=0.0, logical_date=0.0)
        values = {
            "key": key, "dag_id": dag, "task_id": task, "run": run, "run_key": 1, "bundle": "dags",
            "rel_path": self.rel_path(dag), "version_id": 1, **fields,
        }  # fmt: skip
        work = Work(**values)
        self.works[work.key] = work
        return work

    def rel_path(self, dag: str) -> str:
        """Where in its bundle the file of a dag is."""
        return f"{dag}.py"

    # --- running ---------------------------------------------------------------------------------------------------
    def start(self, make: MakeExecutor) -> None:
        """Use a new executor from now on."""
        self.executor = make(self._answer, self._news.set)

    def _answer(self, key: TryKey, request: TaskRequest) -> Any:
        self.asked.append((key, request))
        answer = self.answers.get(type(request).__name__)
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer

    def submit(self, *works: Work) -> None:
        self.executor.submit(works)

    def cancel(self, work: Work, reason: str, grace: float | None = None) -> str:
        """Have a try ended; the reason that its report is to give."""
        self.executor.cancel([Cancel(key=work.key, executor="", reason=reason, grace=grace)])
        return reason

    def run(self, *works: Work) -> list[Ended]:
        """Submit tries and wait for their ends, in the order of `works`."""
        self.submit(*works)
        return [self.end(work) for work in works]

    def end(self, work: Work) -> Ended:
        """The report of a try's end, waited for."""
        self.until(lambda: self._find(Ended, work), f"the end of {work.dag_id}.{work.task_id}")
        return self.told(Ended, work)[0]

    def started(self, work: Work) -> Started:
        """The report of a try's start, waited for."""
        self.until(lambda: self._find(Started, work), f"the start of {work.dag_id}.{work.task_id}")
        return self.told(Started, work)[0]

    def handed_back(self, work: Work) -> HandedBack:
        self.until(lambda: self._find(HandedBack, work), f"{work.dag_id}.{work.task_id} to be handed back")
        return self.told(HandedBack, work)[0]

    def told(self, kind: type[Any], work: Work) -> list[Any]:
        """The reports of a kind about a try, as far as they have come."""
        return [report for report in self.reports if isinstance(report, kind) and report.key == work.key]

    def _find(self, kind: type[Any], work: Work) -> bool:
        return bool(self.told(kind, work))

    def until(self, met: Callable[[], bool], what: str) -> None:
        """Take reports until a condition holds."""
        deadline = time.monotonic() + DEADLINE
        while True:
            self._news.clear()
            self.reports += self.poll()
            if met():
                return
            left = deadline - time.monotonic()
            assert left > 0, f"waited {DEADLINE} s for {what}; reports: {self.reports}"
            self._news.wait(min(left, self.pause))

    def poll(self) -> list[Report]:
        """What has been reported since the last call."""
        return [report for report in self.executor.poll() if not isinstance(report, Waiting)]

    # --- looking ---------------------------------------------------------------------------------------------------
    def log(self, work: Work) -> list[LogLine]:
        """The whole log of a try."""
        lines: list[LogLine] = []
        offset = 0
        while True:
            some, after = read_log(log_path_of(str(self.home), work), offset)
            lines += some
            if after == offset:
                return lines
            offset = after

    def log_text(self, work: Work) -> str:
        return "\n".join(line.text for line in self.log(work))

    def mark(self, name: str) -> Path:
        """A file that a task writes, to be waited for with `wait_for`."""
        return self.marks / name


def runner_pid(home: Path, name: str = "local") -> int:
    """The number of the living runner of a home folder."""
    text = wait_for(lambda: (home / f"{name}.lock").exists() and (home / f"{name}.lock").read_text(), "a runner")
    return int(text.split()[0])


def values(ended: Ended) -> dict[str, Any]:
    """The XComs of a try."""
    return {xcom.key: json.loads(xcom.value) for xcom in ended.xcoms}


def processes_with(text: str) -> list[int]:
    """The numbers of the processes whose command line has `text`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if text in (entry / "cmdline").read_text():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def keys(works: Iterable[Work]) -> set[TryKey]:
    return {work.key for work in works}
