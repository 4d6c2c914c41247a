"""The checker of clusters' histories finds what is wrong in a bad one, and nothing in a good one."""

from typing import Any

import pytest

from tests.cluster.checker import History, Instance, Kill, Mark, Try, check

A, B = (Instance("dag", "run", task, -1) for task in "ab")


def mark(at: Instance = A, number: int = 1, start: float = 0.0, last: float = 1.0, **fields: Any) -> Mark:
    base = Mark("w1", at, number, 100 * number, start, last, done=True, lines=2, pool="")
    return base._replace(**fields)


LINES = ["before", "line 1 of 2", "line 2 of 2"]
GOOD = History(
    runs=(1, ["success"]),
    states={A: "success", B: "success"},
    tries={A: [Try(1, "success")], B: [Try(1, "failed", "runner_lost"), Try(2, "success")]},
    marks=[mark(), mark(B, 1, 0.5, 2.0, done=False), mark(B, 2, 3.0, 4.0, machine="w2")],
    pools={"narrow": 1},
    logs={(A, 1): LINES, (B, 2): LINES},
    kills=[Kill(1.0, 7)],
    epochs=[(0.0, 7), (3.5, 8)],
)


def test_a_good_history_is_fine():
    assert check(GOOD) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"runs": (2, ["success"])}, "2 runs were asked for, there are 1"),
        ({"runs": (1, ["failed"])}, "1 runs are failed"),
        ({"states": {A: "running", B: "success"}}, "dag.a of run is running"),
        ({"states": {A: "success"}}, "dag.b of run ran and is not in the database"),
        ({"tries": {**GOOD.tries, A: [Try(1, "failed", "error")]}}, "is success, and its last try"),
        ({"marks": [mark(done=False), *GOOD.marks[1:]]}, "is told as a success, and never came to its end"),
        ({"marks": [*GOOD.marks, mark(start=8.0, last=9.0, pid=5)]}, "dag.a of run: try 1 was run more than once"),
        (
            {"marks": [GOOD.marks[0], mark(B, 1, 0.5, 3.25, done=False), mark(B, 2, 3.0, 4.0, machine="w2")]},
            "dag.b of run was live twice for 0.250 s: try 1 on w1 and try 2 on w2",
        ),
        (
            {"marks": [mark(pool="narrow"), GOOD.marks[1], mark(B, 2, 0.5, 4.0, pool="narrow")]},
            "the pool narrow has 1 slots, and 2 of its tries were live at once",
        ),
        ({"logs": {**GOOD.logs, (A, 1): LINES[:2]}}, "the log of dag.a of run, try 1, on w1, lacks 1 of 2 lines"),
        ({"logs": {**GOOD.logs, (A, 1): [*LINES, "line 2 of 2"]}}, "lacks 0 of 2 lines"),
        ({"logs": {(A, 1): LINES}}, "lacks 2 of 2 lines"),
        ({"epochs": [(0.0, 7)]}, "nobody led after the leader of epoch 7 was killed"),
        ({"epochs": [(0.0, 7), (6.5, 8)]}, "it took 5.5 s until another scheduler led after epoch 7"),
    ],
)
def test_a_bad_history_is_told(change: dict[str, Any], says: str):
    assert any(says in problem for problem in check(GOOD._replace(**change))), check(GOOD._replace(**change))


def test_a_log_that_ends_with_its_killed_try_is_no_loss():
    killed = GOOD._replace(logs={**GOOD.logs, (B, 1): LINES[:1]})
    assert check(killed) == []


def test_the_end_of_a_long_try_counts_when_short_ones_came_between():
    long, short, late = (
        mark(number=1, last=10.0),
        mark(number=2, start=2.0, last=3.0),
        mark(number=3, start=9.0, last=9.5),
    )
    found = [text for text in check(GOOD._replace(marks=[long, short, late, *GOOD.marks[1:]])) if "live twice" in text]
    assert len(found) == 2
