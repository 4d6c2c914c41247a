"""Keeping secrets out of logs: which texts are secret, and replacing them."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from airloom.model.wire import GetConnection, GetVariable, SetVariable, TaskRequest

MASK = "***"
#: a shorter secret is not masked: it would black out half of the log, and is none
SHORTEST = 4

_SECRET_NAME = re.compile(
    "passw|passphrase|secret|token|api_?key|access_?key|private_?key|authorization|credential|keyfile|service_account",
    re.IGNORECASE,
)
_UNRESERVED = re.compile(r"[^A-Za-z0-9_.~-]")


def is_secret_name(name: str) -> bool:
    """Whether what has this name is to be kept secret."""
    return _SECRET_NAME.search(name) is not None


class Masker:
    """Replaces the secrets that it was told of."""

    def __init__(self) -> None:
        self.longest = 0
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secrets: Iterable[str]) -> None:
        """Mask these from now on, also as they look in a URL, in JSON, and one by one if they have several lines."""
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST} - self._forms
        if forms:
            self._forms |= forms
            by_length = sorted(self._forms, key=len, reverse=True)
            self.longest = max(len(form.encode("utf-8", "replace")) for form in by_length)
            self._pattern = re.compile("|".join(map(re.escape, by_length)))

    def mask(self, text: str) -> str:
        """The text without secrets."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def mask_head(self, text: str, limit: int) -> str:
        """The first `limit` characters of a text, which may have been cut there already, without secrets: half a one
        at the cut goes as well."""
        if len(text) >= limit:
            text = text[: self.safe_cut(text, max(0, limit - self.longest))]
        return self.mask(text)

    def safe_cut(self, text: str, at: int) -> int:
        """The place nearest to `at` where the text can be cut in two without cutting a secret in two."""
        if self._pattern is not None:
            for match in self._pattern.finditer(text):
                if match.start() < at < match.end():
                    return match.start() or match.end()
                if match.start() >= at:
                    break
        return at


def secrets_of(request: TaskRequest, answer: Any) -> Iterator[str]:
    """The secrets in the answer to a task's request."""
    match request:
        case GetVariable(key=key):
            yield from _of_variable(key, answer)
        case SetVariable(key=key, value=value):
            yield from _of_variable(key, value)
        case GetConnection() if isinstance(answer, dict):
            for name, value in answer.items():
                if name == "extra":
                    yield from _inside(value)
                elif is_secret_name(name):
                    yield from _texts(value)


def _of_variable(key: str, value: Any) -> Iterator[str]:
    if is_secret_name(key):
        yield from _texts(value)
    yield from _inside(value)


def _inside(value: Any) -> Iterator[str]:
    """The values under secret-like names in a structure, or in the JSON text of one."""
    if isinstance(value, str):
        if value[:1] not in "{[":
            return
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            return
    if isinstance(value, dict):
        for name, inner in value.items():
            if is_secret_name(str(name)):
                yield from _texts(inner)
            elif not isinstance(inner, str):
                yield from _inside(inner)
    elif isinstance(value, list):
        for inner in value:
            if not isinstance(inner, str):
                yield from _inside(inner)


def _texts(value: Any) -> Iterator[str]:
    """Every text and number in a value that is secret as a whole."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value
        if value[:1] in ("{", "["):
            try:
                yield from _texts(msgspec.json.decode(value))
            except msgspec.DecodeError:
                return
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _forms(secret: str) -> Iterator[str]:
    for line in secret.splitlines() if "\n" in secret else [secret]:
        line = line.strip("\r\n")
        yield line
        yield msgspec.json.encode(line).decode()[1:-1]
        yield _UNRESERVED.sub(lambda match: "".join(f"%{byte:02X}" for byte in match.group().encode()), line)
    if "\n" in secret:
        yield msgspec.json.encode(secret).decode()[1:-1]
