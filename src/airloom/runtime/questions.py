"""What tasks have asked of the server and wait for: each question has a number of its own on the runner's line."""

from collections.abc import Callable
from typing import Protocol

from airloom.model.report import TryKey
from airloom.model.wire import Ask, Reply, TaskRequest
from airloom.runtime.masking import Masker, secrets_of
from airloom.runtime.messages import Request, Told
from airloom.runtime.zygotes import Process


class Asker(Protocol):
    """The try that asks. Secrets in questions and answers are made known to its masker."""

    masker: Masker
    process: Process | None

    @property
    def key(self) -> TryKey: ...

    @property
    def token(self) -> str: ...


class Questions:
    """The open questions of a runner's tries. `ask` sends one to the server."""

    def __init__(self, ask: Callable[[Ask], None]) -> None:
        self._ask = ask
        self._next = 0
        self._open: dict[int, tuple[Asker, int, TaskRequest]] = {}

    def put(self, asker: Asker, request: Request) -> None:
        """A task asks."""
        self._next += 1
        asker.masker.add(secrets_of(request.request, None))
        self._open[self._next] = (asker, request.id, request.request)
        self._ask(self._message(self._next))

    def unanswered(self) -> list[Ask]:
        """All questions that have no answer yet: a new server gets them again."""
        return [self._message(number) for number in self._open]

    def tell(self, reply: Reply) -> None:
        """Hand a task the answer that it waits for."""
        if reply.id not in self._open:
            return
        asker, number, request = self._open.pop(reply.id)
        asker.masker.add(secrets_of(request, reply.value))
        if asker.process is not None:
            asker.process.send(Told(number, reply.value, reply.error))

    def forget(self, asker: Asker) -> None:
        """The try is over: nobody waits any more."""
        for number in [number for number, question in self._open.items() if question[0] is asker]:
            del self._open[number]

    def _message(self, number: int) -> Ask:
        asker, _number, request = self._open[number]
        return Ask(id=number, key=asker.key, request=request, token=asker.token)
