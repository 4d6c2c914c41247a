"""Hashes of passwords: argon2id, with the memory and the passes that OWASP asks for at least."""

import importlib
import threading
from functools import cache
from typing import Any

from airloom.model.errors import InvalidRequest

SHORTEST, LONGEST = 12, 1000

#: How many are worked out at once in a process: a flood of logins must not take its memory and its cores.
_at_once = threading.BoundedSemaphore(2)


@cache
def _hasher() -> Any:
    """19 MiB and two passes: 20 to 40 ms on one core. The library, 4 MB, is loaded when the first password comes."""
    return importlib.import_module("argon2").PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_password(password: str, username: str) -> str:
    """The text to be stored for a password. Raises InvalidRequest when it is too easy to guess."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidRequest(f"a password has {SHORTEST} to {LONGEST} characters; several words make a good one")
    if len(set(password)) < 5 or password.casefold() == username.casefold():
        raise InvalidRequest("that password is easy to guess; several words make a good one")
    with _at_once:
        hashed: str = _hasher().hash(_bytes(password))
        return hashed


def password_fits(stored: str | None, password: str) -> bool:
    """Whether `password` is the one that was stored. It takes as long when nothing was stored (None)."""
    nobody = _nobody()
    wrong = importlib.import_module("argon2.exceptions")
    try:
        with _at_once:
            return bool(_hasher().verify(stored or nobody, _bytes(password))) and stored is not None
    except (wrong.VerificationError, wrong.InvalidHashError):
        return False


def is_outdated(stored: str) -> bool:
    """Whether a stored hash was made with other parameters than are used now."""
    return bool(_hasher().check_needs_rehash(stored))


@cache
def _nobody() -> str:
    hashed: str = _hasher().hash("the password of nobody")
    return hashed


def _bytes(password: str) -> bytes:
    # JSON can carry halves of surrogate pairs, which are no UTF-8.
    return password.encode("utf-8", "surrogatepass")
