"""Whether a try that failed is followed by another one, and when."""

import hashlib
import math
from typing import NamedTuple

from airloom.model.report import FINAL, INFRASTRUCTURE, Cause
from airloom.model.spec import TaskSpec

#: Without a limit of its own, a growing delay stops growing here, as in Airflow.
MAX_DELAY = 24 * 3600.0


class Tries(NamedTuple):
    """Where a TI stands: see TIRow."""

    number: int
    allowed: int
    infrastructure: int


class Verdict(NamedTuple):
    """retry_after: seconds to the next try, None for no other. `tries`: the TI's counts after this failure."""

    retry_after: float | None
    tries: Tries


def after_failure(task: TaskSpec, cause: Cause | None, tries: Tries, infrastructure_budget: int, seed: str) -> Verdict:
    """What follows a failed try. `seed` names the TI: the spread of growing delays is made from it, the same each time.

    A cause that is not the task's fault spends the infrastructure budget and none of the task's retries.
    """
    if cause in FINAL:
        return Verdict(None, tries)
    if cause in INFRASTRUCTURE:
        if tries.infrastructure >= infrastructure_budget:
            return Verdict(None, tries)
        return Verdict(0.0, Tries(tries.number, tries.allowed + 1, tries.infrastructure + 1))
    if tries.number > tries.allowed:
        return Verdict(None, tries)
    own_failures = tries.number - tries.infrastructure
    return Verdict(retry_delay(task, own_failures, f"{seed}#{tries.number}"), tries)


def retry_delay(task: TaskSpec, failures: int, seed: str) -> float:
    """Seconds to wait after the n-th failure of a task's own.

    With backoff: the delay times multiplier^(n-1), spread by a hash over [delay, 2 x delay), at most max_retry_delay or
    a day (Airflow's rule).
    """
    if not task.retry_exponential_backoff:
        return task.retry_delay
    cap = MAX_DELAY if task.max_retry_delay is None else task.max_retry_delay
    try:
        low = max(1, math.ceil(task.retry_delay * task.retry_exponential_backoff ** (failures - 1)))
    except OverflowError:
        return cap
    spread = int.from_bytes(hashlib.sha1(seed.encode(), usedforsecurity=False).digest(), "big") % low
    return min(float(low + spread), cap)
