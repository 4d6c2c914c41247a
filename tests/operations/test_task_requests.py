"""What a running task may ask for, and that only a live try is answered."""

import dataclasses
from collections.abc import Iterator

import msgspec
import pytest

from airloom.model.errors import AirloomError, InvalidRequest, NotFound
from airloom.model.report import Outcome, TryKey
from airloom.model.wire import GetConnection, GetPreviousRun, GetVariable, GetXCom, SetVariable
from airloom.operations import connections, runs, tasks, variables
from airloom.operations.ops import Ops
from airloom.operations.task_requests import answer
from airloom.sections import Settings
from airloom.store.connections import ConnectionRow
from tests.operations.leading import ended, leading, started


@pytest.fixture
def live(ops: Ops, settings: Settings) -> Iterator[TryKey]:
    """The live try of `join` in a run whose `load` has succeeded; a run before it has ended."""
    with leading(
        settings, lambda work: None if work.run.run_id == "now" and work.task_id == "join" else Outcome.SUCCESS
    ):
        runs.trigger(ops, "flights", run_id="before", logical_date=1000.0)
        ended(ops, "flights", "before")
        runs.trigger(ops, "flights", run_id="now", logical_date=2000.0)
        started(ops, "flights", "now", "join")
        yield TryKey(tasks.get_tis(ops, "flights", "now", "join")[1][0].id, 1)


def test_variables_are_read_set_and_deleted(ops: Ops, live: TryKey) -> None:
    assert answer(ops, live, GetVariable(key="a")) is None
    assert answer(ops, live, SetVariable(key="a", value="1")) is True
    assert answer(ops, live, GetVariable(key="a")) == "1"
    assert answer(dataclasses.replace(ops, env={"AIRLOOM_VAR_A": "2"}), live, GetVariable(key="a")) == "2"
    assert answer(ops, live, SetVariable(key="a", value=None)) is True
    assert answer(ops, live, SetVariable(key="a", value=None)) is False
    with pytest.raises(NotFound):
        variables.get_variable(ops, "a")


def test_a_connection_comes_as_its_fields(ops: Ops, live: TryKey) -> None:
    row = ConnectionRow(conn_id="dwh", conn_type="postgres", password="p")
    connections.add_connection(ops, row)
    assert answer(ops, live, GetConnection(conn_id="dwh")) == msgspec.structs.asdict(row)
    assert answer(ops, live, GetConnection(conn_id="other")) is None


def test_the_previous_run_is_the_one_before_by_logical_date(ops: Ops, live: TryKey) -> None:
    found = answer(ops, live, GetPreviousRun(state="success"))
    assert (found.run_id, found.logical_date) == ("before", 1000.0)
    assert answer(ops, live, GetPreviousRun(state="failed")) is None
    with pytest.raises(InvalidRequest, match="no state of a run"):
        answer(ops, live, GetPreviousRun(state="fine"))


def test_xcoms_that_are_not_there_are_left_out(ops: Ops, live: TryKey) -> None:
    assert answer(ops, live, GetXCom(task_id="load")) == []


def test_only_a_live_try_is_answered(ops: Ops, live: TryKey) -> None:
    ended_try = TryKey(tasks.get_tis(ops, "flights", "now", "load")[1][0].id, 1)
    for key in (ended_try, TryKey(live.ti_id, 2), TryKey(9999, 1)):
        with pytest.raises(AirloomError, match="not running any more"):
            answer(ops, key, GetVariable(key="a"))
