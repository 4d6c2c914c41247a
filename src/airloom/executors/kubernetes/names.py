"""What pods and their labels are called: legal for every dag and task id, and the same each time for the same try."""

import re
from collections.abc import Mapping
from hashlib import sha256

from airloom.model.pod_shape import OWN_PREFIX
from airloom.model.report import TryKey
from airloom.model.work import Work

#: characters that a pod's name has, so that its host's name is not cut off
LONGEST_NAME = 63
_LONGEST_LABEL = 63
_HASH = 8
#: characters of the database's id in names: two installations may share a namespace
_OWNER = 6

INSTALLATION = f"{OWN_PREFIX}installation"
EXECUTOR = f"{OWN_PREFIX}executor"
TI, TRY = f"{OWN_PREFIX}ti", f"{OWN_PREFIX}try"
DAG, TASK, RUN, MAP_INDEX = (f"{OWN_PREFIX}{what}" for what in ("dag", "task", "run", "map-index"))
#: whole ids, which labels may have to cut
DAG_ID, TASK_ID, RUN_ID = (f"{OWN_PREFIX}{what}-id" for what in ("dag", "task", "run"))

_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_.-]+")


def pod_name(owner: str, work: Work) -> str:
    """The name of a try's pod: who it is of, and what nothing else in the namespace has. owner: the database's id."""
    tail = f"-{_slug(owner)[:_OWNER]}-{work.key.ti_id}-{work.key.try_number}"
    room = LONGEST_NAME - len("airloom") - len(tail) - 2
    dag, task = _slug(work.dag_id), _slug(work.task_id)
    # The task's id says more than the dag's, and has what the dag's leaves of the room.
    dag = dag[: max(room // 2, room - len(task))].strip("-")
    task = task[: room - len(dag)].strip("-")
    return "-".join(filter(None, ("airloom", dag, task))) + tail


def labels_of(owner: str, executor: str, work: Work) -> dict[str, str]:
    """The labels by which a pod is found and known as this try's."""
    return {
        **{INSTALLATION: label(owner), EXECUTOR: label(executor)},
        **{TI: str(work.key.ti_id), TRY: str(work.key.try_number)},
        **{DAG: label(work.dag_id), TASK: label(work.task_id), RUN: label(work.run.run_id)},
        **({MAP_INDEX: str(work.map_index)} if work.map_index >= 0 else {}),
    }


def annotations_of(work: Work) -> dict[str, str]:
    """The whole ids, for people and their tools."""
    return {DAG_ID: work.dag_id, TASK_ID: work.task_id, RUN_ID: work.run.run_id}


def selector(owner: str, executor: str) -> str:
    """What selects all objects of this installation's executor."""
    return f"{INSTALLATION}={label(owner)},{EXECUTOR}={label(executor)}"


def key_of(labels: Mapping[str, str]) -> TryKey | None:
    """The try that a pod is of; None for a pod that is of none."""
    try:
        return TryKey(int(labels[TI]), int(labels[TRY]))
    except (KeyError, ValueError):
        return None


def label(text: str) -> str:
    """A text as the value of a label: itself if it can be one, else what is left of it with a hash of the whole."""
    legal = _NOT_IN_LABELS.sub("-", text).strip("-_.")
    if legal == text and len(text) <= _LONGEST_LABEL:
        return text
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
    start = legal[: _LONGEST_LABEL - _HASH - 1].rstrip("-_.")
    return f"{start}-{digest}" if start else digest


def _slug(text: str) -> str:
    return _NOT_IN_NAMES.sub("-", text.lower()).strip("-")
