"""API tokens: one's own, and for administrators everybody's."""

from fastapi import APIRouter, Request

from airloom.api.access import By, Caller
from airloom.api.paging import Cursor, Limit, decode_cursor, encode_cursor
from airloom.api.problems import Refused
from airloom.api.schemas.base import Page
from airloom.api.schemas.people import Token, TokenNew, TokenSecret
from airloom.api.security.known import guards_of
from airloom.model.access import Role, role_named
from airloom.operations import credentials
from airloom.store.credentials import SESSION

router = APIRouter(tags=["tokens"])


@router.get("/tokens")
def list_tokens(caller: By, limit: Limit = 100, cursor: Cursor = None) -> Page[Token]:
    """One's own API tokens; an administrator sees everybody's."""
    rows = credentials.list_tokens(caller.ops, _owner(caller), decode_cursor(cursor, str), limit + 1)
    following = encode_cursor(rows[limit - 1].id) if len(rows) > limit else None
    return Page(items=[Token.model_validate(row) for row in rows[:limit]], next=following)


@router.post("/tokens", status_code=201)
def make_token(caller: By, body: TokenNew) -> TokenSecret:
    """Make an API token for oneself. Only this answer has its secret."""
    if caller.identity.kind != SESSION:
        # What is narrowed or expires must not make what is not and does not.
        raise Refused(403, "Not allowed", "a token cannot make another token: log in")
    made = credentials.make_token(
        caller.ops,
        caller.identity.username,
        body.name,
        role=None if body.role is None else role_named(body.role),
        dags=None if body.dags is None else tuple(body.dags),
        days=body.days,
    )
    return TokenSecret(**Token.model_validate(made.row).model_dump(), token=made.text)


@router.delete("/tokens/{token_id}", status_code=204)
def delete_token(request: Request, caller: By, token_id: str) -> None:
    """Delete an API token; it is refused from then on."""
    if caller.identity.kind != SESSION and token_id != caller.identity.credential:
        raise Refused(403, "Not allowed", "a token can delete itself alone: log in")
    credentials.delete_token(caller.ops, token_id, _owner(caller))
    guards_of(request).known.forget()


def _owner(caller: Caller) -> str | None:
    """Whose tokens the caller may know of; None: everybody's."""
    return None if caller.may(Role.ADMIN) else caller.identity.username
