"""Users: who they are, their role, and what was granted to them on single dags."""

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from airloom.model.access import Grant, Role, role_named
from airloom.store.dialects import dialect_of
from airloom.store.tables import account, dag_grant


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """A user. role None: nothing but what the grants give. password: a hash; None: there is none.

    identity: issuer and subject of OpenID Connect, as issuer#subject.
    """

    username: str
    display_name: str = ""
    email: str | None = None
    role: Role | None = None
    grants: tuple[Grant, ...] = ()
    password: str | None = None
    identity: str | None = None
    active: bool = True
    created_at: float = 0.0
    last_login_at: float | None = None

    @property
    def has_password(self) -> bool:
        """Whether they can log in by a password."""
        return self.password is not None

    @property
    def oidc(self) -> bool:
        """Whether they log in by OpenID Connect."""
        return self.identity is not None


def get_account(conn: Connection, username: str, *, lock: bool = False) -> AccountRow | None:
    """The user of that name. lock: nobody else changes them until the transaction ends."""
    query = select(account).where(account.c.username == username)
    row = conn.execute(query.with_for_update() if lock else query).first()
    return None if row is None else _account(row, _grants(conn, username))


def account_of_identity(conn: Connection, identity: str) -> AccountRow | None:
    """The user who logs in by that identity of OpenID Connect, whom nobody else changes until the transaction ends."""
    username = conn.execute(select(account.c.username).where(account.c.identity == identity)).scalar()
    return None if username is None else get_account(conn, username, lock=True)


def list_accounts(conn: Connection, after: str | None = None, limit: int | None = None) -> list[AccountRow]:
    """Users by name; `after`: only those that follow that name."""
    query = select(account).order_by(account.c.username).limit(limit)
    if after is not None:
        query = query.where(account.c.username > after)
    rows = conn.execute(query).all()
    granted: dict[str, list[Grant]] = {row.username: [] for row in rows}
    # All of them: a list of names would have a limit, and grants are few.
    for username, pattern, role in conn.execute(select(dag_grant).order_by(dag_grant.c.username, dag_grant.c.pattern)):
        if username in granted:
            granted[username].append(Grant(pattern=pattern, role=role_named(role)))
    return [_account(row, tuple(granted[row.username])) for row in rows]


def has_accounts(conn: Connection) -> bool:
    """Whether there is any user."""
    return conn.execute(select(account.c.username).limit(1)).first() is not None


def lock_administrators(conn: Connection) -> list[str]:
    """The active administrators. None of them is changed by anybody else until the transaction ends."""
    query = select(account.c.username).where(account.c.role == Role.ADMIN.label, account.c.active)
    return list(conn.execute(query.order_by(account.c.username).with_for_update()).scalars())


def add_account(conn: Connection, row: AccountRow) -> None:
    """Add a user. Raises Rejected at the end of the transaction when the name or the identity is taken."""
    conn.execute(insert(account).values(_values(row)))
    _put_grants(conn, row)


def change_account(conn: Connection, row: AccountRow) -> None:
    """Store all of a user that is there."""
    conn.execute(update(account).where(account.c.username == row.username).values(_values(row)))
    conn.execute(delete(dag_grant).where(dag_grant.c.username == row.username))
    _put_grants(conn, row)


def set_password(conn: Connection, username: str, password: str) -> None:
    """Store the hash of a user's password."""
    conn.execute(update(account).where(account.c.username == username).values(password=password))


def set_last_login(conn: Connection, username: str, at: float) -> None:
    """Store when a user logged in."""
    conn.execute(update(account).where(account.c.username == username).values(last_login_at=at))


def delete_account(conn: Connection, username: str) -> bool:
    """Delete a user and their grants; False if there is none of that name."""
    conn.execute(delete(dag_grant).where(dag_grant.c.username == username))
    return conn.execute(delete(account).where(account.c.username == username)).rowcount > 0


def _account(row: Row[tuple[object, ...]], grants: tuple[Grant, ...]) -> AccountRow:
    values = row._asdict()
    role = values.pop("role")
    return AccountRow(**values, role=None if role is None else role_named(role), grants=grants)


def _grants(conn: Connection, username: str) -> tuple[Grant, ...]:
    query = select(dag_grant.c.pattern, dag_grant.c.role).where(dag_grant.c.username == username)
    rows = conn.execute(query.order_by(dag_grant.c.pattern))
    return tuple(Grant(pattern=pattern, role=role_named(role)) for pattern, role in rows)


def _values(row: AccountRow) -> dict[str, object]:
    values = msgspec.structs.asdict(row)
    del values["grants"]
    return values | {"role": None if row.role is None else row.role.label}


def _put_grants(conn: Connection, row: AccountRow) -> None:
    rows = [{"username": row.username, "pattern": grant.pattern, "role": grant.role.label} for grant in row.grants]
    dialect_of(conn).insert(conn, dag_grant, rows)
