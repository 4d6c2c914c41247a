"""Secrets that prove who somebody is, and the verbs about API tokens. A secret is shown once; its hash is kept."""

import hmac
import secrets
from hashlib import sha256
from typing import Any

import msgspec

from airloom.model.access import Role
from airloom.model.errors import InvalidRequest, NotFound
from airloom.operations.auditing import record
from airloom.operations.ops import Ops
from airloom.store import accounts, credentials
from airloom.store.credentials import TOKEN, CredentialRow
from airloom.store.feed import tell

#: what API tokens begin with, so that people and scanners know them
TOKEN_PREFIX = "alm_"
_TOPIC = "accounts"
_DAY = 86400.0
_LONGEST_NAME = 250
#: patterns that one token may be narrowed to
_MOST_PATTERNS = 100


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that has just been made. text: its id and its secret, shown this once."""

    row: CredentialRow
    text: str


def make_credential(conn: Any, kind: str, username: str, text: str = "", **fields: Any) -> Made:
    """Store a new credential: of a random id and secret, or of those in `text`."""
    credential_id, _, secret = (text or f"{secrets.token_hex(8)}_{secrets.token_hex(24)}").partition("_")
    row = CredentialRow(id=credential_id, kind=kind, username=username, hash=_digest(secret), **fields)
    credentials.add_credential(conn, row)
    return Made(row=row, text=f"{credential_id}_{secret}")


def find_credential(conn: Any, kind: str, text: str, now: float) -> CredentialRow | None:
    """The credential of that kind that `text` proves and that has not expired."""
    credential_id, _, secret = text.partition("_")
    if not credential_id.isalnum() or not secret.isalnum() or not text.isascii():
        return None
    row = credentials.get_credential(conn, kind, credential_id)
    if row is None or not hmac.compare_digest(row.hash, _digest(secret)):
        return None
    return row if row.expires_at is None or now < row.expires_at else None


def list_tokens(
    ops: Ops, username: str | None = None, after: str | None = None, limit: int | None = None
) -> list[CredentialRow]:
    """API tokens of one user, or of all, by id; `after`: those that follow that id. Expired ones are there for as long
    as they are kept."""
    with ops.db.reading() as conn:
        return credentials.list_credentials(conn, TOKEN, username, after, limit)


def make_token(
    ops: Ops,
    username: str,
    name: str,
    *,
    role: Role | None = None,
    dags: tuple[str, ...] | None = None,
    days: float | None = 90.0,
) -> Made:
    """Make an API token of a user: narrowed to a role and to dags that match patterns, for some days (None: for ever).

    Raises NotFound, InvalidRequest.
    """
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidRequest(f"a token's name has 1 to {_LONGEST_NAME} printable characters")
    if days is not None and not 0 < days <= 3650:
        raise InvalidRequest("a token lasts for up to 3650 days")
    for pattern in dags or ():
        check_pattern(pattern)
    if dags is not None and not 0 < len(dags) <= _MOST_PATTERNS:
        raise InvalidRequest(f"a token is narrowed to 1 to {_MOST_PATTERNS} patterns of dags")
    now = ops.now()
    with ops.db.transaction() as conn:
        user = accounts.get_account(conn, username, lock=True)
        if user is None:
            raise NotFound(f"there is no user {username!r}")
        if not user.active:
            raise InvalidRequest(f"user {username} is not active: activate them first")
        expires_at = None if days is None else now + days * _DAY
        made = make_credential(
            conn, TOKEN, username, name=name, role=role, dags=dags, created_at=now, expires_at=expires_at
        )
        record(conn, ops, "token.add", subject=username, detail=f"{name} ({made.row.id})")
        tell(conn, _TOPIC)
        tell(conn, "accounts")
    return Made(row=made.row, text=TOKEN_PREFIX + made.text)


def delete_token(ops: Ops, token_id: str, username: str | None = None) -> None:
    """Delete an API token, so that it is good for nothing; `username`: only if it is theirs. Raises NotFound."""
    with ops.db.transaction() as conn:
        row = credentials.get_credential(conn, TOKEN, token_id)
        if row is None or (username is not None and row.username != username):
            raise NotFound(f"there is no token {token_id!r}")
        credentials.delete_credential(conn, TOKEN, token_id)
        record(conn, ops, "token.delete", subject=row.username, detail=f"{row.name} ({row.id})")
        tell(conn, _TOPIC)
        tell(conn, "accounts")


def check_pattern(pattern: str) -> None:
    """Raise InvalidRequest unless `pattern` can be one of dag ids."""
    if not pattern.strip() or len(pattern) > _LONGEST_NAME or not pattern.isprintable():
        raise InvalidRequest(f"a pattern of dag ids has 1 to {_LONGEST_NAME} printable characters, such as etl_*")


def _digest(secret: str) -> bytes:
    # The secret is 192 random bits: nobody can try them all, so a fast hash is enough.
    return sha256(secret.encode()).digest()
