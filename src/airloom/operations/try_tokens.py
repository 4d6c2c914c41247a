"""The token of a try: who shows it was given that try to run. Nothing is stored of it, and it dies with the try, since
whoever takes one looks whether the try is live. Sealed work has one that is bound to what is to be run: a broker that
is read and written by others can pass on no other work under it.
"""

import hmac

import msgspec

from airloom.model.errors import InvalidRequest
from airloom.model.report import TryKey
from airloom.model.work import TRY_PREFIX, Work, content, digest
from airloom.operations.ops import Ops
from airloom.store.leadership import database_id

_LABEL = "airloom: tokens of tries"
#: hexadecimal digits: 128 bits
_DIGITS = 32


class TryTokens:
    """Makes and checks the tokens of the tries of one database. Any thread may use it."""

    def __init__(self, keys: tuple[bytes, ...], database: str) -> None:
        """`keys`: the first makes tokens, all of them check."""
        self._keys = keys
        self._database = database

    def make(self, key: TryKey, bound_to: str = "") -> str:
        """The token of a try. bound_to: the digest of the work that it is for."""
        head = _head(key) + (f"_{bound_to}" if bound_to else "")
        return f"{head}_{self._mac(self._keys[0], head)}"

    def seal(self, work: Work) -> Work:
        """The work with its token, to be handed to a runner on another machine."""
        return msgspec.structs.replace(work, token=self.make(work.key, digest(content(work))))

    def proves(self, token: str, key: TryKey) -> bool:
        """Whether the token is that of the try. It says nothing about whether the try is live."""
        head, _, mac = token.rpartition("_")
        if not f"{head}_".startswith(f"{_head(key)}_") or not token.isascii():
            return False
        return any(hmac.compare_digest(self._mac(secret, head), mac) for secret in self._keys)

    def key_of(self, token: str) -> TryKey:
        """The try that the token proves. Raises InvalidRequest if it is none of this database's."""
        parts = token.removeprefix(TRY_PREFIX).split("_")
        if len(parts) in (3, 4) and all(part.isdecimal() and len(part) < 20 for part in parts[:2]):
            key = TryKey(int(parts[0]), int(parts[1]))
            if self.proves(token, key):
                return key
        raise InvalidRequest("the token of the try is wrong")

    def _mac(self, secret: bytes, head: str) -> str:
        return hmac.digest(secret, f"{self._database}/{head}".encode(), "sha256").hex()[:_DIGITS]


def _head(key: TryKey) -> str:
    return f"{TRY_PREFIX}{key.ti_id}_{key.try_number}"


def try_tokens(ops: Ops) -> TryTokens:
    """The tokens of the tries of the database that `ops` works on. Raises StoreError, SettingsError."""
    with ops.db.reading() as conn:
        database = database_id(conn)
    return TryTokens(ops.secrets().derived(_LABEL), database)
