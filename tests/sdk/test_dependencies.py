"""What runs after what: operators, lists, chains, labels, groups, arguments."""

import itertools

import pytest

from airloom import DAG, EmptyOperator, Label, TaskGroup, chain, chain_linear, cross_downstream, task, task_group
from airloom.model.errors import DagDefinitionError
from airloom.model.spec_hash import spec_hash
from airloom.sdk.spec_of import spec_of


def edges(dag: DAG) -> set[str]:
    """The dag's edges as "up>down"."""
    return {f"{up}>{task.task_id}" for task in spec_of(dag).tasks for up in task.upstream}


def empties(*names: str) -> list[EmptyOperator]:
    """An empty task for each name."""
    return [EmptyOperator(task_id=name) for name in names]


def test_shift_operators_connect_tasks_and_lists_both_ways() -> None:
    with DAG("d") as dag:
        a, b, c, d = empties("a", "b", "c", "d")
        a >> [b, c] >> d
        e, f = empties("e", "f")
        f << [d, e]
        e << a
    assert edges(dag) == {"a>b", "a>c", "b>d", "c>d", "d>f", "e>f", "a>e"}
    assert a.downstream_task_ids == {"b", "c", "e"}
    assert f.upstream_task_ids == {"d", "e"}


def test_set_upstream_and_set_downstream_say_the_same_as_the_operators() -> None:
    with DAG("d") as dag:
        a, b, c = empties("a", "b", "c")
        a.set_downstream([b])
        c.set_upstream([a, b])
    assert edges(dag) == {"a>b", "a>c", "b>c"}


def test_chain_pairs_lists_of_the_same_length() -> None:
    with DAG("d") as dag:
        a, b, c, d, e, f = empties("a", "b", "c", "d", "e", "f")
        chain(a, [b, c], [d, e], f)
    assert edges(dag) == {"a>b", "a>c", "b>d", "c>e", "d>f", "e>f"}


def test_chain_refuses_lists_of_different_lengths() -> None:
    with DAG("d"):
        a, b, c = empties("a", "b", "c")
        with pytest.raises(DagDefinitionError, match="they have 1 and 2 elements"):
            chain([a], [b, c])


def test_chain_linear_and_cross_downstream_connect_each_with_each() -> None:
    with DAG("d") as dag:
        a, b, c, d, e = empties("a", "b", "c", "d", "e")
        chain_linear([a, b], [c, d])
        cross_downstream([c, d], [e])
    assert edges(dag) == {"a>c", "a>d", "b>c", "b>d", "c>e", "d>e"}


def test_labels_stand_on_their_edges_in_every_spelling() -> None:
    with DAG("d") as dag:
        a, b, c, d, e, f = empties("a", "b", "c", "d", "e", "f")
        a >> Label("one") >> [b, c]
        d << Label("two") << b
        [b, c] >> Label("three") >> e
        chain(e, Label("four"), f)
    labels = {"a>b": "one", "a>c": "one", "b>d": "two", "b>e": "three", "c>e": "three", "e>f": "four"}
    assert spec_of(dag).edge_labels == labels
    assert edges(dag) == set(labels)


def test_an_edge_to_a_group_goes_to_its_first_tasks_and_from_it_from_its_last() -> None:
    with DAG("d") as dag:
        start, end = empties("start", "end")
        with TaskGroup("g") as group:
            a, b, c = empties("a", "b", "c")
            a >> b
        start >> group >> end
    assert edges(dag) == {"start>g.a", "start>g.c", "g.a>g.b", "g.b>end", "g.c>end"}
    assert c.task_id == "g.c"


def test_groups_nest_and_connect_with_each_other() -> None:
    with DAG("d") as dag, TaskGroup("outer") as outer:
        with TaskGroup("one") as one:
            empties("x", "y")
        with TaskGroup("two", prefix_group_id=False) as two:
            z = EmptyOperator(task_id="z")
        one >> two
    assert z.task_id == "outer.z"
    assert edges(dag) == {"outer.one.x>outer.z", "outer.one.y>outer.z"}
    groups = {group.group_id: group.parent for group in spec_of(dag).groups}
    assert groups == {"outer": None, "outer.one": "outer", "outer.two": "outer"}
    assert outer.contains(z)


def test_an_edge_to_a_group_counts_what_is_added_to_it_later() -> None:
    with DAG("d") as dag:
        start = EmptyOperator(task_id="start")
        group = TaskGroup("g")
        start >> group
        with group:
            a, b = empties("a", "b")
            a >> b
    assert edges(dag) == {"start>g.a", "g.a>g.b"}


def test_a_task_cannot_depend_on_the_group_it_is_in() -> None:
    with DAG("d"), TaskGroup("g") as group:
        inside = EmptyOperator(task_id="a")
        with pytest.raises(DagDefinitionError, match=r"'g\.a' is inside the group 'g'"):
            inside >> group


def test_the_order_of_statements_does_not_change_the_spec() -> None:
    def build(order: tuple[int, ...]) -> str:
        with DAG("d") as dag:
            a, b, c = empties("a", "b", "c")
            with TaskGroup("g") as group:
                x, y = empties("x", "y")
            statements = [
                lambda: a >> group,
                lambda: group >> b,
                lambda: x >> y,
                lambda: [a, b] >> c,
            ]
            for number in order:
                statements[number]()
        return spec_hash(spec_of(dag))

    assert len({build(order) for order in itertools.permutations(range(4))}) == 1


def test_passing_an_output_makes_a_dependency_however_deep_it_sits() -> None:
    with DAG("d") as dag:

        @task
        def one() -> int:
            return 1

        @task
        def take(value: object) -> None: ...

        take({"deep": [(one(),)]})
        EmptyOperator(task_id="after") << one.override(task_id="other")()
    assert edges(dag) == {"one>take", "other>after"}


def test_a_second_call_of_a_task_gets_a_number() -> None:
    with DAG("d") as dag:

        @task
        def again() -> None: ...

        again() >> again() >> again()
    assert edges(dag) == {"again>again__1", "again__1>again__2"}


def test_a_task_group_function_makes_a_group_and_returns_what_it_returns() -> None:
    with DAG("d") as dag:

        @task
        def add(x: int) -> int:
            return x + 1

        @task_group
        def twice(x: int):  # type: ignore[no-untyped-def]
            return add(add(x))

        @task_group(group_id="nothing", default_args={"retries": 7})
        def no_output() -> None:
            EmptyOperator(task_id="inside")

        twice(1) >> no_output()
    assert edges(dag) == {"twice.add>twice.add__1", "twice.add__1>nothing.inside"}
    assert dag.get_task("nothing.inside").retries == 7


def test_mapping_a_group_says_that_it_is_not_supported() -> None:
    with DAG("d"):

        @task_group
        def group(x: int) -> None: ...

        with pytest.raises(DagDefinitionError, match="'group' cannot be mapped: this is not supported yet"):
            group.expand(x=[1, 2])


def test_tasks_of_two_dags_cannot_be_connected() -> None:
    with DAG("one"):
        a = EmptyOperator(task_id="a")
    with DAG("two"):
        b = EmptyOperator(task_id="b")
        with pytest.raises(DagDefinitionError, match="'a' is in the DAG 'one' and 'b' in 'two'"):
            a >> b


def test_a_task_without_a_dag_joins_that_of_its_neighbour() -> None:
    loose = EmptyOperator(task_id="loose")
    dag = DAG("d")
    EmptyOperator(task_id="a", dag=dag) >> loose
    assert edges(dag) == {"a>loose"}
