"""Tries that are more than the slots of their runner: who waits, who comes next, who goes."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airloom.executors.settings import LocalSettings
from airloom.model.report import Cause, Ended, HandedBack, Report
from airloom.model.work import Cancel, Work
from airloom.runtime import supervisor
from airloom.runtime.loop import Loop
from airloom.runtime.supervisor import Supervisor
from tests.executors.rig import Rig
from tests.waiting import wait_for


class OneSlot:
    """A supervisor with one slot, whose loop turns when the test says so. `task` gives tries that wait to be let go."""

    def __init__(self, folder: Path) -> None:
        self._rig = Rig(folder)
        self._rig.write("held", "while not (MARKS / 'go').exists():\n    time.sleep(0.005)")
        self._loop = Loop()
        self.reports: list[Report] = []
        settings = LocalSettings(home=str(self._rig.home), bundles={"dags": str(self._rig.dags)})
        self.supervisor = Supervisor(
            self._loop, settings, ("one", socket.gethostname()), os.environ, self.reports.append, self._asked
        )
        self.supervisor.line.slots = 1

    def _asked(self, _question: Any) -> None:
        """Nothing is."""

    def submit(self) -> Work:
        work = self._rig.work("held")
        self.supervisor.submit(work)
        return work

    def let_go(self) -> None:
        self._rig.mark("go").touch()

    def until(self, met: Callable[[], bool], what: str) -> None:
        """Turn until a condition holds, with nobody filling the slots that come free."""

        def turned() -> bool:
            self._loop.later(0.01, lambda: None)
            self._loop.turn()
            return met()

        wait_for(turned, what)

    def of(self, work: Work, kind: type[Any]) -> list[Any]:
        return [report for report in self.reports if isinstance(report, kind) and report.key == work.key]

    def close(self) -> None:
        self.supervisor.close()
        self._loop.close()


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OneSlot]:
    monkeypatch.setattr(supervisor, "_PATIENCE", 300.0)
    one = OneSlot(tmp_path)
    yield one
    one.close()


def test_who_comes_when_a_slot_has_just_come_free_does_not_pass_who_waits(one: OneSlot):
    first, second = one.submit(), one.submit()
    one.let_go()
    one.until(lambda: bool(one.of(first, Ended)), "the first to end")
    third = one.submit()
    one.supervisor.line.fill()
    one.until(lambda: bool(one.of(second, Ended) or one.of(third, Ended)), "the next to end")
    assert one.of(second, Ended)
    one.supervisor.line.fill()
    one.until(lambda: bool(one.of(third, Ended)), "the third to end")


def test_one_that_waits_for_a_slot_can_be_cancelled(one: OneSlot):
    _, second, third = one.submit(), one.submit(), one.submit()
    one.supervisor.cancel(Cancel(key=second.key, executor="", reason="it is not wanted"))
    (end,) = one.of(second, Ended)
    assert (end.cause, end.started_at) == (Cause.CANCELLED, None)
    one.supervisor.line.slots = 2
    one.let_go()
    one.supervisor.line.fill()
    one.until(lambda: bool(one.of(third, Ended)), "the third to end")


def test_those_that_wait_for_a_slot_are_handed_back_when_the_runner_stops(one: OneSlot):
    _, second, third = one.submit(), one.submit(), one.submit()
    one.supervisor.stop(60.0)
    assert one.of(second, HandedBack)
    assert one.of(third, HandedBack)
    assert not one.supervisor.line.crowded
