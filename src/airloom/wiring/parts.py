"""What every role is put together from: the home, the database's operations, the executors, the settings of runners."""

import importlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec

from airloom.decide.state import WorldConfig
from airloom.executors.base import Executor
from airloom.executors.celery.settings import CelerySettings
from airloom.executors.local import LocalExecutor
from airloom.executors.sequential import sequential_executor
from airloom.executors.settings import LocalSettings
from airloom.model.bundles import Bundle
from airloom.operations.cluster import OpsCluster
from airloom.operations.log_store import places_of
from airloom.operations.ops import Ops, wake_path
from airloom.operations.secret_key import read_secret_keys
from airloom.operations.task_requests import answer
from airloom.sections import Settings
from airloom.store.database import Database
from airloom.store.leadership import database_id
from airloom.store.notify import notifier
from airloom.store.secrets import Secrets
from airloom.wiring.process import runner_settings, with_celery


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


def local_settings(settings: Settings, db: Database, home: Path, bundles: Mapping[str, Bundle]) -> LocalSettings:
    """What the local executor and its runner are told."""
    with db.reading() as conn:
        owner = database_id(conn)
    return runner_settings(settings, home, bundles, owner)


def make_executors(
    names: tuple[str, ...],
    local: LocalSettings,
    ops: Ops,
    wake: Callable[[], None],
    celery: CelerySettings | None = None,
) -> dict[str, Executor]:
    """The configured executors, started. celery None: what goes to workers elsewhere runs on this machine."""
    return {name: _make_executor(name, local, ops, wake, celery) for name in names}


def _make_executor(
    name: str, local: LocalSettings, ops: Ops, wake: Callable[[], None], celery: CelerySettings | None
) -> Executor:
    if name == "sequential":
        return sequential_executor(local, partial(answer, ops), wake)
    if name == "celery" and celery is not None:
        module = with_celery("airloom.executors.celery.executor", "the executor celery")
        executor: Executor = module.CeleryExecutor(celery, OpsCluster(ops, name), wake)
        return executor
    # A worker of this home has its runner under the executor's own name.
    own = f"{name}.here" if name == "celery" else name
    return LocalExecutor(msgspec.structs.replace(local, name=own), partial(answer, ops), wake)


def make_ops(settings: Settings, db: Database) -> Ops:
    """Operations on a database that is connected already."""
    return Ops(
        db=db,
        notifier=notifier(db, wake_path(settings)),
        secrets=cache(lambda: Secrets(read_secret_keys(settings))),
        answer_timeout=settings.scheduler.answer_timeout,
        logs=places_of(settings),
    )


def migrating() -> Any:
    """The migrations, with the large library that runs them: few processes ever need it."""
    return importlib.import_module("airloom.store.migrate")
