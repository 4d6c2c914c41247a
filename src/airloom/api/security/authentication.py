"""Finds out who sent a request: by its session cookie or by its API token."""

from fastapi import Request

from airloom.api.problems import Refused
from airloom.api.security.cookies import from_elsewhere, has_csrf_token, is_safe, session_secret
from airloom.api.security.known import guards_of
from airloom.api.state import Served
from airloom.model.access import Identity
from airloom.operations.credentials import TOKEN_PREFIX
from airloom.store.credentials import SESSION, TOKEN

#: what every 401 says about how to log in
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Airloom"'}
_BAD_TOKEN = {"WWW-Authenticate": 'Bearer realm="Airloom", error="invalid_token"'}


async def authenticate(request: Request, api: Served) -> Identity | None:
    """Who sent it; None for nobody.

    What was wrong with a token or a session is left as a Refused in `request.state.refused`: to routes that need no
    login it does not matter. Raises Refused for a change that another site's page sent.
    """
    header = request.headers.get("authorization")
    if header is not None:
        return await _by_token(request, api, header)
    if not is_safe(request) and from_elsewhere(request, api):
        raise Refused(403, "Not allowed", "another site's page sent this request: use Airloom's own pages, or a token")
    secret = session_secret(request, api)
    if not secret:
        return None
    identity = await guards_of(request).known.identify(api, SESSION, secret)
    if identity is None:
        request.state.refused = Refused(401, "Nobody is logged in", "your login has ended: log in again", CHALLENGE)
    elif not is_safe(request) and not has_csrf_token(request, secret):
        request.state.refused = Refused(
            403, "Not allowed", "the header X-CSRF-Token is missing or wrong: GET /api/v1/session gives it"
        )
        return None
    return identity


async def _by_token(request: Request, api: Served, header: str) -> Identity | None:
    scheme, _, token = header.partition(" ")
    token = token.strip()
    identity = None
    if scheme.lower() == "bearer" and token.startswith(TOKEN_PREFIX):
        identity = await guards_of(request).known.identify(api, TOKEN, token.removeprefix(TOKEN_PREFIX))
    if identity is None:
        detail = (
            "the API token is wrong, expired or deleted: make another with `airloom tokens add`, and send it as "
            f"`Authorization: Bearer {TOKEN_PREFIX}...`"
        )
        request.state.refused = Refused(401, "Nobody is logged in", detail, _BAD_TOKEN)
    return identity
