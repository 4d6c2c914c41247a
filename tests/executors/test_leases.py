"""What executor and runner owe each other: leases, acknowledgements, cancels; with a runner that the test plays."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from airloom.executors import local
from airloom.executors.local import LocalExecutor, LocalSettings
from airloom.model.report import Cause, Ended, HandedBack, Outcome, Started
from airloom.model.wire import Ack, CancelTries, Heartbeat, Submit
from airloom.model.work import Cancel, RunInfo, Work
from tests.executors.rig import Rig, keys
from tests.executors.stand_in import StandIn


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


@pytest.fixture
def runner(rig: Rig) -> Iterator[StandIn]:
    settings = LocalSettings(home=str(rig.home), bundles={}, parallelism=0, grace=0.1)
    runner = StandIn(settings)
    rig.start(partial(LocalExecutor, settings))
    yield runner
    runner.close()
    rig.executor.close(0)


def success(work: Work) -> Ended:
    return Ended(key=work.key, at=2.0, outcome=Outcome.SUCCESS)


def submitted(rig: Rig, runner: StandIn, count: int) -> list[Work]:
    """Tries that the runner was given."""
    works = [rig.work("d") for _ in range(count)]
    runner.greet()
    rig.executor.adopt([])
    marker = rig.work("d")  # goes out with the first message, whether that is the greeting's or another
    rig.submit(*works, marker)
    heard: set[object] = set()
    while marker.key not in heard:
        heard |= keys(runner.hear(Submit).works)
    runner.report(success(marker))
    rig.end(marker)
    return works


def test_what_is_missing_from_two_heartbeats_is_lost_and_told_once(rig: Rig, runner: StandIn):
    begun, waiting, kept = submitted(rig, runner, 3)
    runner.report(Started(key=begun.key, at=1.0))
    for _ in range(4):
        runner.say(Heartbeat(live=(kept.key,)))
    for work in (begun, waiting):
        ended = rig.end(work)
        assert (ended.outcome, ended.cause) == (Outcome.FAILED, Cause.LOST)
        assert "does not know of it any more" in (ended.detail or "")
    runner.report(success(kept))
    assert rig.end(kept).outcome is Outcome.SUCCESS
    assert [len(rig.told(Ended, work)) for work in (begun, waiting, kept)] == [1, 1, 1]


def test_a_heartbeat_that_crossed_a_submission_loses_nothing(rig: Rig, runner: StandIn):
    (work,) = submitted(rig, runner, 1)
    for live in ((), (work.key,), (), (work.key,)):
        runner.say(Heartbeat(live=live))
    runner.report(success(work))
    assert rig.end(work).outcome is Outcome.SUCCESS


def test_a_try_whose_end_is_still_to_be_told_is_not_lost(rig: Rig, runner: StandIn):
    (work,) = submitted(rig, runner, 1)
    runner.greet(pending=(work.key,))
    for _ in range(3):
        runner.say(Heartbeat(live=()))
    runner.report(success(work))
    assert rig.end(work).outcome is Outcome.SUCCESS


def test_what_a_heartbeat_has_and_nobody_wants_is_ended(rig: Rig, runner: StandIn):
    submitted(rig, runner, 0)
    stranger = rig.work("d")
    runner.say(Heartbeat(live=(stranger.key,)))
    assert keys(runner.hear(CancelTries).cancels) == {stranger.key}


def test_an_acknowledgement_that_was_lost_is_repeated_to_the_same_runner(rig: Rig, runner: StandIn):
    works = submitted(rig, runner, 1)
    runner.report(success(works[0]))
    rig.end(works[0])
    rig.executor.poll()
    assert runner.hear(Ack).seq >= 1
    runner.greet()
    assert runner.hear(Ack).seq == 2


def test_what_was_cancelled_before_the_runner_got_it_is_never_submitted(rig: Rig, runner: StandIn):
    (work,) = submitted(rig, runner, 1)
    runner.drop()  # suppose that the submission was lost with the connection
    rig.executor.cancel([Cancel(key=work.key, executor="", reason="enough")])
    runner.greet()
    ended = rig.end(work)
    assert (ended.cause, ended.detail) == (Cause.CANCELLED, "enough")
    other = rig.work("d")
    rig.submit(other)
    assert keys(runner.hear(Submit).works) == {other.key}


def test_what_was_cancelled_and_then_died_with_its_runner_has_ended_as_it_was_to(rig: Rig, runner: StandIn):
    (work,) = submitted(rig, runner, 1)
    rig.executor.cancel([Cancel(key=work.key, executor="", reason="enough")])
    runner.hear(CancelTries)
    runner.greet("r2")
    assert rig.end(work).cause is Cause.CANCELLED


def test_what_was_given_up_because_the_runner_was_slow_is_ended_when_it_comes(
    rig: Rig, runner: StandIn, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(local, "_ADOPT_TIMEOUT", 0.0)
    work = rig.work("d")
    assert rig.executor.adopt([work.key]) == set()
    runner.greet(live=(work.key,))
    assert keys(runner.hear(CancelTries).cancels) == {work.key}


def test_adopt_ends_what_it_holds_and_is_no_longer_wanted(rig: Rig, runner: StandIn):
    wanted, unwanted = submitted(rig, runner, 2)
    assert rig.executor.adopt([wanted.key]) == {wanted.key}
    assert keys(runner.hear(CancelTries).cancels) == {unwanted.key}
    runner.report(Ended(key=unwanted.key, at=2.0, outcome=Outcome.FAILED, cause=Cause.CANCELLED))
    assert rig.end(unwanted).cause is Cause.STOPPED


def test_adopting_nothing_ends_everything_and_does_not_wait(rig: Rig, runner: StandIn):
    waiting = rig.work("d")
    rig.submit(waiting)
    assert rig.executor.adopt(()) == set()  # no runner has come yet
    works = submitted(rig, runner, 2)
    assert rig.executor.adopt(()) == set()
    assert keys(runner.hear(CancelTries).cancels) == keys(works)


def test_works_are_submitted_in_messages_of_a_moderate_size(rig: Rig, runner: StandIn):
    submitted(rig, runner, 0)
    run = RunInfo(run_id="r", run_type="manual", run_after=0.0, conf={"text": "x" * 1_500_000})
    works = [rig.work("d", run=run) for _ in range(5)]
    rig.submit(*works)
    heard: list[int] = []
    while sum(heard) < 5:
        heard.append(len(runner.hear(Submit).works))
    assert max(heard) <= 2


def test_a_work_that_is_too_large_to_send_fails_with_a_sentence_and_harms_no_other(
    rig: Rig, runner: StandIn, monkeypatch: pytest.MonkeyPatch
):
    submitted(rig, runner, 0)
    monkeypatch.setattr(local, "MAX_PAYLOAD", 100_000)
    monkeypatch.setattr(local, "_BATCH_BYTES", 100_000)
    run = RunInfo(run_id="r", run_type="manual", run_after=0.0, conf={"text": "x" * 200_000})
    large, small = rig.work("d", run=run), rig.work("d")
    rig.submit(large, small)
    assert keys(runner.hear(Submit).works) == {small.key}
    ended = rig.end(large)
    assert ended.cause is Cause.LAUNCH
    assert "conf" in (ended.detail or "")


def test_a_work_with_a_number_that_cannot_be_sent_fails_and_harms_no_other(rig: Rig, runner: StandIn):
    submitted(rig, runner, 0)
    run = RunInfo(run_id="r", run_type="manual", run_after=0.0, conf={"n": 2**64})
    odd, good = rig.work("d", run=run), rig.work("d")
    rig.submit(odd, good)
    assert keys(runner.hear(Submit).works) == {good.key}
    ended = rig.end(odd)
    assert ended.cause is Cause.LAUNCH
    assert "number" in (ended.detail or "")


def test_what_the_runner_did_not_end_before_it_was_gone_is_told_as_stopped(rig: Rig, runner: StandIn):
    (work,) = submitted(rig, runner, 1)
    runner.close = lambda: None  # type: ignore[method-assign] -- closed here
    runner.drop()
    rig.executor.close(0)
    assert rig.end(work).cause is Cause.STOPPED


def test_work_that_comes_when_the_executor_has_closed_is_not_given_back(rig: Rig, runner: StandIn):
    submitted(rig, runner, 0)
    runner.drop()
    rig.executor.close(0)
    late = rig.work("d")
    rig.submit(late)
    assert rig.executor.poll() == []
    assert rig.told(HandedBack, late) == []
