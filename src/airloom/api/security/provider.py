"""The provider of OpenID Connect as the routes see it; oidc.py talks to a real one."""

from typing import Any, Protocol

import msgspec


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A login that has begun, as the browser keeps it, encrypted, while its user is at the provider. at: epoch seconds;
    path: the page to go to in the end."""

    state: str
    nonce: str
    verifier: str
    path: str
    at: float


class Provider(Protocol):
    """One provider. Any thread may use it."""

    def begin(self, redirect_uri: str, path: str, now: float) -> tuple[str, Begun]:
        """Where to send the browser, and what it has to come back with. Raises LoginRefused."""

    def finish(self, begun: Begun, code: str, redirect_uri: str) -> dict[str, Any]:
        """The claims about who came back with `code`. Raises LoginRefused."""
