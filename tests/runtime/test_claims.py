"""What a runner has been handed and may not start yet."""

from collections.abc import Collection

from airloom.model.report import TryKey
from airloom.model.run import RunType
from airloom.model.wire import Claim, Claimed, Refusal
from airloom.model.work import RunInfo, Work
from airloom.runtime.claims import Claims

A, B, C = TryKey(1, 1), TryKey(2, 1), TryKey(3, 1)


class Desk:
    """Collects what the claims say."""

    def __init__(self) -> None:
        self.run: list[TryKey] = []
        self.returned: list[TryKey] = []
        self.told: list[Claimed] = []
        self.claims = Claims(
            lambda work: self.run.append(work.key), lambda work: self.returned.append(work.key), self.told.append
        )

    def hand(self, *keys: TryKey, live: Collection[TryKey] = ()) -> None:
        self.claims.add([work(key) for key in keys], live)


def work(key: TryKey) -> Work:
    run = RunInfo(run_id="r", run_type=RunType.MANUAL.value, run_after=0.0)
    return Work(
        key=key, dag_id="d", task_id="t", run=run, run_key=1, bundle="b", rel_path="p", version_id=1, token=f"t{key[0]}"
    )


def test_what_comes_together_is_asked_together_and_runs_when_it_is_granted():
    desk = Desk()
    desk.hand(A)
    desk.hand(B, C)
    assert desk.claims.question() == Claim(keys=(A, B, C), tokens=("t1", "t2", "t3"))
    assert desk.run == []
    answer = Claimed(granted=(A, C), refused=(Refusal(B, "it has ended"),))
    desk.claims.heard(answer)
    assert desk.run == [A, C]
    assert desk.told == [answer]
    assert not desk.claims.pending


def test_what_comes_while_a_question_is_open_waits_for_the_answer():
    desk = Desk()
    desk.hand(A)
    assert desk.claims.question() is not None
    desk.hand(B)
    assert desk.claims.question() is None
    desk.claims.heard(Claimed(granted=(A,)))
    assert desk.claims.question() == Claim(keys=(B,), tokens=("t2",))


def test_a_question_whose_answer_was_lost_is_asked_again_and_no_other_is():
    desk = Desk()
    desk.hand(A)
    assert desk.claims.again() == []
    asked = desk.claims.question()
    desk.hand(B)
    assert desk.claims.again() == [asked]
    desk.claims.heard(Claimed(granted=(A,)))
    assert desk.claims.again() == []
    desk.claims.heard(Claimed(granted=(A,)))
    assert desk.run == [A]


def test_a_message_that_comes_again_starts_nothing():
    desk = Desk()
    desk.hand(A)
    desk.hand(A)
    assert desk.claims.question() == Claim(keys=(A,), tokens=("t1",))
    desk.hand(A)
    desk.claims.heard(Claimed(granted=(A,)))
    desk.hand(A, live=(A,))
    desk.hand(A)
    assert desk.claims.question() is None
    assert desk.run == [A]
    assert desk.told == [
        Claimed(granted=(A,)),
        Claimed(granted=(A,)),
        Claimed(refused=(Refusal(A, "it has ended here"),)),
    ]


def test_what_is_withdrawn_is_not_asked_for():
    desk = Desk()
    desk.hand(A, B)
    desk.claims.withdraw([A])
    assert desk.claims.question() == Claim(keys=(B,), tokens=("t2",))


def test_what_is_withdrawn_while_it_is_asked_for_is_returned_when_it_is_granted():
    desk = Desk()
    desk.hand(A, B, C)
    desk.claims.question()
    desk.claims.withdraw([A, B, C])
    desk.hand(C)  # its message has come back
    desk.claims.heard(Claimed(granted=(A, C), refused=(Refusal(B, "another has it"),)))
    assert (desk.run, desk.returned) == ([C], [A])
    desk.claims.withdraw([C])
    assert desk.returned == [A]


def test_a_runner_that_stops_has_use_for_nothing_more():
    desk = Desk()
    desk.hand(A)
    desk.claims.question()
    desk.hand(B)
    desk.claims.withdraw_all()
    desk.claims.heard(Claimed(granted=(A,)))
    assert (desk.run, desk.returned) == ([], [A])
    assert not desk.claims.pending
