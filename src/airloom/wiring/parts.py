"""What every role is put together from: the home, the database's operations, the executors, the settings of runners."""

import importlib
import logging
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from airloom.decide.state import WorldConfig
from airloom.executors.base import Executor
from airloom.executors.celery.settings import CelerySettings
from airloom.executors.local import LocalExecutor
from airloom.executors.sequential import sequential_executor
from airloom.executors.settings import LocalSettings
from airloom.model.errors import StoreError
from airloom.model.spec import Isolation
from airloom.operations.ops import Ops, wake_path
from airloom.operations.secret_key import read_secret_keys
from airloom.operations.task_requests import answer
from airloom.sections import Settings
from airloom.store.database import Database
from airloom.store.leadership import database_id
from airloom.store.notify import notifier
from airloom.store.secrets import Secrets

#: the bundle of [core] dags_folder
DAGS_BUNDLE = "dags"


def world_config(settings: Settings, *, schedules: bool = True, foreground: str | None = None) -> WorldConfig:
    """What the scheduler's decisions depend on."""
    core = settings.core
    return WorldConfig(
        executors=core.executors,
        parallelism=core.parallelism,
        infrastructure_retries=core.infrastructure_retries,
        max_map_length=core.max_map_length,
        schedules=schedules,
        foreground=foreground,
    )


def local_settings(settings: Settings, db: Database, home: Path, bundles: Mapping[str, Path]) -> LocalSettings:
    """What the local executor and its runner are told."""
    with db.reading() as conn:
        owner = database_id(conn)
    local, runner = settings.local, settings.runner
    return LocalSettings(
        home=str(home),
        owner=owner,
        bundles={name: str(root) for name, root in bundles.items()},
        parallelism=local.parallelism,
        isolation=Isolation(local.isolation),
        grace=local.grace,
        import_timeout=runner.import_timeout,
        orphan_timeout=runner.orphan_timeout,
        zygote_limit=runner.zygote_limit,
        memory_limit=local.memory_limit or None,
        log_limit=runner.log_max_bytes,
        xcom_limit=settings.xcom.max_size,
        heartbeat=runner.heartbeat,
    )


def celery_settings(settings: Settings) -> CelerySettings:
    """The broker, as the Celery executor, its workers and Flower are told of it."""
    celery = settings.celery
    return CelerySettings(
        url=celery.broker,
        options=celery.broker_options,
        queue_type=celery.queue_type,
        prefix=celery.prefix,
        tls_ca=celery.tls_ca,
        tls_certificate=celery.tls_certificate,
        tls_key=celery.tls_key,
    )


def make_executors(
    names: tuple[str, ...], local: LocalSettings, ops: Ops, wake: Callable[[], None]
) -> dict[str, Executor]:
    """The configured executors, started."""
    kinds = {"local": LocalExecutor, "sequential": sequential_executor}
    return {name: kinds[name](local, partial(answer, ops), wake) for name in names}


def make_home(home: Path) -> None:
    """The home folder is there and can be written to, or a StoreError says what is wrong."""
    try:
        # Its own user's: the database and the logs in it tell what tasks do.
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise StoreError(
            f"the home folder {home} cannot be written to: {error.strerror}; correct its rights, or set "
            "AIRLOOM_HOME to another folder"
        ) from None


def make_ops(settings: Settings, db: Database) -> Ops:
    """Operations on a database that is connected already."""
    return Ops(
        db=db,
        notifier=notifier(db, wake_path(settings)),
        secrets=cache(lambda: Secrets(read_secret_keys(settings))),
        answer_timeout=settings.scheduler.answer_timeout,
    )


def log_to_stderr() -> None:
    """The daemons' own log: plain lines with time and level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s", "%H:%M:%S"))
    root = logging.getLogger("airloom")
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    root.propagate = False


def migrating() -> Any:
    """The migrations, with the large library that runs them: few processes ever need it."""
    return importlib.import_module("airloom.store.migrate")
