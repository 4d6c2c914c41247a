"""Reading logs as tests do: whole lines, from a file of this machine or from wherever Airloom has it."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from airloom.model.log_lines import LogLine
from airloom.model.work import Work
from airloom.operations import try_logs
from airloom.operations.log_pages import Place, read_part
from airloom.operations.ops import Ops
from airloom.operations.try_logs import TryLog

_LINES = 1_000_000


def read_log(path: str, offset: int = 0) -> tuple[list[LogLine], int]:
    """The whole lines of a file from byte `offset` on, and the offset to go on from."""
    try:
        with Path(path).open("rb") as file:
            return _rest(file, offset)
    except FileNotFoundError:
        return [], offset


def read_bytes(ops: Ops, log: TryLog) -> bytes:
    """All that there is of a log."""
    with try_logs.open_log(ops, log) as file:
        return file.read()


def lines_of(ops: Ops, log: TryLog) -> list[LogLine]:
    """The whole lines of a log."""
    with try_logs.open_log(ops, log) as file:
        return _rest(file, 0)[0]


def log_of(work: Work) -> TryLog:
    """The log of a try."""
    return TryLog(
        key=work.key, dag_id=work.dag_id, run_id=work.run.run_id, task_id=work.task_id, map_index=work.map_index
    )


def _rest(file: BinaryIO, offset: int) -> tuple[list[LogLine], int]:
    lines: list[LogLine] = []
    at_end = False
    place = Place(offset=offset)
    while not at_end:
        part = read_part(file, place, _LINES)
        lines += [entry.line for entry in part.lines]
        place, at_end = part.place, part.at_end
    return lines, place.offset


def texts(lines: Iterable[LogLine]) -> list[str]:
    """What the lines say."""
    return [line.text for line in lines]
