"""What proves who somebody is: sessions, API tokens, one-time links. Of each secret only a hash is kept."""

from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from airloom.model.access import Role, role_named
from airloom.store.tables import credential

SESSION, TOKEN, LINK = "session", "token", "link"


class CredentialRow(msgspec.Struct, frozen=True, kw_only=True):
    """A credential. hash: SHA-256 of its secret. role, dags: what narrows its user's rights; None does not.

    expires_at None: it lasts until it is deleted. used_at: when it was last used, give or take a minute.
    """

    id: str
    kind: str
    username: str
    hash: bytes
    name: str = ""
    role: Role | None = None
    dags: tuple[str, ...] | None = None
    created_at: float = 0.0
    expires_at: float | None = None
    used_at: float | None = None


def add_credential(conn: Connection, row: CredentialRow) -> None:
    """Store a credential."""
    values = msgspec.structs.asdict(row)
    values["role"] = None if row.role is None else row.role.label
    values["dags"] = None if row.dags is None else msgspec.json.encode(row.dags).decode()
    conn.execute(insert(credential).values(values))


def get_credential(conn: Connection, kind: str, credential_id: str) -> CredentialRow | None:
    """The credential of that kind and id, whether or not it has expired."""
    query = select(credential).where(credential.c.id == credential_id, credential.c.kind == kind)
    row = conn.execute(query).first()
    return None if row is None else _credential(row._asdict())


def list_credentials(
    conn: Connection, kind: str, username: str | None = None, after: str | None = None, limit: int | None = None
) -> list[CredentialRow]:
    """Credentials of a kind by their ids, of one user or of all; `after`: only those that follow that id."""
    query = select(credential).where(credential.c.kind == kind).order_by(credential.c.id).limit(limit)
    if username is not None:
        query = query.where(credential.c.username == username)
    if after is not None:
        query = query.where(credential.c.id > after)
    return [_credential(row._asdict()) for row in conn.execute(query)]


def renew(conn: Connection, credential_id: str, used_at: float, expires_at: float | None) -> None:
    """Store that a credential was used, and until when it lasts now."""
    where = credential.c.id == credential_id
    conn.execute(update(credential).where(where).values(used_at=used_at, expires_at=expires_at))


def delete_credential(conn: Connection, kind: str, credential_id: str) -> bool:
    """Delete a credential; False if it is not there. Of several who try at once, one is told True."""
    where = (credential.c.id == credential_id, credential.c.kind == kind)
    return conn.execute(delete(credential).where(*where)).rowcount > 0


def delete_credentials_of(conn: Connection, username: str, kinds: tuple[str, ...], but: str | None = None) -> int:
    """Delete a user's credentials of these kinds, except the one with the id `but`; how many."""
    where = [credential.c.username == username, credential.c.kind.in_(kinds)]
    if but is not None:
        where.append(credential.c.id != but)
    return conn.execute(delete(credential).where(*where)).rowcount


def forget_expired(conn: Connection, before: float) -> int:
    """Delete what had expired at that moment; how many."""
    return conn.execute(delete(credential).where(credential.c.expires_at < before)).rowcount


def _credential(values: dict[str, Any]) -> CredentialRow:
    role, dags = values.pop("role"), values.pop("dags")
    return CredentialRow(
        **values | {"hash": bytes(values["hash"])},
        role=None if role is None else role_named(role),
        dags=None if dags is None else msgspec.json.decode(dags, type=tuple[str, ...]),
    )
