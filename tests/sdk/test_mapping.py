"""Mapped tasks: which arguments a map index gets, and how all results are taken together."""

from typing import Any

import pytest

from airloom import DAG, BaseOperator, BashOperator, PythonOperator, XComArg, task
from airloom.model.errors import DagDefinitionError
from airloom.model.report import Outcome
from tests.sdk.trying import Client, attempt, returned


def results(arg: XComArg | BaseOperator, lengths: tuple[int, ...], client: Client | None = None) -> list[Any]:
    """What each map index of a mapped task returns."""
    operator = arg.operator if isinstance(arg, XComArg) else arg
    size = 1
    for length in lengths:
        size *= length
    return [
        returned(attempt(operator, client, map_index=index, map_lengths=lengths, map_size=size))["return_value"]
        for index in range(size)
    ]


def collector() -> Any:
    """A task function that returns its arguments."""

    @task
    def collect(x: Any, y: Any = None, z: Any = None) -> Any:
        return [x, y, z]

    return collect


def test_the_last_argument_varies_fastest() -> None:
    with DAG("d"):
        mapped = collector().partial(z=0).expand(x=[1, 2], y=["a", "b", "c"])
    assert results(mapped, (2, 3)) == [[1, "a", 0], [1, "b", 0], [1, "c", 0], [2, "a", 0], [2, "b", 0], [2, "c", 0]]


def test_a_dict_gives_pairs_and_expand_kwargs_gives_arguments() -> None:
    with DAG("d"):
        pairs = collector().expand(x={"k": 1, "l": 2})
        dicts = collector().partial(z=9).expand_kwargs([{"x": 1, "y": 2}, {"x": 3}])
    assert results(pairs, (2,)) == [[["k", 1], None, None], [["l", 2], None, None]]
    assert results(dicts, (2,)) == [[1, 2, 9], [3, None, 9]]


def test_the_output_of_a_task_is_mapped_over_item_by_item() -> None:
    with DAG("d"):

        @task
        def make() -> list[Any]:
            return []

        made = make()
        one = collector().expand(x=made)
        two = collector().expand_kwargs(made)
    client = Client()
    client.keep("make", ["{{ ds }}", 2])
    assert results(one, (2,), client) == [["{{ ds }}", None, None], [2, None, None]]
    client.keep("make", [{"x": "{{ ds }}"}, {"x": 2}])
    assert results(two, (2,), client) == [["{{ ds }}", None, None], [2, None, None]]


def test_literals_are_rendered_and_results_of_tasks_are_not() -> None:
    with DAG("d"):

        @task
        def make() -> list[str]:
            return []

        literals = BashOperator.partial(task_id="l").expand(bash_command=["echo {{ ds }}", "echo 2"])
        from_task = BashOperator.partial(task_id="t").expand(bash_command=make())
        inside = BashOperator.partial(task_id="i").expand(bash_command=[make.override(task_id="one")()])
    client = Client()
    client.keep("make", ["echo '{{ ds }}'"])
    client.keep("one", "echo '{{ ts }}'")
    assert results(literals, (2,)) == ["2026-01-01", "2"]
    assert results(from_task, (1,), client) == ["{{ ds }}"]
    assert results(inside, (1,), client) == ["{{ ts }}"]
    assert inside.upstream_task_ids == {"one"}


def test_all_results_of_a_mapped_task_come_as_a_sequence_that_is_fetched_when_used() -> None:
    with DAG("d"):

        @task
        def add(values: Any) -> Any:
            return [len(values), sum(values), values[-1], list(values)]

        @task
        def ignore(values: Any) -> str:
            return repr(values)

        mapped = collector().expand(x=[1, 2, 3])
        total, ignored = add(mapped).operator, ignore(mapped).operator
    client = Client()
    for index in range(3):
        client.keep("collect", 10**index, map_index=index)
    assert returned(attempt(total, client))["return_value"] == [3, 111, 100, [1, 10, 100]]
    assert len(client.asked) == 1
    assert returned(attempt(ignored, client))["return_value"] == "<outputs of collect: not fetched>"
    assert len(client.asked) == 1


