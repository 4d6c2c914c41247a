"""Answers to tasks: patient with the database, never in each other's way."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airloom.executors import answers as answers_module
from airloom.executors.answers import Answers
from airloom.model.errors import NotFound, Rejected, StoreError
from airloom.model.report import TryKey
from airloom.model.wire import Ask, GetVariable, Reply, TaskRequest, Unframer
from tests.waiting import DEADLINE


class Desk:
    """Asks, and takes the replies."""

    def __init__(self) -> None:
        self.replies: queue.Queue[tuple[str, Reply]] = queue.Queue()
        self.live = True
        self.calls: list[str] = []
        self.answer: Callable[[str], Any] = str.upper
        self._answers = Answers(self._answer, lambda key: self.live, self._send)

    def ask(self, name: str, number: int = 1) -> None:
        self._answers.ask("r1", Ask(id=number, key=TryKey(1, 1), request=GetVariable(key=name)))

    def reply(self) -> Reply:
        runner, reply = self.replies.get(timeout=DEADLINE)
        assert runner == "r1"
        return reply

    def close(self) -> None:
        self._answers.close()

    def _answer(self, _key: TryKey, request: TaskRequest) -> Any:
        assert isinstance(request, GetVariable)
        self.calls.append(request.key)
        return self.answer(request.key)

    def _send(self, runner: str, data: bytes) -> None:
        for reply in Unframer[Reply](Reply).feed(data):
            self.replies.put((runner, reply))


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


def raising(*errors: Exception) -> Callable[[str], Any]:
    """An answer that fails so often, and then works."""
    left = list(errors)

    def answer(name: str) -> str:
        if left:
            raise left.pop(0)
        return name.upper()

    return answer


def test_while_the_database_is_away_the_request_waits(desk: Desk):
    desk.answer = raising(StoreError("away"), StoreError("still away"))
    desk.ask("region")
    assert desk.reply() == Reply(id=1, value="REGION")
    assert desk.calls == ["region"] * 3


def test_a_request_whose_try_has_ended_is_dropped(desk: Desk):
    asked = threading.Event()

    def away(name: str) -> str:
        if name == "other":
            return "answered"
        desk.live = False
        asked.set()
        raise StoreError("away")

    desk.answer = away
    desk.ask("region")
    assert asked.wait(DEADLINE)
    desk.live = True  # for another try
    desk.ask("other", 2)
    assert desk.reply().value == "answered"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (NotFound("no such variable"), "no such variable"),
        (Rejected("out of range"), "out of range"),
        (ZeroDivisionError("by zero"), "the scheduler could not answer: ZeroDivisionError: by zero"),
    ],
)
def test_any_other_failure_is_told_to_the_task(desk: Desk, error: Exception, says: str):
    desk.answer = raising(error)
    desk.ask("region")
    assert desk.reply() == Reply(id=1, error=says)


def test_an_answer_that_cannot_be_encoded_is_told_to_the_task(desk: Desk):
    desk.answer = lambda name: object()
    desk.ask("region")
    assert "could not answer" in (desk.reply().error or "")


def test_an_answer_that_is_too_large_says_what_to_do(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(answers_module, "MAX_PAYLOAD", 1000)
    desk.answer = lambda name: "x" * 2000
    desk.ask("region")
    reply = desk.reply()
    assert "too large" in (reply.error or "")
    assert "hand on where it is" in (reply.error or "")


def test_a_slow_answer_delays_no_other(desk: Desk):
    release = threading.Event()

    def answer(name: str) -> str:
        if name == "slow":
            assert release.wait(DEADLINE)
        return name

    desk.answer = answer
    desk.ask("slow", 1)
    desk.ask("quick", 2)
    assert desk.reply().value == "quick"
    release.set()
    assert desk.reply().value == "slow"


def test_a_runner_that_asks_again_meanwhile_is_answered_once(desk: Desk):
    release = threading.Event()
    desk.answer = lambda name: release.wait(DEADLINE)
    for _ in range(3):
        desk.ask("region")
    release.set()
    assert desk.reply().value is True
    desk.answer = str.upper
    desk.ask("last", 2)
    assert desk.reply() == Reply(id=2, value="LAST")
    assert desk.replies.empty()
