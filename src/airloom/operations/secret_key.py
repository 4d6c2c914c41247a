"""The key that encrypts variables and connections: a setting, or a file that is made once in the home folder."""

import contextlib
import os
import secrets as random
from base64 import urlsafe_b64encode
from pathlib import Path

from airloom.model.errors import SettingsError
from airloom.sections import Settings
from airloom.store.secrets import Secrets

FILE_NAME = "secret.key"
#: hexadecimal digits that tell keys apart
_FINGERPRINT = 16


def read_secret_keys(settings: Settings) -> list[str]:
    """The key, and after it older ones that still decrypt. Without a setting they come from secret.key, which the first
    caller makes, readable by its user only.

    Raises SettingsError when the file cannot be read or made.
    """
    path = settings.core.home / FILE_NAME
    try:
        text = settings.core.secret_key or _read(path) or _make(path)
    except OSError as error:
        raise SettingsError(
            f"the secret key {path} cannot be read or made: {error.strerror}; correct the rights of its folder, or set "
            "[core] secret_key"
        ) from None
    return text.replace(",", " ").split()


def fingerprints(secrets: Secrets) -> tuple[str, ...]:
    """What each key is known by, and nothing that helps to find it."""
    return tuple(derived.hex()[:_FINGERPRINT] for derived in secrets.derived("fingerprint"))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def _make(path: Path) -> str:
    """Write a new key beside the file and link it into place: whoever comes second gets the first one's key, and a
    process that dies between leaves no half key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{FILE_NAME}.{os.getpid()}.{random.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(urlsafe_b64encode(random.token_bytes(32)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
    return _read(path)
