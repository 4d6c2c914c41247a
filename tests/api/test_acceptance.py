"""What a runner tells is untrusted: nothing of it gets to the scheduler that no database can hold."""

from typing import Any

import msgspec
import pytest

from airloom.api.remote.acceptance import acceptable
from airloom.model.report import Cause, Ended, HandedBack, Outcome, Started, TryKey, XComValue

KEY = TryKey(7, 1)
END = Ended(key=KEY, at=1.0, outcome=Outcome.SUCCESS, exit_code=0, map_length=3)


def test_what_makes_sense_stays_as_it_is() -> None:
    full = msgspec.structs.replace(END, started_at=0.5, xcoms=(XComValue(key="k", value=b"1"),), host="h", pid=4)
    assert acceptable(full, 100, 2.0) == full


@pytest.mark.parametrize(
    "odd",
    [
        {"exit_code": 2**40},
        {"signal": -(2**31)},
        {"map_length": -1},
        {"map_length": 2**63},
        {"xcoms": (XComValue(key="a\0b", value=b"1"),)},
        {"xcoms": (XComValue(key="k" * 251, value=b"1"),)},
    ],
)
def test_an_end_that_no_database_can_hold_fails_its_try(odd: dict[str, Any]) -> None:
    taken = acceptable(msgspec.structs.replace(END, **odd), 100, 2.0)
    assert isinstance(taken, Ended)
    assert taken == Ended(key=KEY, at=1.0, outcome=Outcome.FAILED, cause=Cause.RESULT, detail=taken.detail)
    assert taken.detail


def test_what_a_runner_says_of_itself_is_made_fit() -> None:
    start = Started(key=KEY, at=1.0, runner="r\0" * 999, host="h" * 999, pid=2**40, token="t")
    fit = Started(key=KEY, at=1.0, runner="r\ufffd" * 125, host="h" * 250, pid=0)
    assert acceptable(start, 100, 2.0) == fit
    back = HandedBack(key=KEY, at=-5.0, detail="a\0b", token="t")
    assert acceptable(back, 100, 2.0) == HandedBack(key=KEY, at=2.0, detail="a\ufffdb")
