"""One try from Work to its result: arguments, XComs, context, and every way to end."""

import logging
import sys
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from airloom import (
    DAG,
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseOperator,
    Param,
    PythonOperator,
    get_current_context,
    task,
)
from airloom.model.errors import AirloomError, DagDefinitionError
from airloom.model.report import Cause, Outcome
from airloom.model.work import RunInfo
from airloom.sdk.client import current_client
from tests.sdk.trying import Client, attempt, returned


def python_task(function: Any, **arguments: Any) -> BaseOperator:
    """A task of its own DAG that calls `function`."""
    with DAG("d", params=arguments.pop("dag_params", None)):
        return PythonOperator(task_id="t", python_callable=function, **arguments)


def raising(error: BaseException) -> BaseOperator:
    """A task that raises."""

    def function() -> None:
        raise error

    return python_task(function)


@pytest.mark.parametrize(
    ("error", "outcome", "cause", "detail"),
    [
        (ValueError("no luck"), Outcome.FAILED, Cause.ERROR, "ValueError: no luck"),
        (AssertionError(), Outcome.FAILED, Cause.ERROR, "AssertionError"),
        (AirflowException("x"), Outcome.FAILED, Cause.ERROR, "AirflowException: x"),
        (AirflowSkipException("not today"), Outcome.SKIPPED, None, "not today"),
        (AirflowFailException("never"), Outcome.FAILED, Cause.FAIL, "AirflowFailException: never"),
        (AirflowSensorTimeout("late"), Outcome.FAILED, Cause.FAIL, "AirflowSensorTimeout: late"),
        (AirflowTaskTimeout("slow"), Outcome.FAILED, Cause.TIMEOUT, "AirflowTaskTimeout: slow"),
        (SystemExit(3), Outcome.FAILED, Cause.EXIT, "the task called sys.exit(3)"),
        (SystemExit(), Outcome.FAILED, Cause.EXIT, "the task called sys.exit()"),
        (MemoryError(), Outcome.FAILED, Cause.OOM, "MemoryError"),
        (BaseException("odd"), Outcome.FAILED, Cause.ERROR, "BaseException: odd"),
    ],
)
def test_what_a_task_raises_decides_how_it_ends(
    error: BaseException, outcome: Outcome, cause: Cause | None, detail: str
) -> None:
    result = attempt(raising(error))
    assert (result.outcome, result.cause, result.detail) == (outcome, cause, detail)


def test_only_a_cancel_gets_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        attempt(raising(KeyboardInterrupt()))


def test_the_log_has_the_traceback_from_the_authors_line_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "airloom.task"):
        attempt(raising(ValueError("no luck")))
    assert "raise error" in caplog.text
    assert "airloom/sdk" not in caplog.text


def test_a_deep_recursion_is_an_ordinary_failure() -> None:
    def endless() -> None:
        endless()

    result = attempt(python_task(endless))
    assert (result.outcome, result.cause) == (Outcome.FAILED, Cause.ERROR)
    assert str(result.detail).startswith("RecursionError")


def test_the_return_value_is_the_xcom() -> None:
    result = attempt(python_task(lambda: {"a": [1, 2]}))
    assert returned(result) == {"return_value": {"a": [1, 2]}}
    assert result.map_length == 1
    assert attempt(python_task(lambda: [1, 2, 3])).map_length == 3
    assert attempt(python_task(lambda: "abc")).map_length is None


def test_nothing_is_kept_of_none_or_without_do_xcom_push() -> None:
    assert returned(attempt(python_task(lambda: None))) == {}
    assert returned(attempt(python_task(lambda: [1], do_xcom_push=False))) == {}


def test_multiple_outputs_are_kept_one_by_one_and_as_a_whole() -> None:
    with DAG("d"):

        @task
        def inferred() -> dict[str, int]:
            return {"a": 1, "b": 2}

        @task(multiple_outputs=True)
        def wrong():  # type: ignore[no-untyped-def]
            return [1]

        @task(multiple_outputs=False)
        def whole() -> dict[str, int]:
            return {"a": 1}

        tasks = [function().operator for function in (inferred, wrong, whole)]
    assert returned(attempt(tasks[0])) == {"return_value": {"a": 1, "b": 2}, "a": 1, "b": 2}
    result = attempt(tasks[1])
    assert result.cause is Cause.RESULT
    assert "must return a dict, not list" in str(result.detail)
    assert returned(attempt(tasks[2])) == {"return_value": {"a": 1}}


def test_a_result_that_cannot_be_kept_says_where_it_is() -> None:
    result = attempt(python_task(lambda: [1, {"x": threading.Lock()}]))
    assert (result.outcome, result.cause) == (Outcome.FAILED, Cause.RESULT)
    assert str(result.detail).startswith("return value[1]['x'] is a _thread.lock, which cannot be kept as an XCom")


