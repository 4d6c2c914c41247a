"""Whether a try that failed is followed by another one, and when."""

import hashlib
import math
from typing import NamedTuple

from airloom.model.report import FINAL, FREE, INFRASTRUCTURE, Cause
from airloom.model.spec import TaskSpec

#: Seconds before the next try when a try was lost through no fault of the task's: at once, then with patience, so that
#: a machine in trouble does not use up the budget within a second.
INFRASTRUCTURE_DELAYS = (0.0, 10.0, 60.0)
#: Seconds before a try is made again whose code could not be had: at once, for another machine may have it, then with
#: patience, the last of them again and again; and after how many times in a row it is given up, some 5 hours.
CODE_PAUSES = (0.0, 15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 900.0)
CODE_TIMES = 24
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
    if cause in FREE:
        return Verdict(0.0, tries._replace(allowed=tries.allowed + 1))
    if cause in INFRASTRUCTURE:
        if tries.infrastructure >= infrastructure_budget:
            return Verdict(None, tries)
        delay = INFRASTRUCTURE_DELAYS[min(tries.infrastructure, len(INFRASTRUCTURE_DELAYS) - 1)]
        return Verdict(delay, Tries(tries.number, tries.allowed + 1, tries.infrastructure + 1))
    if tries.number > tries.allowed:
        return Verdict(None, tries)
    # Each try that cost nothing has raised what is allowed by one.
    own_failures = max(1, tries.number - (tries.allowed - task.retries))
    return Verdict(retry_delay(task, own_failures, f"{seed}#{tries.number}"), tries)


def code_pause(times: int) -> float | None:
    """Seconds to wait after a TI's code could not be had so many times in a row; None: no longer."""
    return None if times >= CODE_TIMES else CODE_PAUSES[min(times, len(CODE_PAUSES)) - 1]


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
