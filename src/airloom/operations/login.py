"""Who somebody is: logging in by password, by one-time link or by a provider, sessions, and logging out."""

import contextlib
import dataclasses
from typing import Any

import msgspec

from airloom.model.access import Identity
from airloom.model.errors import InvalidRequest, StoreError
from airloom.operations.auditing import record
from airloom.operations.credentials import Made, find_credential, make_credential
from airloom.operations.ops import Ops
from airloom.operations.passwords import hash_password, is_outdated, password_fits
from airloom.store import accounts, credentials
from airloom.store.accounts import AccountRow
from airloom.store.credentials import LINK, SESSION, CredentialRow

#: seconds after which a session ends however much it is used
LONGEST_SESSION = 30 * 86400.0
#: seconds between two notes that a credential is in use
_RENEWAL = 60.0
#: who did what nobody has proved to be
NOBODY = "-"


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A session that has just begun. secret: what the browser keeps."""

    account: AccountRow
    secret: str
    session: CredentialRow


def log_in_by_password(ops: Ops, username: str, password: str, idle: float) -> LoggedIn | None:
    """Begin a session of the user with that password; None, after the same time, when it is wrong or there is no such
    user. `idle`: seconds that the session lasts unused."""
    with ops.db.reading() as conn:
        known = accounts.get_account(conn, username)
    if not password_fits(known.password if known else None, password) or known is None:
        # What was given as a name may be a password that went into the wrong field: only names of users are kept.
        record_failure(ops, "wrong password" if known else "unknown user", known.username if known else None)
        return None
    better = hash_password(password, username) if is_outdated(known.password or "") else known.password
    with ops.db.transaction() as conn:
        account = accounts.get_account(conn, username, lock=True)
        if account is None or not account.active or account.password != known.password:
            record(conn, dataclasses.replace(ops, by=NOBODY), "login.failed", subject=username, detail="not active")
            return None
        if better is not None and better != known.password:
            accounts.set_password(conn, username, better)
        return begin_session(conn, ops, account, idle, "by password")


def log_in_by_link(ops: Ops, code: str, idle: float) -> LoggedIn | None:
    """Begin a session by a one-time code, which is used up by it; None when it is wrong, used or too old."""
    with ops.db.transaction() as conn:
        link = find_credential(conn, LINK, code, ops.now())
        # Of two who use it at once, one deletes it.
        account = None
        if link is not None and credentials.delete_credential(conn, LINK, link.id):
            account = accounts.get_account(conn, link.username, lock=True)
        if account is not None and account.active:
            return begin_session(conn, ops, account, idle, "by link")
    record_failure(ops, "a link that is wrong, used or too old")
    return None


def begin_session(conn: Any, ops: Ops, account: AccountRow, idle: float, how: str) -> LoggedIn:
    """Begin a session, under a new id each time. The transaction is the caller's."""
    now = ops.now()
    made: Made = make_credential(
        conn, SESSION, account.username, name=how, created_at=now, used_at=now, expires_at=_until(now, now, idle)
    )
    accounts.set_last_login(conn, account.username, now)
    record(conn, dataclasses.replace(ops, by=account.username), "login", detail=how)
    return LoggedIn(account=account, secret=made.text, session=made.row)


def record_failure(ops: Ops, why: str, username: str | None = None) -> None:
    """Record that somebody could not log in."""
    with ops.db.transaction() as conn:
        record(conn, dataclasses.replace(ops, by=NOBODY), "login.failed", subject=username, detail=why)


def identify(ops: Ops, kind: str, text: str, idle: float) -> Identity | None:
    """Whom a session's secret or a token proves; None when it is wrong, expired or revoked, or its user not active.

    A session that is used lasts on: `idle` seconds from now.
    """
    now = ops.now()
    with ops.db.reading() as conn:
        row = find_credential(conn, kind, text, now)
        account = None if row is None else accounts.get_account(conn, row.username)
    if row is None or account is None or not account.active:
        return None
    if row.used_at is None or now - row.used_at >= _RENEWAL:
        if kind == SESSION:
            row = msgspec.structs.replace(row, expires_at=_until(now, row.created_at, idle))
        # One who only reads can do so while nothing can be written.
        with contextlib.suppress(StoreError), ops.db.transaction() as conn:
            credentials.renew(conn, row.id, now, row.expires_at)
    return identity_of(account, row)


def identity_of(account: AccountRow, row: CredentialRow) -> Identity:
    """Whom a credential of an account proves."""
    return Identity(
        username=account.username,
        display_name=account.display_name or account.username,
        role=account.role,
        grants=account.grants,
        ceiling=row.role,
        dags=row.dags,
        kind=row.kind,
        credential=row.id,
        expires_at=row.expires_at,
    )


def has_password(ops: Ops, username: str) -> bool:
    """Whether that user can log in by a password."""
    with ops.db.reading() as conn:
        account = accounts.get_account(conn, username)
    return account is not None and account.password is not None


def log_out(ops: Ops, identity: Identity) -> None:
    """End a session."""
    with ops.db.transaction() as conn:
        if credentials.delete_credential(conn, SESSION, identity.credential):
            record(conn, ops, "logout")


def change_own_password(ops: Ops, identity: Identity, old: str | None, new: str) -> bool:
    """Change the password of who is logged in, and end all of their other sessions; False when `old` is wrong.

    Raises InvalidRequest when the new one is too easy to guess, or they log in elsewhere.
    """
    with ops.db.reading() as conn:
        known = accounts.get_account(conn, identity.username)
    if known is None:
        return False
    if known.identity is not None and known.password is None:
        raise InvalidRequest("you log in with your provider: there is no password here to change")
    if known.password is not None and not password_fits(known.password, old or ""):
        record_failure(ops, "wrong password at a change of it", known.username)
        return False
    hashed = hash_password(new, known.username)
    with ops.db.transaction() as conn:
        account = accounts.get_account(conn, identity.username, lock=True)
        if account is None or account.password != known.password:
            return False
        accounts.set_password(conn, identity.username, hashed)
        credentials.delete_credentials_of(conn, identity.username, (SESSION, LINK), but=identity.credential)
        record(conn, ops, "user.password", subject=identity.username)
    return True


def _until(now: float, began: float, idle: float) -> float:
    return min(now + idle, began + LONGEST_SESSION)
