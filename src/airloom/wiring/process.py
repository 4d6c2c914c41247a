"""What a process of any role begins with, and all that a worker does: its home, its log, what a runner and the broker
are told. Nothing here knows the database."""

import importlib
import logging
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airloom.executors.celery.settings import CelerySettings
from airloom.executors.settings import LocalSettings
from airloom.model.bundles import Bundle, GitBundle, LocalBundle
from airloom.model.errors import SettingsError, StoreError
from airloom.model.spec import Isolation
from airloom.sections import Settings

#: the bundle of a file elsewhere that is run by itself
FILE_BUNDLE = "file"


def runner_settings(settings: Settings, home: Path, bundles: Mapping[str, Bundle], owner: str = "") -> LocalSettings:
    """What a runner is told. owner: the database whose tries it runs."""
    local, runner = settings.local, settings.runner
    return LocalSettings(
        home=str(home),
        owner=owner,
        bundles={name: bundle.path for name, bundle in bundles.items() if isinstance(bundle, LocalBundle)},
        repositories={name: bundle for name, bundle in bundles.items() if isinstance(bundle, GitBundle)},
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


def with_celery(module: str, what: str) -> Any:
    """A module that needs Celery, which is large, an extra, and of use to those only who have a broker. Raises
    SettingsError if it is not installed."""
    return with_extra(module, what, "celery")


def with_extra(module: str, what: str, extra: str) -> Any:
    """A module that needs what comes with one of the extras. Raises SettingsError if that is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("airloom"):
            raise
        raise SettingsError(
            f"{what} needs more packages, {error.name} is missing: pip install 'airloom[{extra}]'"
        ) from None


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


def find_folders(settings: Settings) -> None:
    """The folders of DAG files are there, or a SettingsError says so. The one in the home folder is made."""
    for bundle in settings.bundles.values():
        if isinstance(bundle, LocalBundle):
            folder = Path(bundle.path)
            if folder == settings.core.home / "dags" and not folder.exists():
                folder.mkdir()
            if not folder.is_dir():
                what = "is a file" if folder.exists() else "does not exist"
                raise SettingsError(f"the folder of DAG files {folder} {what}")


def log_to_stderr(**others: int) -> None:
    """The daemons' own log: plain lines with time and level. `others`: libraries that write there, too, from a level
    on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s", "%H:%M:%S"))
    for name, level in {"airloom": logging.INFO, **others}.items():
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
