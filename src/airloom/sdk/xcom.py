"""XComArg: the output of a task, passed on before it exists; and the outputs of a mapped task as a sequence."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from airloom.sdk.edges import DependencyMixin, GraphNode
from airloom.sdk.exceptions import XComNotFound
from airloom.sdk.resolving import Resolvable
from airloom.sdk.source import definition_error

if TYPE_CHECKING:
    from airloom.sdk.operator import BaseOperator

RETURN_KEY = "return_value"


class Missing:
    """Nothing was given, or nothing is there: differs from None, which is a value."""

    def __repr__(self) -> str:
        return "<missing>"


MISSING = Missing()


class XComArg(Resolvable, DependencyMixin):
    """What a task will push under a key. Passing it as an argument makes the receiver run after the task."""

    def __init__(self, operator: "BaseOperator", key: str = RETURN_KEY) -> None:
        self.operator = operator
        self.key = key

    @property
    def nodes(self) -> Sequence[GraphNode]:
        """The task."""
        return (self.operator,)

    def references(self) -> "Iterator[BaseOperator]":
        """The task."""
        return iter((self.operator,))

    def resolve(self, context: Mapping[str, Any]) -> Any:
        """The value that was pushed; for a mapped task a lazy sequence of them. Raises XComNotFound."""
        value = context["ti"].xcom_pull(task_ids=self.operator.task_id, key=self.key, default=MISSING)
        if value is not MISSING:
            return value
        if self.key == RETURN_KEY or self.operator.multiple_outputs:
            return None
        raise XComNotFound(
            f"the task {self.operator.task_id!r} pushed no XCom {self.key!r}; "
            "it has keys of its own if it returns a dict and has multiple_outputs=True"
        )

    def __getitem__(self, key: str) -> "XComArg":
        if not isinstance(key, str):
            raise definition_error(
                f"the output of {self.operator.task_id!r} is known only when it has run: [{key!r}] cannot be taken "
                "from it here (a string takes one of the task's XComs by its key)"
            )
        return XComArg(self.operator, key)

    def __iter__(self) -> Iterator[Any]:
        raise definition_error(
            f"the output of {self.operator.task_id!r} is known only when it has run, so a DAG file cannot loop over "
            "it; use .expand() to run a task for each item"
        )

    def __str__(self) -> str:
        key = "" if self.key == RETURN_KEY else f", key={self.key!r}"
        return f"{{{{ task_instance.xcom_pull(task_ids={self.operator.task_id!r}{key}) }}}}"

    def __repr__(self) -> str:
        return f"XComArg({self.operator.task_id!r}, {self.key!r})"


class LazyXComSequence(Sequence[Any]):
    """The XComs of a mapped task, by map index; fetched at the first use, each decoded when it is asked for."""

    def __init__(self, task_id: str, fetch: Any, decode: Any) -> None:
        self._task_id = task_id
        self._fetch = fetch
        self._decode = decode
        self._rows: list[bytes] | None = None

    def _load(self) -> list[bytes]:
        if self._rows is None:
            self._rows = self._fetch()
        return self._rows

    def __len__(self) -> int:
        return len(self._load())

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self._decode(row) for row in self._load()[index]]
        return self._decode(self._load()[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and not isinstance(other, str) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        size = "not fetched" if self._rows is None else f"{len(self._rows)} items"
        return f"<outputs of {self._task_id}: {size}>"