def test_the_sequence_can_be_returned_as_a_list() -> None:
    with DAG("d"):

        @task
        def same(values: Any) -> Any:
            return values

        operator = same(collector().expand(x=[1, 2])).operator
    client = Client()
    client.keep("collect", 5, map_index=0)
    result = attempt(operator, client)
    assert (returned(result)["return_value"], result.map_length) == ([5], 1)


def test_a_task_can_be_mapped_over_a_mapped_task() -> None:
    with DAG("d"):
        first = collector().override(task_id="first").expand(x=[1, 2])
        second = collector().expand(x=first)
    client = Client()
    client.keep("first", "a", map_index=0)
    client.keep("first", "b", map_index=1)
    assert results(second, (2,), client) == [["a", None, None], ["b", None, None]]


def test_none_is_kept_where_another_task_is_mapped_over_it() -> None:
    with DAG("d"):

        @task
        def nothing(x: int) -> None: ...

        alone = nothing.expand(x=[1]).operator
        followed = nothing.override(task_id="followed").expand(x=[1])
        collector().expand(x=followed)
    assert returned(attempt(alone, map_index=0, map_lengths=(1,))) == {}
    assert returned(attempt(followed.operator, map_index=0, map_lengths=(1,))) == {"return_value": None}


def test_an_item_that_is_gone_is_a_clear_failure() -> None:
    with DAG("d"):

        @task
        def make() -> list[int]:
            return []

        operator = collector().expand(x=make()).operator
    client = Client()
    client.keep("make", [1])
    result = attempt(operator, client, map_index=1, map_lengths=(2,))
    assert result.outcome is Outcome.FAILED
    assert "which has no item 1" in str(result.detail)


def test_partial_values_are_rendered_and_filled_in() -> None:
    with DAG("d") as dag:

        @task
        def make() -> int:
            return 1

        mapped = collector().partial(y="{{ ds }}", z=make()).expand(x=[1])
    client = Client()
    client.keep("make", 7)
    assert results(mapped, (1,), client) == [[1, "2026-01-01", 7]]
    assert dag.get_task("collect").upstream_task_ids == {"make"}


def test_default_arguments_reach_mapped_operators() -> None:
    with DAG("d", default_args={"retries": 3, "append_env": True}):
        mapped = BashOperator.partial(task_id="m").expand(bash_command=["true"])
    concrete = mapped.concrete(0, (1,), {})
    assert isinstance(concrete, BashOperator)
    assert (mapped.retries, concrete.retries, concrete.append_env) == (3, 3, True)


def test_mapping_over_what_cannot_be_mapped_over_is_refused() -> None:
    def function(**kwargs: Any) -> None: ...

    with DAG("d"):
        collect = collector()
        with pytest.raises(DagDefinitionError, match="'x' cannot be mapped over str"):
            collect.expand(x="abc")
        with pytest.raises(DagDefinitionError, match="needs at least one argument"):
            collect.expand()
        with pytest.raises(DagDefinitionError, match=r"collect\(\) has no argument 'w'"):
            collect.expand(w=[1])
        with pytest.raises(DagDefinitionError, match=r"'x' is given to partial\(\) and to expand\(\)"):
            collect.partial(x=1).expand(x=[1])
        with pytest.raises(DagDefinitionError, match="'pool' is the same for all instances"):
            BashOperator.partial(task_id="a", bash_command="b").expand(pool=["a"])
        with pytest.raises(DagDefinitionError, match="no argument 'bash_comand'; did you mean 'bash_command'"):
            BashOperator.partial(task_id="b").expand(bash_comand=["a"])
        with pytest.raises(DagDefinitionError, match=r"partial\(\) needs a task_id"):
            PythonOperator.partial(python_callable=function)
