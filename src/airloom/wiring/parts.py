"""What every role is put together from: the home, the database's operations, the executors, the settings of runners."""

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from airloom.decide.state import WorldConfig
from airloom.executors.base import Executor
from airloom.executors.celery.remnant import Remnant
from airloom.executors.celery.settings import CelerySettings
from airloom.executors.local import LocalExecutor
from airloom.executors.sequential import sequential_executor
from airloom.executors.settings import LocalSettings
from airloom.model.bundles import Bundle
from airloom.operations.cluster import OpsCluster
from airloom.operations.ops import Ops
from airloom.operations.task_requests import answer
from airloom.sections import Settings
from airloom.store.database import Database
from airloom.store.leadership import database_id
from airloom.wiring.process import runner_settings, with_celery, with_extra

#: executors whose runner is beside the scheduler, and knows no task API
ON_THIS_MACHINE = ("local", "sequential")


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
    kubernetes: Settings | None = None,
) -> dict[str, Executor]:
    """The configured executors, started. celery, kubernetes None: what goes to workers elsewhere, or into pods, runs on
    this machine. Raises SettingsError."""
    return {name: _make_executor(name, local, ops, wake, celery, kubernetes) for name in names}


def _make_executor(
    name: str,
    local: LocalSettings,
    ops: Ops,
    wake: Callable[[], None],
    celery: CelerySettings | None,
    kubernetes: Settings | None,
) -> Executor:
    if name == "sequential":
        return sequential_executor(local, partial(answer, ops), wake)
    if name == "celery" and celery is not None:
        module = with_celery("airloom.executors.celery.executor", "the executor celery")
        executor: Executor = module.CeleryExecutor(celery, OpsCluster(ops, name), wake)
        return executor
    if name == "kubernetes" and kubernetes is not None:
        with_extra("airloom.executors.kubernetes.executor", "the executor kubernetes", "kubernetes")
        wired = importlib.import_module("airloom.wiring.kubernetes")
        pods: Executor = wired.kubernetes_executor(kubernetes, local, OpsCluster(ops, name), wake)
        return pods
    # A worker of this home has its runner under the executor's own name.
    own = name if name in ON_THIS_MACHINE else f"{name}.here"
    return LocalExecutor(msgspec.structs.replace(local, name=own), partial(answer, ops), wake)


def remnant_of(ops: Ops, name: str) -> Remnant | None:
    """What watches over tries of an executor that is not configured any more; None for one of this machine."""
    return None if name in ON_THIS_MACHINE else Remnant(name, OpsCluster(ops, name))


def migrating() -> Any:
    """The migrations, with the large library that runs them: few processes ever need it."""
    return importlib.import_module("airloom.store.migrate")
