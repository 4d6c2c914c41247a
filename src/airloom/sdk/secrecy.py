"""Which names promise a secret, so that the value is kept out of the logs."""

from airloom.sdk.client import current_client

#: a name that holds one of these, in capitals or not, is that of a secret
SECRET_WORDS = (
    "access_key",
    "access_token",
    "api_key",
    "apikey",
    "authorization",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "secret",
    "token",
)


def is_secret(name: str) -> bool:
    """Whether a value of this name is to be hidden."""
    lowered = name.lower()
    return any(word in lowered for word in SECRET_WORDS)


def mask(value: object) -> None:
    """Hide a text in all log lines from now on; anything else, and a text too short to be a secret, is left."""
    if isinstance(value, str) and len(value) > 2:
        current_client().mask(value)
