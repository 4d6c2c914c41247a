"""The executor protocol: six methods. Whatever two executors share is a function, not a parent class."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from airloom.model.report import News, TryKey
from airloom.model.wire import TaskRequest
from airloom.model.work import Cancel, Work

#: answers what a try asks for; raises AirloomError with the text for the task
AnswerTask = Callable[[TryKey, TaskRequest], Any]


class Executor(Protocol):
    """Runs tries. None of the methods waits for a task; each returns at once.

    An executor is made with `wake`, which it calls when `poll` or `capacity` has news.
    """

    def capacity(self) -> tuple[int | None, str]:
        """How many tries it takes at once in all (None: any number), and, when that is 0, why."""

    def submit(self, works: Iterable[Work]) -> None:
        """Run these. Idempotent on the key: a try that it has already is not started twice."""

    def poll(self) -> Sequence[News]:
        """What happened since the last call, each report once. The caller commits them before it calls again: the next
        call tells the executor that these may be forgotten."""

    def cancel(self, cancels: Iterable[Cancel]) -> None:
        """End these tries; their ends come as reports. An unknown key is ignored."""

    def adopt(self, keys: Iterable[TryKey]) -> set[TryKey]:
        """After a restart: which of these tries it still has, running or with a report to come. It ends all others; no
        keys, as of a scheduler that leads no more: everything."""

    def close(self, grace: float) -> None:
        """Take no more; let running tries go on for `grace` seconds, then end them, as stopped; free everything. The
        reports can be polled until this process ends."""
