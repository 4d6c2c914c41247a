"""Logging in and out, and one's own password."""

import importlib.metadata

from fastapi import APIRouter, Request, Response

from airloom.api.access import By, ops_for
from airloom.api.problems import Refused
from airloom.api.schemas.people import Login, LoginWays, PasswordChange, Session
from airloom.api.security.authentication import CHALLENGE
from airloom.api.security.cookies import csrf_token, drop_session, session_secret, set_session
from airloom.api.security.known import guards_of
from airloom.api.state import Api, Served
from airloom.model.access import Identity
from airloom.model.errors import InvalidRequest
from airloom.operations import login
from airloom.operations.login import LONGEST_SESSION, LoggedIn, identity_of
from airloom.store.credentials import SESSION

router = APIRouter(tags=["session"])


@router.get("/login")
def login_ways(api: Served) -> LoginWays:
    """How one can log in here."""
    return LoginWays(password=True, oidc=api.settings.oidc.name if api.settings.oidc.issuer else None)


@router.post("/session")
def log_in(request: Request, response: Response, body: Login, api: Served) -> Session:
    """Log in by a name and a password, or by the code of a one-time link. The answer sets the session's cookie."""
    with guards_of(request).throttle.turn():
        logged_in = _by_code(request, api, body.code) if body.code else _by_password(request, api, body)
    set_session(request, api, response, logged_in.secret, LONGEST_SESSION)
    account = logged_in.account
    return _session(identity_of(account, logged_in.session), account.has_password, logged_in.secret)


@router.get("/session")
def who_am_i(request: Request, api: Served, caller: By) -> Session:
    """Who is logged in, what they may do, and the CSRF token of their session."""
    identity = caller.identity
    secret = session_secret(request, api) if identity.kind == SESSION else None
    return _session(identity, login.has_password(caller.ops, identity.username), secret)


@router.delete("/session", status_code=204)
def log_out(request: Request, response: Response, api: Served, caller: By) -> None:
    """Log out: the session is over, wherever its cookie is."""
    if caller.identity.kind != SESSION:
        raise InvalidRequest("a token has no session to end: delete the token")
    login.log_out(caller.ops, caller.identity)
    guards_of(request).known.forget()
    drop_session(request, api, response)


@router.put("/session/password", status_code=204)
def change_password(request: Request, caller: By, body: PasswordChange) -> None:
    """Change one's own password. All other sessions of the user end."""
    if caller.identity.kind != SESSION:
        raise Refused(403, "Not allowed", "a token cannot change a password: log in")
    throttle, username, address = guards_of(request).throttle, caller.identity.username, caller.ops.address
    with throttle.turn():
        throttle.attempt(username, address)
        try:
            changed = login.change_own_password(caller.ops, caller.identity, body.old, body.new)
        except InvalidRequest:
            # The old one was right, the new one will not do.
            throttle.succeeded(username, address)
            raise
    if not changed:
        raise InvalidRequest("the old password is wrong")
    throttle.succeeded(username, address)
    guards_of(request).known.forget()


def _by_code(request: Request, api: Api, code: str) -> LoggedIn:
    ops, throttle = ops_for(request, api), guards_of(request).throttle
    throttle.attempt(None, ops.address)
    logged_in = login.log_in_by_link(ops, code, api.settings.api.session)
    if logged_in is None:
        detail = "this link was used already, or is too old: ask for another (`airloom users link NAME` makes one)"
        raise Refused(401, "The link is of no use", detail, CHALLENGE)
    throttle.succeeded(None, ops.address)
    return logged_in


def _by_password(request: Request, api: Api, body: Login) -> LoggedIn:
    if not body.username or not body.password:
        raise InvalidRequest("give either the code of a link, or username and password")
    ops, throttle = ops_for(request, api), guards_of(request).throttle
    throttle.attempt(body.username, ops.address)
    logged_in = login.log_in_by_password(ops, body.username, body.password, api.settings.api.session)
    if logged_in is None:
        raise Refused(401, "The login failed", "the name or the password is wrong", CHALLENGE)
    throttle.succeeded(body.username, ops.address)
    return logged_in


def _session(identity: Identity, has_password: bool, secret: str | None) -> Session:
    return Session.model_validate(
        {
            "username": identity.username,
            "display_name": identity.display_name,
            "role": identity.everywhere,
            "grants": identity.grants,
            "has_password": has_password,
            "kind": identity.kind,
            "csrf_token": None if secret is None else csrf_token(secret),
            "expires_at": identity.expires_at,
            "version": importlib.metadata.version("airloom"),
        }
    )
