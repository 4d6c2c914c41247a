"""The sequential executor: the local one, one try at a time."""

from collections.abc import Callable

import msgspec

from airloom.executors.base import AnswerTask
from airloom.executors.local import LocalExecutor
from airloom.executors.settings import LocalSettings


def sequential_executor(settings: LocalSettings, answer: AnswerTask, wake: Callable[[], None]) -> LocalExecutor:
    """A local executor that takes one try at a time, whatever `settings.parallelism` says."""
    return LocalExecutor(msgspec.structs.replace(settings, name="sequential", parallelism=1), answer, wake)
