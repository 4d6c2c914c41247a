"""Encryption of what the database keeps secret, so that a copy of the database alone gives no secret away."""

import hmac
import importlib
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from typing import Any

from airloom.model.errors import Rejected


def _cryptography() -> Any:
    """The library, 7 MB, is loaded when the first secret is touched."""
    return importlib.import_module("cryptography.fernet")


class Secrets:
    """Encrypts with the first of `keys` and decrypts with any of them, so that a key can be replaced by a new one.

    Raises Rejected when a key is no key: 32 random bytes in URL-safe base64, as `new_key` makes them.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise Rejected("there is no key to encrypt secrets with")
        try:
            library = _cryptography()
            self._fernet = library.MultiFernet([library.Fernet(key) for key in keys])
        except ValueError:
            raise Rejected(
                "the key for secrets is not valid: it must be 32 random bytes in URL-safe base64 (44 characters)"
            ) from None
        self._keys = tuple(urlsafe_b64decode(key) for key in keys)

    def derived(self, label: str) -> tuple[bytes, ...]:
        """A key for another purpose, which `label` names, from each key: the first is to be used, any may still hold.
        None of them tells anything of another one."""
        return tuple(hmac.digest(key, label.encode(), "sha256") for key in self._keys)

    def encrypt(self, data: bytes) -> bytes:
        """`data` as a token."""
        token: bytes = self._fernet.encrypt(data)
        return token

    def decrypt(self, token: bytes, what: str) -> bytes:
        """The data of a token. `what` names it in the Rejected that is raised when no key fits."""
        try:
            data: bytes = self._fernet.decrypt(token)
        except _cryptography().InvalidToken:
            raise Rejected(
                f"{what} cannot be decrypted: it was saved with another key than this installation has; "
                "give the old key as well, or set it anew"
            ) from None
        return data


def new_key() -> str:
    """A fresh random key."""
    key: bytes = _cryptography().Fernet.generate_key()
    return key.decode()
