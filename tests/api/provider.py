"""A small OpenID Connect provider, as the protocol says: a document, keys, codes for challenges, tokens, user info."""

import hmac
import json
import secrets
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "airloom", "a client's secret: / % +"


class TestProvider:
    """Whoever comes is logged in as `person`. A test changes what it gives."""

    __test__ = False

    def __init__(self) -> None:
        self.issuer = ""
        self.person: dict[str, Any] = {"sub": "42", "preferred_username": "ada", "name": "Ada", "groups": ["data"]}
        self.user_info: dict[str, Any] | None = None
        self.basic = True
        #: changes the claims of an ID token before it is signed
        self.claims: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
        #: makes the ID token
        self.sign: Callable[[dict[str, Any]], str] = self._sign
        #: changes the document
        self.document: dict[str, Any] = {}
        self.key = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})
        self.calls: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}

    def app(self) -> Starlette:
        """The provider's application."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._document),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/keys", self._keys),
                Route("/me", self._me),
            ]
        )

    async def _document(self, request: Request) -> Response:
        self.calls.append("document")
        methods = ["client_secret_basic"] if self.basic else ["client_secret_post"]
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "token_endpoint_auth_methods_supported": methods,
        }
        if self.user_info is not None:
            document["userinfo_endpoint"] = f"{self.issuer}/me"
        return JSONResponse(document | self.document)

    async def _authorize(self, request: Request) -> Response:
        query = dict(request.query_params)
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        answer = urlencode({"code": code, "state": query["state"], "iss": self.issuer})
        return RedirectResponse(f"{query['redirect_uri']}?{answer}", status_code=302)

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if self.basic:
            name, _, secret = b64decode(request.headers["authorization"].removeprefix("Basic ")).decode().partition(":")
            form |= {"client_id": unquote_plus(name), "client_secret": unquote_plus(secret)}
        if (form["client_id"], form["client_secret"]) != (CLIENT, SECRET):
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        query = self._codes.pop(form["code"], None)
        challenge = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if query is None or challenge != query["code_challenge"] or form["redirect_uri"] != query["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": query["nonce"]}
        id_token = self.sign(self.claims(claims | self.person))
        return JSONResponse({"access_token": "an access token", "token_type": "Bearer", "id_token": id_token})

    async def _keys(self, request: Request) -> Response:
        self.calls.append("keys")
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def _me(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer an access token"
        return JSONResponse(self.user_info)

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)


def unsigned(claims: dict[str, Any]) -> str:
    """A token that says it needs no signature."""
    return f"{_part({'alg': 'none'})}.{_part(claims)}."


def signed_by_public_key(provider: TestProvider, claims: dict[str, Any]) -> str:
    """A token that is signed with the provider's public key, as if that were a secret."""
    signed = f"{_part({'alg': 'HS256', 'kid': provider.key.kid})}.{_part(claims)}"
    mac = hmac.new(provider.key.as_pem(private=False), signed.encode(), sha256).digest()
    return f"{signed}.{_text(mac)}"


def _part(value: dict[str, Any]) -> str:
    return _text(json.dumps(value).encode())


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
