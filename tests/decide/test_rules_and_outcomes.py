"""Trigger rules over all small counts, priorities, and what follows a failed try."""

import itertools

import pytest

from airloom.decide.graph import Graph
from airloom.decide.outcome import Tries, after_failure
from airloom.decide.trigger_rules import RULES, Counts, Verdict
from airloom.model.report import Cause
from airloom.model.run import VersionRow
from airloom.model.spec import DagSpec, TaskSpec, TriggerRule, WeightRule

#: rule -> (success, skipped, failed, upstream_failed, removed, total) -> verdict, one cell of the field's table each
CELLS = [
    ("all_success", (2, 0, 0, 0, 0, 2), Verdict.RUN),
    ("all_success", (1, 0, 0, 0, 1, 2), Verdict.RUN),
    ("all_success", (1, 0, 0, 0, 0, 2), Verdict.WAIT),
    ("all_success", (0, 0, 1, 0, 0, 9), Verdict.FAIL),
    ("all_success", (0, 0, 0, 1, 0, 9), Verdict.FAIL),
    ("all_success", (0, 1, 0, 0, 0, 9), Verdict.SKIP),
    ("all_success", (0, 1, 1, 0, 0, 9), Verdict.FAIL),
    ("all_failed", (0, 0, 1, 1, 0, 2), Verdict.RUN),
    ("all_failed", (0, 0, 1, 0, 0, 2), Verdict.WAIT),
    ("all_failed", (1, 0, 0, 0, 0, 2), Verdict.SKIP),
    ("all_failed", (0, 1, 0, 0, 0, 2), Verdict.SKIP),
    ("all_done", (1, 1, 1, 0, 0, 3), Verdict.RUN),
    ("all_done", (1, 1, 0, 0, 0, 3), Verdict.WAIT),
    ("all_done_min_one_success", (1, 0, 1, 0, 0, 2), Verdict.RUN),
    ("all_done_min_one_success", (0, 0, 2, 0, 0, 2), Verdict.FAIL),
    ("all_done_min_one_success", (1, 1, 0, 0, 0, 2), Verdict.SKIP),
    ("one_success", (1, 0, 0, 0, 0, 9), Verdict.RUN),
    ("one_success", (0, 2, 0, 0, 0, 2), Verdict.SKIP),
    ("one_success", (0, 1, 1, 0, 0, 2), Verdict.FAIL),
    ("one_success", (0, 0, 1, 0, 0, 2), Verdict.WAIT),
    ("one_failed", (0, 0, 0, 1, 0, 9), Verdict.RUN),
    ("one_failed", (2, 0, 0, 0, 0, 2), Verdict.SKIP),
    ("one_failed", (1, 0, 0, 0, 0, 2), Verdict.WAIT),
    ("one_done", (0, 0, 1, 0, 0, 9), Verdict.RUN),
    ("one_done", (0, 0, 0, 1, 0, 2), Verdict.WAIT),
    ("one_done", (0, 1, 0, 1, 0, 2), Verdict.SKIP),
    ("none_failed", (1, 1, 0, 0, 0, 2), Verdict.RUN),
    ("none_failed", (0, 0, 0, 1, 0, 9), Verdict.FAIL),
    ("none_failed_min_one_success", (1, 1, 0, 0, 0, 2), Verdict.RUN),
    ("none_failed_min_one_success", (0, 2, 0, 0, 0, 2), Verdict.SKIP),
    ("none_failed_min_one_success", (0, 0, 1, 0, 0, 9), Verdict.FAIL),
    ("none_skipped", (1, 0, 1, 0, 0, 2), Verdict.RUN),
    ("none_skipped", (0, 1, 0, 0, 0, 9), Verdict.SKIP),
    ("all_skipped", (0, 2, 0, 0, 0, 2), Verdict.RUN),
    ("all_skipped", (0, 0, 1, 0, 0, 9), Verdict.SKIP),
    ("always", (0, 0, 0, 0, 0, 9), Verdict.RUN),
]


