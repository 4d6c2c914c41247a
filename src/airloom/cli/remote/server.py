"""A server elsewhere: requests with a token, errors as those of the verbs, pages as one list, times as seconds."""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from airloom.model.errors import AirloomError, Conflict, InvalidRequest, NoAnswer, NotFound, SettingsError

_PREFIX = "/api/v1"
_TIMEOUT = 30.0
_PAGE = 1000
_ERRORS: dict[int, type[AirloomError]] = {404: NotFound, 409: Conflict, 422: InvalidRequest, 503: NoAnswer}


class Server:
    """What a remote verb works with, in the place of operations' Ops."""

    def __init__(self, address: str, token: str | None) -> None:
        """Nothing is asked yet. Raises SettingsError for an address that is none, or without a token."""
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise SettingsError(f"the server {address!r} is no address such as https://airloom.example.org")
        if not token:
            raise SettingsError(
                f"a token is needed to work on {address}: make one there (account menu, API tokens) and put it into "
                "the environment variable AIRLOOM_TOKEN"
            )
        self.address = address.rstrip("/")
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "airloom"}
        self._client = httpx.Client(base_url=self.address + _PREFIX, headers=headers, timeout=_TIMEOUT)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def now(self) -> float:
        """The time here, seconds since the epoch."""
        return time.time()

    def get(self, path: str, **query: Any) -> Any:
        """What is there. `query`: what is None is left out. Raises as `send` does."""
        return self.send("GET", path, query=query)

    def pages(self, path: str, limit: int | None = None, **query: Any) -> Iterator[Any]:
        """The items of a list, however many pages it has; at most `limit`."""
        left = limit
        cursor = None
        while left is None or left > 0:
            page = self.get(path, limit=_PAGE if left is None else min(left, _PAGE), cursor=cursor, **query)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return
            left = None if left is None else left - len(page["items"])

    def send(self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> Any:
        """Do something there; the answer's JSON, or None if it has none.

        Raises NotFound, Conflict, InvalidRequest or NoAnswer as the verb does there, and AirloomError when the server
        cannot be reached, or refuses the token.
        """
        wanted = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            answer = self._client.request(method, path, json=body, params=wanted)
        except httpx.HTTPError as error:
            why = f"{error or type(error).__name__}"
            if "CERTIFICATE_VERIFY_FAILED" in why:
                why += "; to trust a certificate of your own, name its file in the environment variable SSL_CERT_FILE"
            raise AirloomError(f"{self.address} cannot be reached: {why}") from None
        if answer.is_success:
            return self._read(answer) if answer.content else None
        raise _ERRORS.get(answer.status_code, AirloomError)(self._why(answer))

    def _read(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise AirloomError(
                f"{self.address} answered with what is no JSON: is it an Airloom server, and is the path right?"
            ) from None

    def _why(self, answer: httpx.Response) -> str:
        try:
            detail = str(answer.json()["detail"])
        except (ValueError, KeyError, TypeError):
            return f"{self.address} answered {answer.status_code} {answer.reason_phrase}: is it an Airloom server?"
        return f"{self.address} refuses: {detail}" if answer.status_code in (401, 403) else detail


def path_of(*parts: object) -> str:
    """A path of parts that may hold anything."""
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def seconds(text: str | None) -> float | None:
    """Seconds since the epoch of a time as the API writes it."""
    return None if text is None else datetime.fromisoformat(text).timestamp()
