"""How the end of a process becomes the end of a try."""

import signal

import pytest

from airloom.model.report import Cause, Outcome
from airloom.runtime.endings import Kill, judge
from airloom.runtime.messages import Result

DONE = Result(1, Outcome.SUCCESS)


def test_a_result_counts_with_exit_status_zero():
    ending = judge(0, DONE, None, False)
    assert (ending.outcome, ending.cause, ending.result) == (Outcome.SUCCESS, None, DONE)


def test_a_result_does_not_count_if_the_process_crashed_then():
    ending = judge(signal.SIGSEGV, DONE, None, False)
    assert (ending.outcome, ending.cause, ending.result) == (Outcome.FAILED, Cause.SIGNAL, None)
    assert ending.detail == "its process crashed with SIGSEGV, after the task had returned"


def test_an_exit_without_a_result_is_a_failure_even_with_status_zero():
    ending = judge(0, None, None, False)
    assert (ending.outcome, ending.cause, ending.exit_code) == (Outcome.FAILED, Cause.EXIT, 0)


@pytest.mark.parametrize(
    ("status", "oom", "cause"),
    [
        (3 << 8, False, Cause.EXIT),
        (signal.SIGKILL, False, Cause.KILLED),
        (signal.SIGKILL, True, Cause.OOM),
        (signal.SIGTERM, True, Cause.KILLED),
        (signal.SIGABRT, False, Cause.SIGNAL),
        (signal.SIGBUS | 0x80, False, Cause.SIGNAL),
        (None, False, Cause.KILLED),
    ],
)
def test_the_cause_is_told_by_the_status(status: int | None, oom: bool, cause: Cause):
    assert judge(status, None, None, oom).cause is cause


def test_an_end_that_we_wanted_has_our_cause():
    kill = Kill(Cause.TIMEOUT, "it ran too long")
    ending = judge(signal.SIGTERM, None, kill, False)
    assert (ending.cause, ending.detail, ending.signal) == (Cause.TIMEOUT, "it ran too long", signal.SIGTERM)


def test_an_end_that_had_to_be_forced_says_so():
    kill = Kill(Cause.CANCELLED, "enough", forced=True)
    assert judge(signal.SIGKILL, None, kill, True).detail == "enough; it did not heed SIGTERM and was killed"
