"""Answers what tries ask, in a few threads, so that a slow answer delays neither reports nor other answers."""

import logging
import queue
import threading
from collections.abc import Callable

from airloom.executors.base import AnswerTask
from airloom.model.errors import AirloomError, Rejected, StoreError
from airloom.model.report import TryKey
from airloom.model.wire import MAX_PAYLOAD, Ask, FrameError, Reply, frame

log = logging.getLogger("airloom.executor")

_THREADS = 3
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 2.0
_LONGEST_ERROR = 16 * 1024


class Answers:
    """Calls `answer` for each request, and `send` with the runner that asked and the reply.

    While the database is away there is no reply: the request is tried again until it works, or until its try is not
    `live` any more.
    """

    def __init__(self, answer: AnswerTask, live: Callable[[TryKey], bool], send: Callable[[str, bytes], None]) -> None:
        self._answer = answer
        self._live = live
        self._send = send
        self._asked: queue.SimpleQueue[tuple[str, Ask] | None] = queue.SimpleQueue()
        #: by runner and number: a runner that has connected again asks again
        self._open: set[tuple[str, int]] = set()
        self._closed = threading.Event()
        for number in range(_THREADS):
            threading.Thread(target=self._serve, name=f"airloom-answers-{number}", daemon=True).start()

    def ask(self, runner: str, ask: Ask) -> None:
        """Answer a request, unless it is being answered already."""
        if (runner, ask.id) not in self._open:
            self._open.add((runner, ask.id))
            self._asked.put((runner, ask))

    def close(self) -> None:
        """Answer no more."""
        self._closed.set()
        for _ in range(_THREADS):
            self._asked.put(None)

    def _serve(self) -> None:
        while (item := self._asked.get()) is not None:
            runner, ask = item
            data = self._reply(ask)
            self._open.discard((runner, ask.id))  # first: if the reply is lost on its way, the runner asks again
            if data is not None:
                self._send(runner, data)

    def _reply(self, ask: Ask) -> bytes | None:
        wait = _FIRST_WAIT
        while self._live(ask.key) and not self._closed.is_set():
            try:
                return reply_to(ask, self._answer)
            except StoreError as error:
                log.warning("a task's request waits for the database: %s; trying again in %g s", error, wait)
            self._closed.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
        return None


def reply_to(ask: Ask, answer: AnswerTask) -> bytes:
    """The frame of the reply to a request, or of why there is none. Raises StoreError while the database is away."""
    try:
        return frame(Reply(id=ask.id, value=answer(ask.key, ask.request)), MAX_PAYLOAD)
    except FrameError as error:
        return _refusal(
            ask,
            f"the answer is too large ({error}): keep large data in a file or an object store and hand on "
            "where it is; the results of a mapped task can be read one map index at a time",
        )
    except StoreError as error:
        if isinstance(error, Rejected):
            return _refusal(ask, str(error))
        raise
    except AirloomError as error:
        return _refusal(ask, str(error))
    except Exception as error:
        return _refusal(ask, f"the scheduler could not answer: {type(error).__name__}: {error}")


def _refusal(ask: Ask, text: str) -> bytes:
    return frame(Reply(id=ask.id, error=text[:_LONGEST_ERROR]))
