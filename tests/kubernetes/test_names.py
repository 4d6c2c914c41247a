"""Names and labels of pods: legal whatever dags and tasks are called, and one for each try."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from airloom.executors.kubernetes.names import key_of, label, labels_of, pod_name, selector
from airloom.model.report import TryKey
from airloom.model.work import RunInfo, Work

#: as the API server checks them
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
OWNER = "0123abcd-89ef"

ids = st.text(st.sampled_from("aZ09._-"), min_size=1, max_size=250)
odd_ids = ids | st.text(min_size=1, max_size=300)
numbers = st.integers(min_value=1, max_value=2**63 - 1)


def work_of(dag_id: str, task_id: str, ti: int = 1, number: int = 1, run_id: str = "r", map_index: int = -1) -> Work:
    return Work(
        key=TryKey(ti, number),
        dag_id=dag_id,
        task_id=task_id,
        run=RunInfo(run_id=run_id, run_type="manual", run_after=0.0),
        run_key=1,
        bundle="dags",
        rel_path="a.py",
        version_id=1,
        map_index=map_index,
    )


@settings(deadline=None)
@given(odd_ids, odd_ids, numbers, st.integers(1, 10_000))
def test_every_try_s_pod_has_a_legal_name_that_ends_in_its_key(dag: str, task: str, ti: int, number: int) -> None:
    name = pod_name(OWNER, work_of(dag, task, ti, number))
    assert NAME.fullmatch(name) and len(name) <= 63
    assert name.startswith("airloom-") and name.endswith(f"-0123ab-{ti}-{number}")


@settings(deadline=None)
@given(odd_ids, odd_ids, numbers, odd_ids, st.integers(-1, 10**6))
def test_every_label_is_legal_and_tells_the_try(dag: str, task: str, ti: int, run: str, index: int) -> None:
    labels = labels_of(OWNER, "kubernetes", work_of(dag, task, ti, 3, run, index))
    assert all(LABEL.fullmatch(text) and len(text) <= 63 for text in labels.values())
    assert key_of(labels) == TryKey(ti, 3)
    assert ("airloom.dev/map-index" in labels) == (index >= 0)
    for part in selector(OWNER, "kubernetes").split(","):
        key, text = part.split("=")
        assert labels[key] == text


@settings(deadline=None)
@given(odd_ids, odd_ids)
def test_two_ids_never_have_one_label(one: str, other: str) -> None:
    assert (label(one) == label(other)) == (one == other)


def test_an_id_that_can_be_a_label_is_left_as_it_is() -> None:
    assert label("etl_v2.load-all") == "etl_v2.load-all"


def test_ids_that_differ_in_their_end_only_have_two_labels() -> None:
    assert label("x" * 249 + "a") != label("x" * 249 + "b")


def test_the_name_shows_the_dag_and_the_task() -> None:
    assert pod_name(OWNER, work_of("My_DAG", "load.all", 12, 2)) == "airloom-my-dag-load-all-0123ab-12-2"


def test_a_long_dag_id_leaves_room_for_the_task() -> None:
    name = pod_name(OWNER, work_of("d" * 250, "t" * 250, 12, 2))
    assert "d" * 15 in name and "t" * 15 in name


def test_ids_with_nothing_that_a_name_can_have_leave_the_key() -> None:
    assert pod_name(OWNER, work_of("___", "...", 12, 2)) == "airloom-0123ab-12-2"


def test_a_pod_of_somebody_else_s_is_of_no_try() -> None:
    assert key_of({}) is None
    assert key_of({"airloom.dev/ti": "x", "airloom.dev/try": "1"}) is None
