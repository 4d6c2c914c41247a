"""What an API process remembers for its guards: who was just identified, who fails to log in."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from airloom.api.security.provider import Provider
from airloom.api.security.throttle import Throttle
from airloom.api.state import Api
from airloom.model.access import Identity
from airloom.operations.login import identify

#: Seconds that an identity is believed without another look: as long as a revoked credential is still good.
_BELIEVED = 2.0
_MOST = 2000


class Known:
    """Identities that were looked up in the last moments, so that a page that asks for much costs one look."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()

    async def identify(self, api: Api, kind: str, text: str) -> Identity | None:
        """Whom a session's secret or a token proves, as of the last two seconds."""
        key = sha256(f"{kind} {text}".encode()).digest()
        now = self._clock()
        at, identity = self._found.get(key, (0.0, None))
        if identity is not None and now - at < _BELIEVED and not _expired(identity, api.now()):
            return identity
        identity = await run_in_threadpool(identify, api.ops, kind, text, api.settings.api.session)
        self._found.pop(key, None)
        if identity is not None:
            self._found[key] = (now, identity)
            while len(self._found) > _MOST:
                self._found.popitem(last=False)
        return identity

    def forget(self) -> None:
        """Look everybody up again: somebody's rights were changed by this process."""
        self._found.clear()


@dataclass(frozen=True)
class Guards:
    """The guards' memory of one API process."""

    known: Known = field(default_factory=Known)
    throttle: Throttle = field(default_factory=Throttle)
    provider: Provider | None = None


def guards_of(request: Request) -> Guards:
    """The guards of the server that a request came to."""
    guards: Guards = request.app.state.guards
    return guards


def _expired(identity: Identity, now: float) -> bool:
    return identity.expires_at is not None and now >= identity.expires_at
