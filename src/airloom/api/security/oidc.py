"""OpenID Connect: the authorization code flow with PKCE, as a client of one provider."""

import hmac
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from airloom.api.security.provider import Begun
from airloom.operations.provider_login import LoginRefused
from airloom.sections import OidcSection

T = TypeVar("T")

#: signatures that are believed: none that a holder of the provider's public key could make
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
_TIMEOUT = 10.0
#: seconds for which the provider's document and keys are kept
_KEPT = 3600.0
#: seconds between two looks for a key that is not among them
_KEYS_AGAIN = 30.0
#: seconds by which clocks may differ
_LEEWAY = 60


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider tells of itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _Keys(msgspec.Struct, frozen=True, kw_only=True):
    keys: list[dict[str, Any]]


class _Tokens(msgspec.Struct, frozen=True, kw_only=True):
    id_token: str
    access_token: str = ""


class OpenIdProvider:
    """The provider that the settings name (provider.Provider)."""

    def __init__(self, section: OidcSection, clock: Callable[[], float] = time.monotonic) -> None:
        self._section = section
        self._clock = clock
        self._lock = threading.Lock()
        self._document: tuple[float, _Document] | None = None
        self._keys: tuple[float, KeySet] | None = None

    def begin(self, redirect_uri: str, path: str, now: float) -> tuple[str, Begun]:
        """Where to send the browser, and what it has to come back with. Raises LoginRefused."""
        begun = Begun(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            path=path,
            at=now,
        )
        challenge = urlsafe_b64encode(sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._section.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._section.scopes),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = self._discover().authorization_endpoint
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}", begun

    def finish(self, begun: Begun, code: str, redirect_uri: str) -> dict[str, Any]:
        """The claims about who came back with `code`. Raises LoginRefused."""
        document = self._discover()
        tokens = self._redeem(document, begun, code, redirect_uri)
        claims = self._checked(document, tokens.id_token, begun.nonce)
        wanted = {self._section.username_claim, self._section.role_claim.partition(".")[0]}
        if document.userinfo_endpoint and tokens.access_token and not wanted <= claims.keys():
            more = self._user_info(document.userinfo_endpoint, tokens.access_token)
            # Information about somebody else must not be mixed in.
            if more.get("sub") == claims["sub"]:
                claims = more | claims
        return claims

    def _discover(self) -> _Document:
        with self._lock:
            if self._document is None or self._clock() - self._document[0] > _KEPT:
                issuer = self._section.issuer
                address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
                document = _decoded(self._call("GET", address), _Document)
                if document.issuer.rstrip("/") != issuer.rstrip("/"):
                    raise LoginRefused("failed", f"{address} is the document of another issuer: {document.issuer!r}")
                self._document = (self._clock(), document)
            return self._document[1]

    def _redeem(self, document: _Document, begun: Begun, code: str, redirect_uri: str) -> _Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": begun.verifier,
        }
        client_id, secret = self._section.client_id, self._section.client_secret
        basic = None
        if secret and "client_secret_basic" in document.token_endpoint_auth_methods_supported:
            # RFC 6749 wants both encoded like the fields of a form.
            basic = httpx.BasicAuth(quote_plus(client_id), quote_plus(secret))
        else:
            form |= {"client_id": client_id} | ({"client_secret": secret} if secret else {})
        return _decoded(self._call("POST", document.token_endpoint, data=form, auth=basic), _Tokens)

    def _checked(self, document: _Document, id_token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token that is this provider's, for us, of now, and for this login."""
        try:
            claims = self._decoded_token(document, id_token)
            jwt.JWTClaimsRegistry(
                leeway=_LEEWAY,
                iss={"essential": True, "value": document.issuer},
                aud={"essential": True, "value": self._section.client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
            ).validate(claims)
        except (JoseError, ValueError) as error:
            raise LoginRefused("failed", f"the provider's ID token is not valid: {error}") from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._section.client_id) != self._section.client_id:
            raise LoginRefused("failed", "the provider's ID token was made for another client")
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            raise LoginRefused("failed", "the provider's ID token was made for another login")
        return claims

    def _decoded_token(self, document: _Document, id_token: str) -> dict[str, Any]:
        keys, fresh = self._key_set(document, _KEPT)
        try:
            return dict(jwt.decode(id_token, keys, algorithms=_ALGORITHMS).claims)
        except (JoseError, ValueError):
            if fresh:
                raise
        # The provider may have changed its keys.
        keys, _ = self._key_set(document, _KEYS_AGAIN)
        return dict(jwt.decode(id_token, keys, algorithms=_ALGORITHMS).claims)

    def _key_set(self, document: _Document, kept: float) -> tuple[KeySet, bool]:
        """The provider's keys, and whether they were fetched right now because they were older than `kept`."""
        with self._lock:
            if self._keys is not None and self._clock() - self._keys[0] <= kept:
                return self._keys[1], False
            found = _decoded(self._call("GET", document.jwks_uri), _Keys).keys
            keys = KeySet.import_key_set({"keys": found})
            self._keys = (self._clock(), keys)
            return keys, True

    def _user_info(self, endpoint: str, access_token: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {access_token}"}
        return _decoded(self._call("GET", endpoint, headers=headers), dict[str, Any])

    def _call(self, method: str, address: str, **request: Any) -> bytes:
        parts = urlsplit(address)
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(parts.hostname)):
            raise LoginRefused("failed", f"{address} is not https: who logs in could not be believed")
        try:
            answer = httpx.request(method, address, timeout=_TIMEOUT, **request)
        except httpx.HTTPError as error:
            raise LoginRefused("failed", f"the provider does not answer at {address}: {error}") from None
        if answer.status_code != 200:
            # Its text may repeat what was sent; only the error's name is kept.
            raise LoginRefused("failed", f"the provider answered {answer.status_code} at {address}{_error(answer)}")
        return answer.content


def _decoded(content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError as error:
        raise LoginRefused("failed", f"the provider's answer cannot be read: {error}") from None


def _error(answer: httpx.Response) -> str:
    try:
        name = answer.json().get("error")
    except (ValueError, AttributeError):
        return ""
    return f": {name[:100]!r}" if isinstance(name, str) else ""


def _is_this_machine(host: str | None) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")
