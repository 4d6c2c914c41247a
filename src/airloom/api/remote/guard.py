"""Who may come in: workers with a runner's credential, pods with the token of their try. And whose session is whose."""

import asyncio
import binascii
import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from hashlib import sha256

from airloom.api.problems import Refused
from airloom.api.remote.desk import Visitor
from airloom.api.security.throttle import Throttle
from airloom.model.errors import InvalidRequest
from airloom.model.work import TRY_PREFIX
from airloom.operations import remote_runners
from airloom.operations.ops import Ops
from airloom.operations.try_tokens import TryTokens, try_tokens

#: seconds for which a credential that was looked up is believed
_BELIEVED = 5.0
#: credentials that are remembered
_MOST = 10_000
_LABEL = "airloom: sessions of runners"
_CHALLENGE = {"WWW-Authenticate": "Bearer"}


class Guard:
    """The memory of one API process. Its methods are called in the event loop."""

    def __init__(self, ops: Ops) -> None:
        self._ops = ops
        self._throttle = Throttle()
        #: hash of a credential that was good -> who it is, and when that was looked up
        self._known: OrderedDict[bytes, tuple[Visitor, float]] = OrderedDict()
        self._session_keys: tuple[bytes, ...] = ()
        self._tokens: TryTokens | None = None
        self.database = ""

    @property
    def tokens(self) -> TryTokens:
        """The tokens of tries. `identify` has been called before."""
        assert self._tokens is not None
        return self._tokens

    async def identify(self, token: str, address: str | None) -> Visitor:
        """Who shows `token`. Raises Refused, StoreError."""
        if self._tokens is None:
            await asyncio.to_thread(self._load)
        if token.startswith(TRY_PREFIX):
            return self._by_try(token, address)
        digest = sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and time.monotonic() - known[1] < _BELIEVED:
            return known[0]
        if known is None:
            self._throttle.attempt(None, address)
        row = await asyncio.to_thread(remote_runners.find_runner_token, self._ops, token)
        if row is None:
            self._known.pop(digest, None)
            raise _wrong()
        if known is None:
            self._throttle.succeeded(None, address)
        visitor = Visitor(id=row.id)
        self._known[digest] = visitor, time.monotonic()
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return visitor

    def _by_try(self, token: str, address: str | None) -> Visitor:
        try:
            key = self.tokens.key_of(token)
        except InvalidRequest:
            self._throttle.attempt(None, address)
            raise _wrong() from None
        return Visitor(id=f"try/{key.ti_id}/{key.try_number}", only=key)

    def _load(self) -> None:
        self._session_keys = self._ops.secrets().derived(_LABEL)
        self.database = remote_runners.database_of(self._ops)
        self._tokens = try_tokens(self._ops)

    # --- sessions -----------------------------------------------------------------------------------------------------
    def session(self, visitor: Visitor, runner: str) -> str:
        """The session of a runner: it tells its name, and whose it is. Any API process of this installation knows it,
        and nothing is kept of it."""
        name = urlsafe_b64encode(runner.encode()).decode().rstrip("=")
        return f"{name}.{_seal(self._session_keys[0], visitor, runner)}"

    def runner_of(self, visitor: Visitor, session: str) -> str:
        """The name of the runner whose session it is. Raises Refused unless it is the visitor's."""
        name, _, seal = session.partition(".")
        try:
            runner = urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
        except (binascii.Error, ValueError):
            runner = ""
        good = seal.isascii() and any(hmac.compare_digest(_seal(k, visitor, runner), seal) for k in self._session_keys)
        if not good:
            raise Refused(404, "No such session", "the session is not yours, or of another installation: greet again")
        return runner


def _seal(key: bytes, visitor: Visitor, runner: str) -> str:
    return hmac.digest(key, f"{visitor.id}\n{runner}".encode(), "sha256").hex()[:32]


def _wrong() -> Refused:
    text = (
        "the token is wrong, expired or deleted: `airloom tokens add-runner` makes one for workers, and a try's own "
        "is good for that try only"
    )
    return Refused(401, "No runner of ours", text, _CHALLENGE)
