"""Encryption of what the database keeps secret, so that a copy of the database alone gives no secret away."""

import hmac
from base64 import urlsafe_b64decode
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from airloom.model.errors import Rejected


class Secrets:
    """Encrypts with the first of `keys` and decrypts with any of them, so that a key can be replaced by a new one.

    Raises Rejected when a key is no key: 32 random bytes in URL-safe base64, as `new_key` makes them.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise Rejected("there is no key to encrypt secrets with")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
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
        return self._fernet.encrypt(data)

    def decrypt(self, token: bytes, what: str) -> bytes:
        """The data of a token. `what` names it in the Rejected that is raised when no key fits."""
        try:
            return self._fernet.decrypt(token)
        except InvalidToken:
            raise Rejected(
                f"{what} cannot be decrypted: it was saved with another key than this installation has; "
                "give the old key as well, or set it anew"
            ) from None


def new_key() -> str:
    """A fresh random key."""
    return Fernet.generate_key().decode()
