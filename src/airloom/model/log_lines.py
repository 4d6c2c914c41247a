"""A try's log as data: its lines, and what it is called wherever it lies.

A log has one JSON object a line: t (ISO time), level, source (stdout, stderr, task, runner or rendered), text, logger.
"""

import hashlib
import re

import msgspec

#: source of the line that has the template fields as they were filled in: a JSON object, field -> text
RENDERED = "rendered"
_LONGEST_NAME = 200
_UNSAFE = re.compile(r"[^A-Za-z0-9_.:+=@ -]")


class LogLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a log. `logger`: the name of the logger, for lines from the task's logging."""

    t: str
    level: str
    source: str
    text: str
    logger: str | None = None


def log_folder(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """The folder of a task instance's logs, below that of all logs."""
    parts = [_safe("dag_id", dag_id), _safe("run_id", run_id), _safe("task_id", task_id)]
    return "/".join(parts if map_index < 0 else (*parts, f"map_index={map_index}"))


def log_name(dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int) -> str:
    """The file of a try's log, below the folder of all logs."""
    return f"{log_folder(dag_id, run_id, task_id, map_index)}/attempt={try_number}.log"


def _safe(label: str, id: str) -> str:
    name = _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match.group().encode()), id)
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}-{hashlib.sha1(id.encode(), usedforsecurity=False).hexdigest()}"
    return f"{label}={name}"