@pytest.mark.parametrize(("rule", "counts", "verdict"), CELLS)
def test_a_cell_of_the_table(rule: str, counts: tuple[int, ...], verdict: Verdict):
    assert RULES[TriggerRule(rule)](Counts(*counts)) is verdict


def all_counts(total: int):
    for counts in itertools.product(range(total + 1), repeat=5):
        if sum(counts) <= total:
            yield Counts(*counts, total)


@pytest.mark.parametrize("rule", list(TriggerRule))
def test_every_rule_decides_when_all_upstream_tasks_have_ended(rule: TriggerRule):
    assert all(RULES[rule](counts) is not Verdict.WAIT for counts in all_counts(3) if counts.over)


@pytest.mark.parametrize("rule", list(TriggerRule))
def test_no_rule_that_has_said_run_was_waiting_for_what_is_still_open(rule: TriggerRule):
    """A rule that lets a task run before the end of all upstream tasks is one of those that say so by name."""
    hasty = any(RULES[rule](counts) is Verdict.RUN for counts in all_counts(3) if not counts.over)
    assert hasty == (rule.value in {"one_success", "one_failed", "one_done", "always"})


def graph(**rules: WeightRule) -> Graph:
    tasks = (
        TaskSpec(task_id="a", priority_weight=1, **rules),
        TaskSpec(task_id="b", upstream=("a",), priority_weight=2, **rules),
        TaskSpec(task_id="c", upstream=("a",), priority_weight=3, **rules),
        TaskSpec(task_id="d", upstream=("b", "c"), priority_weight=4, **rules),
    )
    spec = DagSpec(dag_id="d", tasks=tasks)
    return Graph(VersionRow(id=1, dag_id="d", number=1, spec=spec, bundle="b", rel_path="d.py", file_hash=""))


def test_weight_rules_add_up_each_task_once():
    assert graph(weight_rule=WeightRule.DOWNSTREAM).weights == [10, 6, 7, 4]
    assert graph(weight_rule=WeightRule.UPSTREAM).weights == [1, 3, 4, 10]
    assert graph(weight_rule=WeightRule.ABSOLUTE).weights == [1, 2, 3, 4]


def test_retries_are_spent_by_the_tasks_own_failures_only():
    task = TaskSpec(task_id="a", retries=1, retry_delay=60)
    own = after_failure(task, Cause.ERROR, Tries(1, 1, 0), 3, "s")
    assert (own.retry_after, own.tries) == (60, Tries(1, 1, 0))
    assert after_failure(task, Cause.ERROR, Tries(2, 1, 0), 3, "s").retry_after is None
    lost = after_failure(task, Cause.LOST, Tries(2, 1, 0), 3, "s")
    assert (lost.retry_after, lost.tries) == (0.0, Tries(2, 2, 1))
    assert after_failure(task, Cause.LOST, Tries(5, 4, 3), 3, "s").retry_after is None


@pytest.mark.parametrize("cause", [Cause.FAIL, Cause.CANCELLED])
def test_some_causes_are_final(cause: Cause):
    assert after_failure(TaskSpec(task_id="a", retries=9), cause, Tries(1, 9, 0), 3, "s").retry_after is None


def test_backoff_grows_is_spread_and_is_the_same_each_time():
    task = TaskSpec(task_id="a", retries=9999, retry_delay=10, retry_exponential_backoff=2.0, max_retry_delay=500)

    def delay(number: int) -> float:
        found = after_failure(task, Cause.ERROR, Tries(number, 9999, 0), 3, "seed").retry_after
        assert found is not None
        return found

    for number in range(1, 6):
        low = 10 * 2 ** (number - 1)
        assert low <= delay(number) < 2 * low
        assert delay(number) == delay(number)
    assert delay(50) == delay(2000) == 500
