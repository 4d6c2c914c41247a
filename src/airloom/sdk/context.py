"""The context of a try: what `execute(context)`, templates and the arguments of a task's function can use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from airloom.sdk.exceptions import AirflowException

#: every name that a context can have; a task's function gets those that its signature names
CONTEXT_KEYS = frozenset(
    {
        "conn",
        "dag",
        "dag_run",
        "data_interval_end",
        "data_interval_start",
        "ds",
        "ds_nodash",
        "expanded_ti_count",
        "logical_date",
        "macros",
        "map_index",
        "params",
        "prev_data_interval_end_success",
        "prev_data_interval_start_success",
        "prev_end_date_success",
        "prev_start_date_success",
        "run_id",
        "task",
        "task_instance",
        "task_instance_key_str",
        "templates_dict",
        "test_mode",
        "ti",
        "try_number",
        "ts",
        "ts_nodash",
        "ts_nodash_with_tz",
        "var",
    }
)


class Context(dict[str, Any]):
    """A dict; the values in `later` are made when they are first asked for, because the server has to be asked."""

    def __init__(self, values: dict[str, Any], later: dict[str, Callable[[], Any]] | None = None) -> None:
        super().__init__(values)
        self._later = dict(later or {})

    def __missing__(self, key: str) -> Any:
        make = self._later.get(key)
        if make is None:
            raise KeyError(key)
        value = self[key] = make()
        return value

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in self._later

    def get(self, key: str, default: Any = None) -> Any:
        """The value under `key`, or `default`."""
        try:
            return self[key]
        except KeyError:
            return default

    def everything(self) -> dict[str, Any]:
        """A plain dict with all values, those that have to be asked for too."""
        return {**self, **{key: self[key] for key in self._later}}


_current: Context | None = None


def get_current_context() -> Context:
    """The context of the try that is running, in any of its threads; raises AirflowException outside one."""
    if _current is None:
        raise AirflowException("get_current_context() can be called while a task runs, not in the DAG file's top level")
    return _current


@contextmanager
def running_in(context: Context) -> Iterator[None]:
    """Until the end of the block, `context` is the current one."""
    global _current
    before, _current = _current, context
    try:
        yield
    finally:
        _current = before
