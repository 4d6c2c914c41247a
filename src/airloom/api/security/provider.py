"""The provider of OpenID Connect as the routes see it; its client is imported only where one is set."""

import importlib
from typing import Any, Protocol

import msgspec

from airloom.settings import OidcSection


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


def make_provider(section: OidcSection) -> Provider | None:
    """The provider that the settings name, if they name one."""
    if not section.issuer:
        return None
    # An HTTP client and signatures take 7 MB that most installations have no use for.
    provider: Provider = importlib.import_module("airloom.api.security.oidc").OpenIdProvider(section)
    return provider
