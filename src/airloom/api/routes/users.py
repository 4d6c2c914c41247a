"""Users, for administrators."""

from fastapi import APIRouter, Request

from airloom.api.access import By, Caller
from airloom.api.idempotency import Repeat
from airloom.api.paging import Cursor, Limit, decode_cursor, encode_cursor
from airloom.api.schemas.base import Page
from airloom.api.schemas.people import GrantText, LoginLink, User, UserNew, UserPatch
from airloom.api.security.known import guards_of
from airloom.model.access import Grant, role_named
from airloom.model.errors import Conflict, InvalidRequest
from airloom.operations import users
from airloom.operations.users import UserChange

router = APIRouter(tags=["users"])


@router.get("/users")
def list_users(caller: By, limit: Limit = 100, cursor: Cursor = None) -> Page[User]:
    """Users by name."""
    rows = users.list_users(caller.ops, decode_cursor(cursor, str), limit + 1)
    following = encode_cursor(rows[limit - 1].username) if len(rows) > limit else None
    return Page(items=[User.model_validate(row) for row in rows[:limit]], next=following)


@router.post("/users", status_code=201)
def add_user(caller: By, body: UserNew, repeat: Repeat) -> User:
    """Make a user."""
    return repeat.once(body, User, lambda since: _add(caller, body, since))


def _add(caller: Caller, body: UserNew, since: float | None) -> User:
    """since: the same was asked for then, and may have been done."""
    values = body.model_dump(exclude_unset=True, exclude={"username", "role", "grants"})
    if values.get("password", "") is None:
        del values["password"]
    first = UserChange(**values, role=None if body.role is None else role_named(body.role), grants=_grants(body.grants))
    try:
        row = users.add_user(caller.ops, body.username, first)
    except Conflict:
        row = users.get_user(caller.ops, body.username)
        if since is None or row.created_at < since:
            raise
    return User.model_validate(row)


@router.get("/users/{username}")
def get_user(caller: By, username: str) -> User:
    """A user."""
    return User.model_validate(users.get_user(caller.ops, username))


@router.patch("/users/{username}")
def change_user(request: Request, caller: By, username: str, body: UserPatch) -> User:
    """Change a user. A new password, or not being active any more, ends what they are logged in with."""
    if body.no_role and body.role is not None:
        raise InvalidRequest("give either a role or no_role")
    values = body.model_dump(exclude_none=True, exclude={"role", "no_role", "grants"})
    if body.no_role:
        values["role"] = None
    elif body.role is not None:
        values["role"] = role_named(body.role)
    if body.grants is not None:
        values["grants"] = _grants(body.grants)
    row = users.change_user(caller.ops, username, UserChange(**values))
    guards_of(request).known.forget()
    return User.model_validate(row)


@router.delete("/users/{username}", status_code=204)
def delete_user(request: Request, caller: By, username: str) -> None:
    """Delete a user with their sessions and tokens."""
    users.delete_user(caller.ops, username)
    guards_of(request).known.forget()


@router.post("/users/{username}/link")
def make_link(caller: By, username: str) -> LoginLink:
    """Make a link that logs the user in, once. Those that were made before are void."""
    link = users.make_link(caller.ops, username)
    return LoginLink.model_validate({"path": link.path, "expires_at": link.expires_at})


def _grants(grants: list[GrantText]) -> tuple[Grant, ...]:
    return tuple(Grant(pattern=grant.pattern, role=role_named(grant.role)) for grant in grants)
