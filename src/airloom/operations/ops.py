"""Ops: what every verb needs to reach the database and the leading scheduler, as data."""

import getpass
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from airloom.model.errors import StoreError
from airloom.operations.catalogue import Catalogue
from airloom.operations.log_store import LogPlaces, places_of
from airloom.operations.secret_key import read_secret_keys
from airloom.sections import Settings
from airloom.store.database import Database, connect
from airloom.store.notify import Notifier, notifier
from airloom.store.revision import check
from airloom.store.secrets import Secrets


def user_name() -> str:
    """Who runs this process, as far as the operating system knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@dataclass(frozen=True)
class Ops:
    """What a verb works with.

    secrets: called only by verbs that need the key, so that the others work without it.
    env: where variables and connections are looked for first. answer_timeout: seconds to wait for the leading
    scheduler's answer to a command. by, via, address: who asks, by what (cli, api, task) and from where; the audit log
    keeps it. catalogue: what was read of dag versions before. logs: where logs are beside the database.
    """

    db: Database
    notifier: Notifier
    secrets: Callable[[], Secrets]
    now: Callable[[], float] = time.time
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    answer_timeout: float = 10.0
    by: str = field(default_factory=user_name)
    via: str = "cli"
    address: str | None = None
    catalogue: Catalogue = field(default_factory=Catalogue, repr=False, compare=False)
    logs: LogPlaces = field(default_factory=LogPlaces)


def wake_path(settings: Settings) -> Path:
    """The socket at which a scheduler on SQLite hears that there is news."""
    return settings.core.home / "scheduler.wake"


def make_ops(settings: Settings, db: Database) -> Ops:
    """Ops on a database that is connected already. Its notifier is the caller's to close."""
    return Ops(
        db=db,
        notifier=notifier(db, wake_path(settings)),
        secrets=cache(lambda: Secrets(read_secret_keys(settings))),
        answer_timeout=settings.scheduler.answer_timeout,
        logs=places_of(settings),
    )


@contextmanager
def open_ops(settings: Settings) -> Iterator[Ops]:
    """Ops on the database that the settings name. Raises StoreError when it cannot be used as it is."""
    db = connect(settings.database.url)
    try:
        if db.path is not None and not db.path.exists():
            raise StoreError(f"there is no database at {db.path} yet: `airloom standalone` makes it when it starts")
        check(db)
        ops = make_ops(settings, db)
        with closing(ops.notifier):
            yield ops
    finally:
        db.close()
