"""Who answers runners, behind the HTTP of app.py."""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from airloom.model.report import TryKey
from airloom.model.wire import FromRunner, Hello


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Who has proved to be a runner. only: the one try that it may speak of; None: of all whose tokens it has."""

    id: str
    only: TryKey | None = None


class Desk(Protocol):
    """Answers what runners say. What is refused is raised as an AirloomError.

    longest: bytes that one request may have. alive: seconds between two signs of life on a stream.
    """

    longest: int
    alive: float

    async def identify(self, token: str, address: str | None) -> Visitor:
        """Who shows this token."""

    async def greet(self, visitor: Visitor, hello: Hello) -> str:
        """The session of a runner."""

    def now(self) -> float:
        """The server's clock."""

    def runner_of(self, visitor: Visitor, session: str) -> str:
        """The name of the runner whose session it is, if it is the visitor's."""

    async def sign_of_life(self, visitor: Visitor, runner: str) -> None:
        """A long body of the runner's is still coming."""

    def answer(self, visitor: Visitor, runner: str, messages: list[FromRunner]) -> AsyncIterator[bytes]:
        """The frames that answer these messages, in their order."""

    def follow(self, visitor: Visitor, runner: str) -> AsyncIterator[bytes]:
        """The frames that a runner is to have at once, and signs of life between them, without an end."""