def test_outputs_of_other_tasks_are_filled_in() -> None:
    with DAG("d"):

        @task
        def make() -> dict[str, int]:
            return {}

        @task
        def use(whole: Any, part: Any, *, deep: Any) -> Any:
            return [whole, part, deep]

        made = make()
        operator = use(made, made["k"], deep={"list": [made["k"], "text"]}).operator
    client = Client()
    client.keep("make", {"k": 7})
    client.keep("make", 7, key="k")
    assert returned(attempt(operator, client)) == {"return_value": [{"k": 7}, 7, {"list": [7, "text"]}]}


def test_a_missing_output_is_none_and_a_missing_key_fails_unless_it_has_several() -> None:
    with DAG("d"):

        @task
        def make():  # type: ignore[no-untyped-def]
            return None

        @task
        def use(x: Any) -> Any:
            return [x]

        made = make()
        whole, part = use(made).operator, use(made["k"]).operator
    assert returned(attempt(whole)) == {"return_value": [None]}
    assert "the task 'make' pushed no XCom 'k'" in str(attempt(part).detail)


def test_what_a_task_pushes_goes_to_the_server_and_can_be_pulled_at_once() -> None:
    def push(ti: Any) -> Any:
        ti.xcom_push("mine", {1, 2})
        return [ti.xcom_pull(key="mine"), ti.xcom_pull("t", "mine"), ti.xcom_pull(task_ids=["t"], key="mine")[0]]

    client = Client()
    result = attempt(python_task(lambda ti: push(ti) and None), client)
    assert (result.outcome, client.pushed) == (Outcome.SUCCESS, {"mine": {1, 2}})
    assert returned(attempt(python_task(push)))["return_value"] == [{1, 2}] * 3


def test_xcom_pull_takes_one_several_and_mapped_tasks() -> None:
    def pull(ti: Any) -> Any:
        return {
            "one": ti.xcom_pull(task_ids="plain"),
            "default": ti.xcom_pull("nobody", default="d"),
            "several": ti.xcom_pull(["plain", "nobody", "many"]),
            "mapped": ti.xcom_pull("many")[1:],
            "index": ti.xcom_pull("many", map_indexes=2),
            "indexes": ti.xcom_pull("many", map_indexes=[2, 0]),
        }

    with DAG("d"):

        @task
        def many(x: int) -> int:
            return x

        many.expand(x=[1, 2, 3])
        operator = PythonOperator(task_id="t", python_callable=pull)
    client = Client()
    client.keep("plain", 1)
    for index in range(3):
        client.keep("many", index * 10, map_index=index)
    assert returned(attempt(operator, client))["return_value"] == {
        "one": 1,
        "default": "d",
        "several": [1, None, 0, 10, 20],
        "mapped": [10, 20],
        "index": 20,
        "indexes": [20, 0],
    }


def test_a_function_gets_what_its_signature_names() -> None:
    def some(ds: str, params: dict[str, Any], own: int, run_id: str = "default", nothing: int = 3) -> Any:
        return [ds, params, own, run_id, nothing]

    def everything(own: int, **context: Any) -> Any:
        return [own, context["ds"], context["ti"].task_id, context["prev_start_date_success"]]

    assert returned(attempt(python_task(some, op_kwargs={"own": 1}, dag_params={"p": 2})))["return_value"] == [
        "2026-01-01",
        {"p": 2},
        1,
        "manual__2026-01-01",
        3,
    ]
    assert returned(attempt(python_task(everything, op_args=[1])))["return_value"] == [1, "2026-01-01", "t", None]


def test_a_decorated_function_may_name_context_before_its_own_arguments() -> None:
    with DAG("d"):

        @task
        def named(ds: str, value: int, ti: Any = None) -> Any:
            return [ds, value, ti.try_number]

        operator = named(value=5).operator
    assert returned(attempt(operator, try_number=2))["return_value"] == ["2026-01-01", 5, 2]


def test_arguments_by_place_go_where_python_puts_them() -> None:
    with DAG("d"):

        @task
        def named(ds: str, value: int) -> Any:
            return [ds, value]

        with pytest.raises(DagDefinitionError, match=r"named\(\): missing a required argument: 'value'"):
            named("own")
        operator = named("own", 5).operator
    assert returned(attempt(operator))["return_value"] == ["own", 5]


def test_an_async_function_is_awaited() -> None:
    async def later() -> int:
        return 5

    assert returned(attempt(python_task(later))) == {"return_value": 5}


