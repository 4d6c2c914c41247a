"""`ti` and `dag_run` of the context: the try that is running, and its run."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airloom.model.report import Skip, XComValue
from airloom.model.wire import GetXCom
from airloom.model.work import RunInfo, Work
from airloom.sdk.client import TaskClient
from airloom.sdk.exceptions import AirflowException
from airloom.sdk.xcom import RETURN_KEY, LazyXComSequence
from airloom.sdk.xcom_codec import MAX_BYTES, decode, encode

if TYPE_CHECKING:
    from airloom.sdk.operator import BaseOperator


def moment(seconds: float | None) -> datetime | None:
    """Seconds since the epoch as a datetime in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


class DagRun:
    """The run that a try belongs to. The dates are datetimes in UTC, or None."""

    def __init__(self, dag_id: str, info: RunInfo) -> None:
        self.dag_id = dag_id
        self.run_id = info.run_id
        self.run_type = info.run_type
        self.conf = dict(info.conf)
        self.logical_date = moment(info.logical_date)
        self.data_interval_start = moment(info.data_interval_start)
        self.data_interval_end = moment(info.data_interval_end)
        self.run_after = moment(info.run_after)
        self.start_date = moment(info.started_at)
        self.triggering_user_name = info.triggered_by

    def __repr__(self) -> str:
        return f"<DagRun {self.dag_id} {self.run_id}>"


class TaskInstance:
    """The task instance whose try is running."""

    def __init__(
        self, task: "BaseOperator", work: Work, client: TaskClient, xcom_limit: int | None = MAX_BYTES
    ) -> None:
        self.task = task
        self.dag_id = work.dag_id
        self.task_id = work.task_id
        self.run_id = work.run.run_id
        self.map_index = work.map_index
        self.try_number = work.key.try_number
        self.max_tries = work.max_tries
        self.queue = work.queue
        self.start_date = datetime.now(UTC)
        self.state = "running"
        self.dag_run = DagRun(work.dag_id, work.run)
        self.skip: Skip | None = None
        self._client = client
        self.xcom_limit = xcom_limit
        self._pushed: dict[str, bytes] = {}

    @property
    def operator(self) -> str:
        """What kind of task it is."""
        return self.task.operator_name

    def get_dagrun(self) -> DagRun:
        """The run."""
        return self.dag_run

    def request_skip(self, skip: Skip) -> None:
        """Have tasks downstream skipped if this try succeeds."""
        self.skip = skip

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep a value for other tasks. Raises XComEncodeError for one without a JSON form."""
        if not isinstance(key, str) or not key:
            raise AirflowException(f"an XCom's key is a name (a string), not {key!r}")
        data = encode(value, f"the XCom {key!r}", self.xcom_limit)
        self._client.push_xcom(XComValue(key=key, value=data))
        self._pushed[key] = data

    def xcom_pull(
        self,
        task_ids: str | Iterable[str] | None = None,
        key: str = RETURN_KEY,
        *,
        dag_id: str | None = None,
        run_id: str | None = None,
        map_indexes: int | Iterable[int] | None = None,
        default: Any = None,
    ) -> Any:
        """What other tasks (or, without task_ids, this one) keep under `key`.

        For one task id: its value, or `default`; for a mapped task without map_indexes a lazy sequence. For several
        ids a list, which has each value of a mapped task for itself.
        """
        where = {"dag_id": dag_id, "run_id": run_id}
        if task_ids is None or isinstance(task_ids, str):
            return self._pull(task_ids or self.task_id, key, map_indexes, default, where)
        values: list[Any] = []
        for task_id in task_ids:
            value = self._pull(task_id, key, map_indexes, default, where)
            if isinstance(value, LazyXComSequence):
                values.extend(value)
            else:
                values.append(value)
        return values

    def _pull(
        self, task_id: str, key: str, indexes: int | Iterable[int] | None, default: Any, where: dict[str, str | None]
    ) -> Any:
        if indexes is None and self._is_mapped(task_id, where):
            return LazyXComSequence(
                task_id, lambda: [data for _, data in self._rows(task_id, key, None, where)], decode
            )
        if indexes is not None and not isinstance(indexes, int):
            return [self._pull(task_id, key, index, default, where) for index in indexes]
        own = task_id == self.task_id and where == {"dag_id": None, "run_id": None}
        if own and key in self._pushed and indexes in (None, self.map_index):
            return decode(self._pushed[key])
        wanted = indexes if indexes is not None else self.map_index if own else None
        rows = self._rows(task_id, key, wanted, where)
        return decode(rows[0][1]) if rows else default

    def _is_mapped(self, task_id: str, where: dict[str, str | None]) -> bool:
        dag = self.task.dag
        if dag is None or task_id == self.task_id or where["dag_id"] not in (None, self.dag_id):
            return False
        return dag.has_task(task_id) and dag.get_task(task_id).is_mapped

    def _rows(
        self, task_id: str, key: str, map_index: int | None, where: dict[str, str | None]
    ) -> list[tuple[int, bytes]]:
        rows = self._client.ask(GetXCom(task_id=task_id, key=key, map_index=map_index, **where))
        return [(index, bytes(data)) for index, data in rows]

    def __repr__(self) -> str:
        index = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"<TaskInstance {self.dag_id}.{self.task_id}{index} {self.run_id}>"
