"""Login by OpenID Connect: who the provider says somebody is becomes a user with a role of ours."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from airloom.model.access import Role, role_named
from airloom.model.errors import AirloomError, Rejected
from airloom.operations.auditing import record
from airloom.operations.login import LoggedIn, begin_session, record_failure
from airloom.operations.ops import Ops
from airloom.operations.users import NAME
from airloom.sections import OidcSection
from airloom.store import accounts
from airloom.store.accounts import AccountRow

#: what a login page can say about it; everything more is in the server's log
Reason = Literal["refused", "failed", "expired", "name_taken", "no_role", "not_active"]

_NOT_IN_A_NAME = re.compile(r"[^\w.@+-]+")


class LoginRefused(AirloomError):
    """A login by a provider that came to nothing. Its text is for the log; the login page says `reason` in words."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who the provider says that somebody is. identity: issuer#subject. ranks: whether the provider's groups decide
    the role at each login; otherwise `role` is only the one to begin with."""

    identity: str
    username: str
    display_name: str
    email: str | None
    role: Role | None
    ranks: bool


def person_of(claims: Mapping[str, Any], section: OidcSection) -> Person:
    """The person that a provider's claims tell of. Raises LoginRefused when they do not tell who it is."""
    subject = claims.get("sub")
    name = claims.get(section.username_claim) or claims.get("email") or subject
    if not isinstance(subject, str) or not subject or not isinstance(name, str):
        raise LoginRefused("failed", f"the provider's claims have neither a subject nor {section.username_claim!r}")
    username = _NOT_IN_A_NAME.sub("-", name).strip("-")[:250]
    if not NAME.fullmatch(username):
        raise LoginRefused("failed", f"no user's name can be made of the claim {section.username_claim!r}")
    display_name, email = claims.get("name"), claims.get("email")
    return Person(
        identity=f"{section.issuer}#{subject}",
        username=username,
        display_name=_shown(display_name) or username,
        email=_shown(email),
        role=role_of(claims, section),
        ranks=bool(section.viewers or section.editors or section.operators or section.admins),
    )


def role_of(claims: Mapping[str, Any], section: OidcSection) -> Role | None:
    """The highest role that the groups in the claims give, or the default one."""
    value = claims.get(section.role_claim)
    if value is None:
        value = claims
        for part in section.role_claim.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    groups = {value} if isinstance(value, str) else {group for group in value or () if isinstance(group, str)}
    for role in sorted(Role, reverse=True):
        if not groups.isdisjoint(getattr(section, f"{role.label}s")):
            return role
    return None if section.default_role == "none" else role_named(section.default_role)


def log_in_by_provider(ops: Ops, person: Person, idle: float) -> LoggedIn:
    """Begin a session of that person, who is made a user at their first login. `idle`: seconds that it lasts unused.

    A user of the same name who is not of this identity is never taken over. Raises LoginRefused.
    """
    try:
        try:
            return _log_in(ops, person, idle)
        except Rejected:
            # Their first login came twice at once: the other one has made the user.
            return _log_in(ops, person, idle)
    except LoginRefused as refusal:
        record_failure(ops, f"OpenID Connect: {refusal.reason}", person.username)
        raise


def _log_in(ops: Ops, person: Person, idle: float) -> LoggedIn:
    refusal = None
    with ops.db.transaction() as conn:
        account = accounts.account_of_identity(conn, person.identity)
        if account is None:
            account = _made(conn, ops, person)
        else:
            account = _renewed(conn, ops, account, person)
        if not account.active:
            raise LoginRefused("not_active", f"user {account.username} is not active")
        if account.role is None and not account.grants:
            # The user stays, so that an administrator finds them and can grant them something.
            refusal = LoginRefused("no_role", f"user {account.username} has neither a role nor grants")
        else:
            return begin_session(conn, ops, account, idle, "by OpenID Connect")
    raise refusal


def _made(conn: Any, ops: Ops, person: Person) -> AccountRow:
    namesake = accounts.get_account(conn, person.username)
    if namesake is not None and namesake.identity == person.identity:
        # Another login of theirs has made the user since we looked.
        return namesake
    if namesake is not None:
        raise LoginRefused(
            "name_taken", f"there is a user {person.username} already, who does not log in by this provider's identity"
        )
    account = AccountRow(
        username=person.username,
        display_name=person.display_name,
        email=person.email,
        role=person.role,
        identity=person.identity,
        created_at=ops.now(),
    )
    accounts.add_account(conn, account)
    record(conn, _as(ops, account), "user.add", subject=account.username, detail=f"by OpenID Connect; {_rank(account)}")
    return account


def _renewed(conn: Any, ops: Ops, account: AccountRow, person: Person) -> AccountRow:
    role = person.role if person.ranks else account.role
    changed = msgspec.structs.replace(account, display_name=person.display_name, email=person.email, role=role)
    if changed == account:
        return account
    accounts.change_account(conn, changed)
    if changed.role != account.role:
        record(conn, _as(ops, account), "user.change", subject=account.username, detail=_rank(changed))
    return changed


def _as(ops: Ops, account: AccountRow) -> Ops:
    return dataclasses.replace(ops, by=account.username)


def _rank(account: AccountRow) -> str:
    return f"role {account.role.label if account.role else 'none'}"


def _shown(value: Any) -> str | None:
    return value[:250] if isinstance(value, str) and value.isprintable() else None
