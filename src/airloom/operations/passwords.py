"""Hashes of passwords: argon2id, with the memory and the passes that OWASP asks for at least."""

import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from airloom.model.errors import InvalidRequest

SHORTEST, LONGEST = 12, 1000

#: 19 MiB and two passes: 20 to 40 ms on one core
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
#: How many are worked out at once in a process: a flood of logins must not take its memory and its cores.
_at_once = threading.BoundedSemaphore(2)


def hash_password(password: str, username: str) -> str:
    """The text to be stored for a password. Raises InvalidRequest when it is too easy to guess."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidRequest(f"a password has {SHORTEST} to {LONGEST} characters; several words make a good one")
    if len(set(password)) < 5 or password.casefold() == username.casefold():
        raise InvalidRequest("that password is easy to guess; several words make a good one")
    with _at_once:
        return _hasher.hash(_bytes(password))


def password_fits(stored: str | None, password: str) -> bool:
    """Whether `password` is the one that was stored. It takes as long when nothing was stored (None)."""
    nobody = _nobody()
    try:
        with _at_once:
            return _hasher.verify(stored or nobody, _bytes(password)) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(stored: str) -> bool:
    """Whether a stored hash was made with other parameters than are used now."""
    return _hasher.check_needs_rehash(stored)


@cache
def _nobody() -> str:
    return _hasher.hash("the password of nobody")


def _bytes(password: str) -> bytes:
    # JSON can carry halves of surrogate pairs, which are no UTF-8.
    return password.encode("utf-8", "surrogatepass")
