"""Logging in by OpenID Connect: to the provider, and back from it."""

import hmac
import logging
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse

from airloom.api.access import ops_for
from airloom.api.problems import Refused
from airloom.api.security.cookies import base_url, is_https, set_session
from airloom.api.security.known import guards_of
from airloom.api.security.provider import Begun, Provider
from airloom.api.state import Api, Served
from airloom.model.errors import StoreError
from airloom.operations.login import LONGEST_SESSION, record_failure
from airloom.operations.provider_login import LoginRefused, log_in_by_provider, person_of

log = logging.getLogger("airloom.api")

router = APIRouter(tags=["session"])

_COOKIE = "airloom_oidc"
_PATH = "/api/v1/session/oidc"
#: seconds that somebody may take at the provider
_LASTS = 600.0
_REDIRECTS: dict[int | str, dict[str, Any]] = {303: {"description": "To another page."}}

Text = Annotated[str | None, Query(max_length=4000)]


@router.get("/session/oidc", status_code=303, response_class=RedirectResponse, responses=_REDIRECTS)
def go_to_provider(
    request: Request,
    api: Served,
    to: Annotated[str, Query(max_length=2000, alias="next", description="The page to go to after the login.")] = "/",
) -> RedirectResponse:
    """Send the browser to the OpenID Connect provider."""
    provider = _provider(request)
    try:
        with guards_of(request).throttle.turn():
            address, begun = provider.begin(_callback(request, api), to if _is_here(to) else "/", api.now())
    except LoginRefused as refusal:
        return _back(refusal)
    response = RedirectResponse(address, status_code=303)
    response.set_cookie(
        _COOKIE,
        api.ops.secrets().encrypt(msgspec.json.encode(begun)).decode(),
        max_age=int(_LASTS),
        path=_PATH,
        httponly=True,
        samesite="lax",
        secure=is_https(request, api),
    )
    return response


@router.get("/session/oidc/callback", status_code=303, response_class=RedirectResponse, responses=_REDIRECTS)
def come_from_provider(
    request: Request, api: Served, code: Text = None, state: Text = None, error: Text = None
) -> RedirectResponse:
    """Where the provider sends the browser back to. It goes on to the page that was wanted, or to the login page, whose
    `refused` says why."""
    provider, ops = _provider(request), ops_for(request, api)
    try:
        begun = _begun(request, api, state)
        if error is not None or code is None:
            raise LoginRefused("refused", f"the provider refused: {(error or 'it sent no code')[:100]!r}")
        with guards_of(request).throttle.turn():
            claims = provider.finish(begun, code, _callback(request, api))
        person = person_of(claims, api.settings.oidc)
    except LoginRefused as refusal:
        record_failure(ops, f"OpenID Connect: {refusal.reason}")
        return _back(refusal)
    try:
        logged_in = log_in_by_provider(ops, person, api.settings.api.session)
    except LoginRefused as refusal:
        return _back(refusal)
    response = RedirectResponse(begun.path, status_code=303)
    response.delete_cookie(_COOKIE, path=_PATH)
    set_session(request, api, response, logged_in.secret, LONGEST_SESSION)
    return response


def _provider(request: Request) -> Provider:
    provider = guards_of(request).provider
    if provider is None:
        raise Refused(
            404, "Not found", "there is no login by OpenID Connect here: the settings [oidc] name no provider"
        )
    return provider


def _callback(request: Request, api: Api) -> str:
    return f"{base_url(request, api)}{_PATH}/callback"


def _begun(request: Request, api: Api, state: str | None) -> Begun:
    """The login that this browser has begun and now comes back from."""
    kept = request.cookies.get(_COOKIE)
    try:
        if not kept or state is None:
            raise LoginRefused("expired", "a login came back to a browser that had not begun it, or too late")
        begun = msgspec.json.decode(api.ops.secrets().decrypt(kept.encode(), "the login"), type=Begun)
    except (StoreError, msgspec.MsgspecError):
        raise LoginRefused("expired", "the cookie of the login is none of ours") from None
    if not hmac.compare_digest(begun.state.encode(), state.encode()):
        raise LoginRefused("expired", "a login came back that is not the one that this browser has begun")
    if api.now() - begun.at > _LASTS:
        raise LoginRefused("expired", "the login took too long at the provider")
    return begun


def _back(refusal: LoginRefused) -> RedirectResponse:
    log.warning("a login by OpenID Connect was refused: %s", refusal)
    return RedirectResponse(f"/login?refused={refusal.reason}", status_code=303)


def _is_here(path: str) -> bool:
    """Whether it is a page of ours. Browsers take a second slash, or a backslash, for the beginning of a host."""
    return path.startswith("/") and path[1:2] not in ("/", "\\") and path.isprintable()