def test_the_context_has_airflows_names() -> None:
    seen: dict[str, Any] = {}

    def look(**context: Any) -> None:
        seen.update(context)
        seen["current"] = get_current_context()["ds"]

    client = Client()
    client.previous = RunInfo(
        run_id="p", run_type="scheduled", run_after=0.0, data_interval_start=86400.0, started_at=1.0
    )
    assert attempt(python_task(look), client, conf={"k": 1}, map_size=4).outcome is Outcome.SUCCESS
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert {name: seen[name] for name in ("ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz", "run_id")} == {
        "ds_nodash": "20260101",
        "ts": "2026-01-01T00:00:00+00:00",
        "ts_nodash": "20260101T000000",
        "ts_nodash_with_tz": "20260101T000000+0000",
        "run_id": "manual__2026-01-01",
    }
    assert (seen["logical_date"], seen["data_interval_start"]) == (start, start)
    assert seen["data_interval_end"] == datetime(2026, 1, 2, tzinfo=UTC)
    assert seen["prev_data_interval_start_success"] == datetime(1970, 1, 2, tzinfo=UTC)
    assert seen["prev_data_interval_end_success"] is None
    assert seen["prev_start_date_success"] == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert (seen["expanded_ti_count"], seen["map_index"], seen["try_number"], seen["test_mode"]) == (4, -1, 1, False)
    assert seen["task_instance_key_str"] == "d__t__20260101"
    assert (seen["dag"].dag_id, seen["task"].task_id, seen["dag_run"].conf) == ("d", "t", {"k": 1})
    assert (seen["ti"] is seen["task_instance"], seen["current"]) == (True, "2026-01-01")
    assert len(client.asked) == 1


def test_the_server_is_not_asked_for_what_no_one_looks_at() -> None:
    client = Client()
    attempt(python_task(lambda ds: ds), client)
    assert client.asked == []


def test_a_run_without_logical_date_has_no_dates_in_its_context() -> None:
    def look(**context: Any) -> Any:
        return ["ds" in context, "logical_date" in context]

    assert returned(attempt(python_task(look), run={"logical_date": None}))["return_value"] == [False, False]


def test_there_is_no_context_outside_a_try() -> None:
    attempt(python_task(lambda: None))
    with pytest.raises(AirflowException, match="while a task runs"):
        get_current_context()
    with pytest.raises(AirloomError, match="there is no server to ask here"):
        current_client()


def test_threads_of_a_task_have_its_context() -> None:
    found: list[str] = []

    def spawn() -> None:
        thread = threading.Thread(target=lambda: found.append(get_current_context()["ds"]))
        thread.start()
        thread.join()

    attempt(python_task(spawn))
    assert found == ["2026-01-01"]


def test_the_conf_overrides_params_and_must_fit_their_schema() -> None:
    operator = python_task(lambda params: [params], dag_params={"n": Param(1, type="integer")}, params={"own": 2})
    assert returned(attempt(operator, conf={"n": 5, "more": 6}))["return_value"] == [{"n": 5, "own": 2, "more": 6}]
    result = attempt(operator, conf={"n": "five"})
    assert result.detail == "ParamValidationError: the param 'n' must be of type integer, not 'five'"


def test_hooks_run_around_execute_and_see_the_result() -> None:
    calls: list[Any] = []

    class Own(BaseOperator):
        def pre_execute(self, context: Any) -> None:
            calls.append("pre")

        def execute(self, context: Any) -> str:
            calls.append("execute")
            return "result"

        def post_execute(self, context: Any, result: Any = None) -> None:
            calls.append(result)

    with DAG("d"):
        own = Own(task_id="own")
        given = PythonOperator(
            task_id="given",
            python_callable=lambda: 1,
            pre_execute=lambda context: calls.append(context["ds"]),
            post_execute=lambda context, result: calls.append(result),
        )
    assert returned(attempt(own)) == {"return_value": "result"}
    assert calls == ["pre", "execute", "result"]
    attempt(given)
    assert calls[3:] == ["2026-01-01", 1]


def test_an_operator_can_run_again_after_a_try_changed_it() -> None:
    class Own(BaseOperator):
        template_fields = ("text",)

        def __init__(self, *, text: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.text = text

        def execute(self, context: Any) -> str:
            self.leftover = True
            return self.text

    with DAG("d"):
        own = Own(task_id="own", text="{{ try_number }}")
    assert [returned(attempt(own, try_number=number))["return_value"] for number in (1, 2)] == ["1", "2"]
    assert (own.text, hasattr(own, "leftover")) == ("{{ try_number }}", False)


def test_on_kill_can_be_called_at_any_time_on_a_mapped_task() -> None:
    killed: list[str] = []

    class Own(BaseOperator):
        def __init__(self, *, name: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.name = name

        def execute(self, context: Any) -> None:
            mapped.on_kill()

        def on_kill(self) -> None:
            killed.append(self.name)

    with DAG("d"):
        mapped = Own.partial(task_id="own").expand(name=["a", "b"])
    mapped.on_kill()
    attempt(mapped, map_index=1, map_lengths=(2,))
    assert killed == ["b"]


def test_a_function_that_exits_quietly_is_still_an_exit() -> None:
    assert attempt(python_task(lambda: sys.exit(0))).cause is Cause.EXIT
