"""Verbs about users: who they are, what they may do, and the one-time links that let them in."""

import re
import socket
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from airloom.model.access import Grant, Role
from airloom.model.errors import Conflict, InvalidRequest, NotFound, Rejected
from airloom.model.processes import ApiState, ProcessKind
from airloom.operations.auditing import record
from airloom.operations.credentials import check_pattern, make_credential
from airloom.operations.lookup import nearest
from airloom.operations.ops import Ops
from airloom.operations.passwords import hash_password
from airloom.store import accounts, credentials
from airloom.store.accounts import AccountRow
from airloom.store.credentials import LINK, SESSION, TOKEN
from airloom.store.feed import tell
from airloom.store.processes import list_processes

#: the user that an installation begins with
FIRST_ADMIN = "admin"
#: seconds in which a one-time link has to be used
LINK_LASTS = 86400.0

#: No sign that has a meaning in addresses, and nothing that cannot be seen.
NAME = re.compile(r"\w[\w.@+-]{0,249}")
_MOST_GRANTS = 1000
_TOPIC = "accounts"


class UserChange(msgspec.Struct, frozen=True, kw_only=True):
    """What of a user is to be as given; UNSET stays. role None: nothing but what the grants give."""

    display_name: str | UnsetType = UNSET
    email: str | UnsetType | None = UNSET
    role: Role | UnsetType | None = UNSET
    grants: tuple[Grant, ...] | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    password: str | UnsetType = UNSET


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time code that logs a user in; expires_at: epoch seconds."""

    code: str
    expires_at: float

    @property
    def path(self) -> str:
        """The page that takes the code. It is in the fragment: browsers send that to nobody, so no log has it."""
        return f"/login#code={self.code}"


def list_users(ops: Ops, after: str | None = None, limit: int | None = None) -> list[AccountRow]:
    """Users by name; `after`: those that follow that name."""
    with ops.db.reading() as conn:
        return accounts.list_accounts(conn, after, limit)


def get_user(ops: Ops, username: str) -> AccountRow:
    """A user. Raises NotFound."""
    with ops.db.reading() as conn:
        return _find(conn, username)


def add_user(ops: Ops, username: str, first: UserChange) -> AccountRow:
    """Make a user; what `first` does not set is empty. Raises InvalidRequest, and Conflict when the name is taken."""
    if not NAME.fullmatch(username):
        raise InvalidRequest(
            f"{username[:60]!r} cannot be a user's name: it has letters, digits and . _ @ + -, at most 250, and begins "
            "with a letter or a digit"
        )
    hashed = _checked(username, first)
    row = _changed(AccountRow(username=username, created_at=ops.now()), first, hashed)
    taken = f"there is a user {username!r} already"
    try:
        with ops.db.transaction() as conn:
            if accounts.get_account(conn, username) is not None:
                raise Conflict(taken)
            accounts.add_account(conn, row)
            record(conn, ops, "user.add", subject=username, detail=_described(first))
            tell(conn, _TOPIC)
            tell(conn, "accounts")
    except Rejected:
        # Somebody else made them between the look and the commit.
        raise Conflict(taken) from None
    return row


def change_user(ops: Ops, username: str, change: UserChange) -> AccountRow:
    """Change a user. A new password ends their sessions; when they are not active any more, their tokens end too.

    Raises NotFound, InvalidRequest, and Conflict when no active administrator would be left.
    """
    hashed = _checked(username, change)
    with ops.db.transaction() as conn:
        administrators = accounts.lock_administrators(conn)
        before = _find(conn, username, lock=True)
        row = _changed(before, change, hashed)
        accounts.change_account(conn, row)
        _keep_one(conn, administrators, username)
        if not row.active:
            credentials.delete_credentials_of(conn, username, (SESSION, LINK, TOKEN))
        elif hashed is not None:
            credentials.delete_credentials_of(conn, username, (SESSION, LINK))
        record(conn, ops, "user.change", subject=username, detail=_described(change))
        tell(conn, _TOPIC)
        tell(conn, "accounts")
    return row


def delete_user(ops: Ops, username: str) -> None:
    """Delete a user with all that lets them in. Raises NotFound, and Conflict for the last active administrator."""
    with ops.db.transaction() as conn:
        administrators = accounts.lock_administrators(conn)
        _find(conn, username)
        accounts.delete_account(conn, username)
        _keep_one(conn, administrators, username)
        credentials.delete_credentials_of(conn, username, (SESSION, LINK, TOKEN))
        record(conn, ops, "user.delete", subject=username)
        tell(conn, _TOPIC)
        tell(conn, "accounts")


def make_link(ops: Ops, username: str) -> Link:
    """A link that logs a user in, once; the ones before it are void. Raises NotFound, InvalidRequest."""
    now = ops.now()
    with ops.db.transaction() as conn:
        if not _find(conn, username, lock=True).active:
            raise InvalidRequest(f"user {username} is not active: activate them first")
        credentials.delete_credentials_of(conn, username, (LINK,))
        made = make_credential(conn, LINK, username, created_at=now, expires_at=now + LINK_LASTS)
        record(conn, ops, "user.link", subject=username)
    return Link(code=made.text, expires_at=now + LINK_LASTS)


def served_at(ops: Ops) -> tuple[str, str]:
    """The address of the API server that began last, and its host: of this machine, if one runs here; empty if none
    runs at all."""
    now = ops.now()
    with ops.db.reading() as conn:
        rows = [row for row in list_processes(conn, ProcessKind.API) if row.alive(now)]
    last = max(rows, key=lambda row: (row.host == socket.gethostname(), row.started_at), default=None)
    return ("", "") if last is None else (msgspec.convert(last.state, ApiState).address, last.host)


def ensure_first_admin(ops: Ops) -> None:
    """Make the user `admin`, without a password, where there is no user at all."""
    with ops.db.reading() as conn:
        if accounts.has_accounts(conn):
            return
    try:
        add_user(ops, FIRST_ADMIN, UserChange(display_name="Administrator", role=Role.ADMIN))
    except Conflict:
        # Another API process began at the same time.
        return


def first_link(ops: Ops, base_url: str) -> str:
    """The address to print when a server begins: with a one-time code while no administrator can log in in any other
    way, plain from then on, so that logs do not fill with what lets people in."""
    ensure_first_admin(ops)
    base = base_url.rstrip("/")
    administrators = [user for user in list_users(ops) if user.active and user.role is Role.ADMIN]
    if not administrators or any(user.has_password or user.oidc for user in administrators):
        return f"{base}/"
    return base + make_link(ops, administrators[0].username).path


def _find(conn: Any, username: str, *, lock: bool = False) -> AccountRow:
    row = accounts.get_account(conn, username, lock=lock)
    if row is None:
        known = [user.username for user in accounts.list_accounts(conn)]
        hint = nearest(username, known) if known else "; the first start of `airloom api` makes the user admin"
        raise NotFound(f"there is no user {username!r}{hint}")
    return row


def _checked(username: str, change: UserChange) -> str | None:
    """Raise InvalidRequest if something makes no sense; the hash of the new password, if there is one."""
    grants = change.grants or ()
    for grant in grants:
        check_pattern(grant.pattern)
    if len(grants) > _MOST_GRANTS or len({grant.pattern for grant in grants}) < len(grants):
        raise InvalidRequest(f"a user has at most {_MOST_GRANTS} grants, each on a pattern of its own")
    for text in (change.display_name, change.email):
        if text and (len(text) > 250 or not text.isprintable()):
            raise InvalidRequest("a name and an address have at most 250 printable characters")
    return hash_password(change.password, username) if isinstance(change.password, str) else None


def _changed(row: AccountRow, change: UserChange, hashed: str | None) -> AccountRow:
    values = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}
    if hashed is not None:
        values["password"] = hashed
    return msgspec.structs.replace(row, **values)


def _keep_one(conn: Any, administrators: list[str], username: str) -> None:
    if username in administrators and not accounts.lock_administrators(conn):
        raise Conflict(
            f"{username} is the last active administrator: make somebody else one first, "
            "or nobody could administer Airloom"
        )


def _described(change: UserChange) -> str | None:
    """What was changed, for the audit log, without any secret."""
    words = []
    if change.role is not UNSET:
        words.append(f"role {change.role.label if change.role else 'none'}")
    if change.grants is not UNSET:
        grants = ", ".join(f"{grant.role.label} on {grant.pattern}" for grant in change.grants)
        words.append(f"grants {grants or 'none'}")
    if change.active is not UNSET:
        words.append("active" if change.active else "not active")
    if change.password is not UNSET:
        words.append("password")
    if change.display_name is not UNSET:
        words.append("name")
    if change.email is not UNSET:
        words.append("address")
    return "; ".join(words) or None
