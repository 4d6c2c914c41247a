"""The 13 trigger rules: how many upstream TIs ended how -> what becomes of the task.

One small function per rule, in `RULES`. The meanings are Airflow 3's: shared vocabulary of the field, described in
docs/authoring.md. Every rule decides once all upstream TIs are done, so that no run can hang on a rule.
"""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from airloom.model.spec import TriggerRule


class Verdict(Enum):
    """What a rule says."""

    WAIT = 0
    RUN = 1
    SKIP = 2
    FAIL = 3  # the task becomes upstream_failed


class Counts(NamedTuple):
    """Upstream TIs by how they ended, and how many there are. A mapped upstream task counts once per map index."""

    success: int
    skipped: int
    failed: int
    upstream_failed: int
    removed: int
    total: int

    @property
    def done(self) -> int:
        """How many have ended."""
        return self.success + self.skipped + self.failed + self.upstream_failed + self.removed

    @property
    def bad(self) -> int:
        """How many failed, or could not run because something before them failed."""
        return self.failed + self.upstream_failed

    @property
    def over(self) -> bool:
        """Whether all have ended."""
        return self.done >= self.total


_WAIT, _RUN, _SKIP, _FAIL = Verdict.WAIT, Verdict.RUN, Verdict.SKIP, Verdict.FAIL


def _all_success(c: Counts) -> Verdict:
    if c.bad:
        return _FAIL
    if c.skipped:
        return _SKIP
    return _RUN if c.over else _WAIT


def _all_failed(c: Counts) -> Verdict:
    if c.success or c.skipped:
        return _SKIP
    return _RUN if c.over else _WAIT


def _all_done(c: Counts) -> Verdict:
    return _RUN if c.over else _WAIT


def _all_done_min_one_success(c: Counts) -> Verdict:
    if c.skipped:
        return _SKIP
    if not c.over:
        return _WAIT
    return _RUN if c.success else _FAIL


def _one_success(c: Counts) -> Verdict:
    if c.success:
        return _RUN
    if not c.over:
        return _WAIT
    return _FAIL if c.bad else _SKIP


def _one_failed(c: Counts) -> Verdict:
    if c.bad:
        return _RUN
    return _SKIP if c.over else _WAIT


def _one_done(c: Counts) -> Verdict:
    if c.success or c.failed:
        return _RUN
    return _SKIP if c.over else _WAIT


def _none_failed(c: Counts) -> Verdict:
    if c.bad:
        return _FAIL
    return _RUN if c.over else _WAIT


def _none_failed_min_one_success(c: Counts) -> Verdict:
    if c.bad:
        return _FAIL
    if not c.over:
        return _WAIT
    return _RUN if c.success else _SKIP


def _none_skipped(c: Counts) -> Verdict:
    if c.skipped:
        return _SKIP
    return _RUN if c.over else _WAIT


def _all_skipped(c: Counts) -> Verdict:
    if c.success or c.bad:
        return _SKIP
    return _RUN if c.over else _WAIT


def _always(c: Counts) -> Verdict:
    return _RUN


Rule = Callable[[Counts], Verdict]

RULES: dict[TriggerRule, Rule] = {
    TriggerRule.ALL_SUCCESS: _all_success,
    TriggerRule.ALL_FAILED: _all_failed,
    TriggerRule.ALL_DONE: _all_done,
    TriggerRule.ALL_DONE_MIN_ONE_SUCCESS: _all_done_min_one_success,
    # Without setup tasks, which the sdk does not let through yet, this is all_done.
    TriggerRule.ALL_DONE_SETUP_SUCCESS: _all_done,
    TriggerRule.ONE_SUCCESS: _one_success,
    TriggerRule.ONE_FAILED: _one_failed,
    TriggerRule.ONE_DONE: _one_done,
    TriggerRule.NONE_FAILED: _none_failed,
    TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: _none_failed_min_one_success,
    TriggerRule.NONE_SKIPPED: _none_skipped,
    TriggerRule.ALL_SKIPPED: _all_skipped,
    TriggerRule.ALWAYS: _always,
}

#: What a rule waits for, for people.
NEEDS: dict[TriggerRule, str] = {
    TriggerRule.ALL_SUCCESS: "all upstream tasks to succeed",
    TriggerRule.ALL_FAILED: "all upstream tasks to fail",
    TriggerRule.ALL_DONE: "all upstream tasks to end",
    TriggerRule.ALL_DONE_MIN_ONE_SUCCESS: "all upstream tasks to end, one of them in success",
    TriggerRule.ALL_DONE_SETUP_SUCCESS: "all upstream tasks to end and a setup to succeed",
    TriggerRule.ONE_SUCCESS: "one upstream task to succeed",
    TriggerRule.ONE_FAILED: "one upstream task to fail",
    TriggerRule.ONE_DONE: "one upstream task to end",
    TriggerRule.NONE_FAILED: "all upstream tasks to end, none of them failed",
    TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: "all upstream tasks to end, none failed and one in success",
    TriggerRule.NONE_SKIPPED: "all upstream tasks to end, none of them skipped",
    TriggerRule.ALL_SKIPPED: "all upstream tasks to be skipped",
    TriggerRule.ALWAYS: "nothing",
}
