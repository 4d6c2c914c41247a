"""Explain: asked of the leader where there is one, worked out from the database where there is none."""

import pytest

from airloom.decide.state import WorldConfig
from airloom.model.errors import NotFound
from airloom.model.reasons import ReasonKind
from airloom.operations import runs
from airloom.operations.explain import explain
from airloom.operations.ops import Ops
from airloom.sections import Settings
from tests.operations.leading import ended, leading, never_end, started

CONFIG = WorldConfig()


def kinds(ops: Ops, dag_id: str, run_id: str, task_id: str) -> list[ReasonKind]:
    [one] = explain(ops, dag_id, run_id, task_id, config=CONFIG)
    assert (one.dag_id, one.task_id) == (dag_id, task_id)
    return [reason.kind for reason in one.reasons]


def test_the_leader_names_what_a_task_waits_for(ops: Ops, settings: Settings) -> None:
    with leading(settings, never_end):
        runs.trigger(ops, "flights", run_id="r")
        started(ops, "flights", "r", "load")
        assert kinds(ops, "flights", "latest", "load") == [ReasonKind.RUNNING]
        assert ReasonKind.UPSTREAM in kinds(ops, "flights", "latest", "report")


def test_without_a_scheduler_that_is_the_first_reason_and_the_others_follow(ops: Ops, settings: Settings) -> None:
    with leading(settings, never_end):
        runs.trigger(ops, "weather", run_id="r")
    found = kinds(ops, "weather", "r", "fetch")
    assert found[0] is ReasonKind.NO_SCHEDULER
    assert ReasonKind.PAUSED in found
    assert ReasonKind.CAPACITY not in found


def test_a_task_of_a_run_that_has_ended_has_ended(ops: Ops, settings: Settings) -> None:
    with leading(settings):
        runs.trigger(ops, "flights", run_id="r")
        ended(ops, "flights", "r")
        assert kinds(ops, "flights", "r", "load") == [ReasonKind.FINISHED]


def test_unknown_names_are_told(ops: Ops, settings: Settings) -> None:
    with leading(settings):
        runs.trigger(ops, "flights", run_id="r")
    with pytest.raises(NotFound, match="did you mean load"):
        explain(ops, "flights", "r", "laod", config=CONFIG)
    with pytest.raises(NotFound, match="no map index 7"):
        explain(ops, "flights", "r", "load", 7, config=CONFIG)
