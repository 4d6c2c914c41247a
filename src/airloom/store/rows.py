"""Between the structs of model/ and rows of tables: plain dicts whose keys are the columns."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Result, Row

from airloom.model.run import DagRow, RunRow, TIRow, VersionRow
from airloom.model.spec import DagSpec, decode

#: Columns that hold JSON as text, because their fields are objects.
_JSON_COLUMNS = ("conf", "skip", "modules")
#: Columns whose text was written by someone's program, and may be anything.
_FOREIGN_TEXT = ("detail", "key")

T = TypeVar("T")


def to_rows(structs: Sequence[Any]) -> list[dict[str, Any]]:
    """Structs, or dicts of their fields that all have the same keys, as rows to write."""
    rows: list[dict[str, Any]] = msgspec.to_builtins(structs, builtin_types=(bytes,))
    if not rows:
        return rows
    for column in _JSON_COLUMNS:
        if column in rows[0]:
            for row in rows:
                if row[column] is not None:
                    row[column] = msgspec.json.encode(row[column]).decode()
    for column in _FOREIGN_TEXT:
        if column in rows[0]:
            for row in rows:
                if row[column] is not None:
                    row[column] = storable(row[column])
    return rows


def to_structs(kind: type[T], rows: Iterable[Row[Any]]) -> list[T]:
    """Rows that were read as structs of `kind`; the columns are named as its fields."""
    # To iterate over a result takes several times as long.
    found = rows.all() if isinstance(rows, Result) else list(rows)
    if not found:
        return []
    # Exactly str: some of SQLAlchemy's names are a subclass of it.
    names = [str(name) for name in found[0]._fields]
    dicts = [dict(zip(names, row, strict=True)) for row in found]
    for column in _JSON_COLUMNS:
        if column in names:
            for values in dicts:
                if values[column] is not None:
                    values[column] = msgspec.json.decode(values[column])
    return msgspec.convert(dicts, list[kind])  # type: ignore[valid-type]


def storable(text: str) -> str:
    """`text` without what a database's text cannot hold: NUL characters and lone surrogates become marks."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def to_run(row: Row[Any]) -> RunRow:
    """A row of dag_run."""
    return to_structs(RunRow, [row])[0]


def to_ti(row: Row[Any]) -> TIRow:
    """A row of task_instance."""
    return to_structs(TIRow, [row])[0]


class Specs:
    """Decodes specs, each version's once, so that a dag and its runs share one object."""

    def __init__(self) -> None:
        self._known: dict[int, DagSpec] = {}

    def of(self, version_id: int, data: bytes) -> DagSpec:
        """The spec of a version."""
        spec = self._known.get(version_id)
        if spec is None:
            spec = self._known[version_id] = decode(bytes(data))
        return spec

    def version(self, row: Row[Any]) -> VersionRow:
        """A row of dag_version."""
        values = row._asdict()
        values["spec"] = self.of(values["id"], values["spec"])
        return VersionRow(**values)

    def dag(self, row: Row[Any]) -> DagRow:
        """A row of dag joined with its version's spec."""
        values = row._asdict()
        values["spec"] = self.of(values["version_id"], values["spec"])
        return DagRow(**values)
