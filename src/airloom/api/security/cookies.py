"""The session cookie, the CSRF token that goes with it, and where a request says that it comes from."""

import hmac
from hashlib import sha256

from fastapi import Request, Response

from airloom.api.state import Api

_NAME = "airloom_session"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def base_url(request: Request, api: Api) -> str:
    """The address at which browsers reach this server, without a slash at its end."""
    return (api.settings.api.base_url or str(request.base_url)).rstrip("/")


def is_https(request: Request, api: Api) -> bool:
    """Whether browsers come by https, here or at the proxy before it."""
    return base_url(request, api).startswith("https:")


def session_secret(request: Request, api: Api) -> str | None:
    """What the session cookie holds."""
    return request.cookies.get(_cookie_name(request, api))


def set_session(request: Request, api: Api, response: Response, secret: str, lasts: float) -> None:
    """Give the browser a session's secret. `lasts`: seconds that it keeps it; the server ends sessions by itself."""
    response.set_cookie(
        _cookie_name(request, api),
        secret,
        max_age=int(lasts),
        path="/",
        httponly=True,
        samesite="lax",
        secure=is_https(request, api),
    )


def drop_session(request: Request, api: Api, response: Response) -> None:
    """Have the browser forget the session's secret."""
    secure = is_https(request, api)
    response.delete_cookie(_cookie_name(request, api), path="/", httponly=True, samesite="lax", secure=secure)


def csrf_token(secret: str) -> str:
    """What a page of ours sends along to change something; pages of others cannot read it."""
    return hmac.new(secret.encode(), b"airloom csrf", sha256).hexdigest()


def has_csrf_token(request: Request, secret: str) -> bool:
    """Whether the request carries the token that belongs to its session."""
    given = request.headers.get("x-csrf-token", "")
    return hmac.compare_digest(given.encode("utf-8", "replace"), csrf_token(secret).encode())


def is_safe(request: Request) -> bool:
    """Whether a request changes nothing."""
    return request.method in _SAFE_METHODS


def from_elsewhere(request: Request, api: Api) -> bool:
    """Whether a browser says that another site's page sent the request. Programs that are no browsers say nothing."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("origin")
    if origin is None:
        return False
    # Whatever the scheme: a proxy before this server may speak https to browsers and http to it.
    ours = base_url(request, api).partition("://")[2].partition("/")[0]
    return origin.partition("://")[2] not in {ours, request.headers.get("host")}


def _cookie_name(request: Request, api: Api) -> str:
    # Browsers take a cookie of that prefix only from this very host, and only by https. They keep the cookies of all
    # ports of a host together: without the port, two Airlooms on one machine would log each other out.
    return f"__Host-{_NAME}" if is_https(request, api) else f"{_NAME}_{request.url.port or 80}"
