"""A DAG whose tasks leave traces of their own, and what the traces must say when the run is over.

Each task appends "start" and "end" (or "fail") with its try and time to one file, and holds a lock of its own while it
lives: whoever finds its lock taken by another process of the same task writes "overlap".
"""

import time
from pathlib import Path
from typing import NamedTuple

from airloom.model.report import Ended, Outcome, TryKey
from airloom.runtime.journal import read_remains
from tests.faults.home import Home

DAG_ID = "traced"
TASKS = 500

DAG_FILE = '''
import fcntl
import os
import time
from pathlib import Path

from airloom import DAG, PythonOperator, task

TRACES = Path(os.environ.get("TRACES", "."))
CTX = "AIRLOOM_CTX_"


def trace(what):
    """One line, in one write."""
    who = " ".join(os.environ[CTX + name] for name in ("TASK_ID", "MAP_INDEX", "TRY_NUMBER"))
    fd = os.open(TRACES / "lines", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.write(fd, f"{what} {who} {time.time():.6f}\\n".encode())
    os.close(fd)


def work(seconds=0.002, fails_once=False):
    name = os.environ[CTX + "TASK_ID"] + "@" + os.environ[CTX + "MAP_INDEX"]
    # Held until this process ends, however it ends.
    lock = os.open(TRACES / "locks" / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    trace("start")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        trace("overlap")
    time.sleep(seconds)
    if fails_once and os.environ[CTX + "TRY_NUMBER"] == "1":
        trace("fail")
        raise ValueError("the first try fails")
    trace("end")


def operator(task_id, seconds=0.002, fails_once=False):
    arguments = {"seconds": seconds, "fails_once": fails_once}
    retries = 1 if fails_once else 0
    return PythonOperator(
        task_id=task_id, python_callable=work, op_kwargs=arguments, retries=retries, retry_delay=0.0
    )


with DAG("traced", schedule="@once", max_active_tasks=1000):
    for chain in range(10):
        before = operator(f"chain{chain}_0")
        for link in range(1, 20):
            before >> (before := operator(f"chain{chain}_{link}"))

    fan_out, fan_in = operator("fan_out"), operator("fan_in")
    fan_out >> [operator(f"fan{n}") for n in range(100)] >> fan_in

    @task
    def parts():
        work()
        return list(range(100))

    @task
    def part(number):
        work(0.005)

    @task
    def whole(all_parts):
        work()

    numbers = parts()
    part.expand(number=numbers) >> operator("gathered")

    for n in range(40):
        operator(f"flaky{n}", fails_once=True)
    for n in range(46):
        operator(f"plain{n}")
    for n in range(10):
        operator(f"long{n}", seconds=0.3)
'''


class Line(NamedTuple):
    """One line of the traces."""

    what: str
    task: str
    map_index: int
    try_number: int
    at: float


class Traces:
    """What the tasks of a home wrote, and what had been reported at the moments of the kills."""

    def __init__(self, home: Home, folder: Path) -> None:
        self._home = home
        self._path = folder / "lines"
        (folder / "locks").mkdir(parents=True)
        home.env["TRACES"] = str(folder)
        home.write("traced.py", DAG_FILE)
        #: tries whose success was in the database or in a journal, and when that was seen
        self._reported: dict[TryKey, float] = {}

    def lines(self) -> list[Line]:
        """Every line so far."""
        if not self._path.exists():
            return []
        found = []
        for text in self._path.read_text().splitlines():
            what, task, map_index, try_number, at = text.split()
            found.append(Line(what, task, int(map_index), int(try_number), float(at)))
        return found

    def remember_what_was_reported(self) -> None:
        """Note which tries have succeeded for good: whatever is killed, these are not to run again."""
        rows = self._home.rows("SELECT ti_id, try_number FROM task_try WHERE state = 'success'")
        keys = [TryKey(*row) for row in rows]
        for journal in (self._home.path / "spool").rglob("*.journal"):
            try:
                reports = read_remains(str(journal)).reports
            except FileNotFoundError:
                continue
            keys += [r.key for r in reports if isinstance(r, Ended) and r.outcome is Outcome.SUCCESS]
        # After all was read: the tasks of a runner that lives may have begun and ended meanwhile.
        now = time.time()
        for key in keys:
            self._reported.setdefault(key, now)

    def check(self) -> None:
        """Everything that must hold when the run is over."""
        lines = self.lines()
        assert not [line for line in lines if line.what == "overlap"], "two processes of one task lived at one time"
        tis = {
            ti_id: (task, map_index, state, number)
            for ti_id, task, map_index, state, number in self._home.rows(
                "SELECT id, task_id, map_index, state, try_number FROM task_instance"
            )
        }
        assert len(tis) == TASKS
        assert {state for _, _, state, _ in tis.values()} == {"success"}
        tries = {
            TryKey(ti_id, number): (state, cause)
            for ti_id, number, state, cause in self._home.rows("SELECT ti_id, try_number, state, cause FROM task_try")
        }
        self._every_success_is_a_task_that_came_to_its_end(lines, tis, tries)
        self._what_was_reported_was_final(lines, tis, tries)
        self._tries_agree_with_the_traces(lines, tis, tries)

    def _every_success_is_a_task_that_came_to_its_end(self, lines, tis, tries) -> None:
        ends = {line[1:4] for line in lines if line.what == "end"}
        for ti_id, (task, map_index, _, number) in tis.items():
            assert tries[TryKey(ti_id, number)] == ("success", None), (task, map_index, number)
            assert (task, map_index, number) in ends, f"{task}[{map_index}] try {number} succeeded and never ended"

    def _what_was_reported_was_final(self, lines, tis, tries) -> None:
        for key, seen_at in self._reported.items():
            task, map_index, _, number = tis[key.ti_id]
            assert number == key.try_number, f"{task}[{map_index}] had ended with try {key.try_number}: it ran again"
            later = [line for line in lines if line.what == "start" and line[1:3] == (task, map_index)]
            assert all(line.at <= seen_at for line in later), f"{task}[{map_index}] had ended: {later}"

    def _tries_agree_with_the_traces(self, lines, tis, tries) -> None:
        """No process ran that the database does not know of; own failures are those that were meant."""
        names = {(task, map_index): ti_id for ti_id, (task, map_index, _, _) in tis.items()}
        for line in lines:
            assert TryKey(names[line.task, line.map_index], line.try_number) in tries, line
        fails = {(names[line[1:3]], line.try_number) for line in lines if line.what == "fail"}
        for key, (state, cause) in tries.items():
            task, _, _, last = tis[key.ti_id]
            if key.try_number < last:
                assert state == "failed", (task, key)
                assert cause in ("runner_lost", "killed", "launch") or (cause == "error" and key in fails), (task, key)
