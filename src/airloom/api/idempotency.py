"""Requests that may come again: with a header Idempotency-Key, what creates something does so once.

The key is taken before anything is done. Who comes second gets the first one's answer, and does the work only if the
first has died; then it finds what that one has made. Tokens are made without a key: the answer that is kept would hold
the secret.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request
from pydantic import BaseModel

from airloom.api.access import By
from airloom.model.errors import AirloomError, InvalidRequest, NoAnswer, StoreError
from airloom.operations.ops import Ops
from airloom.store import idempotency
from airloom.store.idempotency import Attempt, Key

#: seconds between two looks whether the first one is through, and those, beyond the time that a scheduler has for its
#: answer, after which it is taken for dead
_PAUSE, _PATIENCE = 0.02, 3.0

Made = TypeVar("Made", bound=BaseModel)

_HEADER = Header(
    alias="Idempotency-Key",
    min_length=1,
    max_length=200,
    pattern="^[!-~]+$",
    description="A text of your own, new for each thing to be made. A request that comes again within 24 hours with "
    "the same key and the same content gets the same answer, and nothing is made twice.",
)


@dataclass(frozen=True)
class Repeatable:
    """A request that creates something, with its key if it has one."""

    request: Request
    ops: Ops
    key: str | None

    def once(self, body: BaseModel, kind: type[Made], make: Callable[[float | None], Made]) -> Made:
        """What `make` makes: once for a key and `body`.

        `make` gets the moment of the first attempt, the same however often the request comes (None without a key): if
        that is over, the first attempt may have died, and what it has made is to be found rather than made again.
        Raises InvalidRequest when the key was used for another request.
        """
        if self.key is None:
            return make(None)
        key = Key(self.ops.by, self.key)
        attempt, first = self._take(key, self._digest(body))
        if attempt.body is not None:
            return kind.model_validate_json(attempt.body)
        try:
            made = make(attempt.created_at)
        except (NoAnswer, StoreError):
            # It may be done all the same: the key stays taken.
            raise
        except AirloomError:
            if first:
                with self.ops.db.transaction() as conn:
                    idempotency.forget(conn, key)
            raise
        with self.ops.db.transaction() as conn:
            idempotency.finish(conn, key, 201, made.model_dump_json(by_alias=True).encode())
        return made

    def _take(self, key: Key, digest: bytes) -> tuple[Attempt, bool]:
        """The attempt, and whether it is this one that begins; one that is being made is waited for."""
        while True:
            now = self.ops.now()
            with self.ops.db.transaction() as conn:
                found = idempotency.begin(conn, key, digest, now)
            if found is None:
                return Attempt(request=digest, created_at=now), True
            if found.request != digest:
                raise InvalidRequest(
                    f"the Idempotency-Key {key.key!r} was used for another request: give each its own key"
                )
            if found.body is not None or now - found.created_at > self.ops.answer_timeout + _PATIENCE:
                return found, False
            self._wait(key)

    def _wait(self, key: Key) -> None:
        give_up = time.monotonic() + 1.0
        while time.monotonic() < give_up:
            time.sleep(_PAUSE)
            with self.ops.db.reading() as conn:
                found = idempotency.find(conn, key)
            if found is None or found.body is not None:
                return

    def _digest(self, body: BaseModel) -> bytes:
        """What tells the request from another one. It is stored, so nothing secret is in it."""
        what = f"{self.request.method} {self.request.url.path}?{self.request.url.query}\n"
        text = what + body.model_dump_json(exclude={"password"})
        return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _repeatable(request: Request, caller: By, key: Annotated[str | None, _HEADER] = None) -> Repeatable:
    return Repeatable(request, caller.ops, key)


#: the parameter of a route that creates something
Repeat = Annotated[Repeatable, Depends(_repeatable)]
