"""Verbs that show dags to people: lists with what is of interest at a glance, versions, code."""

from collections.abc import Callable
from typing import Any

import msgspec

from airloom.model.errors import NotFound
from airloom.model.spec import DagSpec
from airloom.model.states import RunState
from airloom.operations.catalogue import Outline
from airloom.operations.ops import Ops
from airloom.store import dag_lists, dags
from airloom.store.dag_lists import DagHead, RunHead, VersionHead
from airloom.store.dags import ImportErrorRow

#: how many bars a dag has in a list
LAST_RUNS = 14
#: the place of what never comes
_NEVER = 1e18

#: whether somebody may know of a dag
Sees = Callable[[str], bool]


class DagCard(msgspec.Struct, frozen=True, kw_only=True):
    """A dag as lists show it. `spec` has no tasks."""

    head: DagHead
    spec: DagSpec
    task_count: int
    next_run_after: float | None
    has_import_errors: bool
    last_runs: list[RunHead]


class DagChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which dags are wanted; None: any. order: dag_id, -last_run (newest run first) or next_run (soonest first)."""

    search: str = ""
    tags: tuple[str, ...] = ()
    paused: bool | None = None
    active: bool | None = None
    last_run_state: tuple[RunState, ...] = ()
    order: str = "dag_id"


class DagPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the list of dags, and the place behind it."""

    cards: list[DagCard]
    next: tuple[float, str] | None


def list_dags(ops: Ops, choice: DagChoice, sees: Sees, after: tuple[float, str] | None, limit: int) -> DagPart:
    """The dags of a choice that the caller sees, from behind the place `after` on."""
    now = ops.now()
    with ops.db.reading() as conn:
        heads = [head for head in dag_lists.dag_heads(conn) if sees(head.dag_id)]
        outlines = ops.catalogue.outlines(conn, [head.version_id for head in heads])
        newest = dag_lists.newest_runs(conn) if choice.last_run_state or choice.order == "-last_run" else {}

        def place(head: DagHead) -> tuple[float, str]:
            rank = 0.0
            if choice.order == "-last_run":
                rank = -newest[head.dag_id][0] if head.dag_id in newest else 0.0
            elif choice.order == "next_run":
                due = ops.catalogue.next_run_after(head, outlines[head.version_id], now)
                rank = _NEVER if due is None else due
            return rank, head.dag_id

        fitting = [head for head in heads if _fits(choice, head, outlines[head.version_id].spec, newest)]
        placed = sorted(((place(head), head) for head in fitting), key=lambda entry: entry[0])
        rest = placed if after is None else [entry for entry in placed if entry[0] > after]
        part = rest[:limit]
        cards = _cards(ops, conn, [head for _, head in part], outlines)
    return DagPart(cards=cards, next=part[-1][0] if len(rest) > limit else None)


def get_dag(ops: Ops, dag_id: str) -> DagCard:
    """One dag. Raises NotFound."""
    with ops.db.reading() as conn:
        head = head_of(conn, dag_id)
        return _cards(ops, conn, [head], ops.catalogue.outlines(conn, [head.version_id]))[0]


def list_tags(ops: Ops, sees: Sees) -> list[tuple[str, int]]:
    """The tags of active dags that the caller sees, and how many dags have each."""
    counts: dict[str, int] = {}
    with ops.db.reading() as conn:
        heads = [head for head in dag_lists.dag_heads(conn) if head.active and sees(head.dag_id)]
        outlines = ops.catalogue.outlines(conn, [head.version_id for head in heads])
    for head in heads:
        for tag in set(outlines[head.version_id].spec.tags):
            counts[tag] = counts.get(tag, 0) + 1
    return sorted(counts.items())


def visible(ops: Ops, sees: Sees) -> tuple[str, ...]:
    """The ids of the dags that somebody sees who does not see all."""
    with ops.db.reading() as conn:
        return tuple(dag_id for dag_id in dag_lists.dag_ids(conn) if sees(dag_id))


def list_versions(
    ops: Ops, dag_id: str, before: int | None, limit: int
) -> tuple[list[tuple[VersionHead, int]], int | None]:
    """Versions with their numbers of tasks, newest first; and the number to go on from. Raises NotFound."""
    with ops.db.reading() as conn:
        head_of(conn, dag_id)
        heads = dag_lists.version_heads(conn, dag_id, limit + 1, before)
        outlines = ops.catalogue.outlines(conn, [head.id for head in heads[:limit]])
    found = [(head, outlines[head.id].task_count) for head in heads[:limit]]
    return found, heads[limit - 1].number if len(heads) > limit else None


def get_code(ops: Ops, dag_id: str, number: int) -> tuple[VersionHead, str]:
    """The text of the DAG file of a version. Raises NotFound."""
    with ops.db.reading() as conn:
        version = _version(conn, dag_id, number)
        source = dags.source(conn, version.file_hash)
    if source is None:
        raise NotFound(f"the text of version {number} of dag {dag_id} is not kept")
    return version, source


def get_structure(ops: Ops, dag_id: str, number: int | None) -> tuple[int, DagSpec]:
    """Number and spec of a version; None: the current one. Raises NotFound."""
    with ops.db.reading() as conn:
        if number is None:
            head = head_of(conn, dag_id)
            return head.version, ops.catalogue.spec(conn, head.version_id)
        return number, ops.catalogue.spec(conn, _version(conn, dag_id, number).id)


def import_errors(ops: Ops, sees: Sees | None) -> list[ImportErrorRow]:
    """What could not be loaded. sees: whoever does not see all dags gets only what is wrong with those they see."""
    with ops.db.reading() as conn:
        found = dags.import_errors(conn)
        if sees is None:
            return found
        files = {(head.bundle, head.rel_path) for head in dag_lists.dag_heads(conn) if sees(head.dag_id)}
    return [
        error
        for error in found
        if (sees(error.dag_id) if error.dag_id is not None else (error.bundle, error.rel_path) in files)
    ]


def require_dag(ops: Ops, dag_id: str) -> None:
    """Raise NotFound unless there is such a dag, without a word of others."""
    with ops.db.reading() as conn:
        head_of(conn, dag_id)


def head_of(conn: Any, dag_id: str) -> DagHead:
    """A dag without its spec. Raises NotFound."""
    found = dag_lists.dag_heads(conn, dag_id)
    if not found:
        raise NotFound(f"there is no dag {dag_id!r}")
    return found[0]


def _version(conn: Any, dag_id: str, number: int) -> VersionHead:
    found = dag_lists.version_heads(conn, dag_id, number=number)
    if not found:
        newest = head_of(conn, dag_id).version
        raise NotFound(f"dag {dag_id} has no version {number}; the current one is {newest}")
    return found[0]


def _fits(choice: DagChoice, head: DagHead, spec: DagSpec, newest: dict[str, tuple[int, RunState]]) -> bool:
    if choice.paused is not None and head.paused != choice.paused:
        return False
    if choice.active is not None and head.active != choice.active:
        return False
    if not set(choice.tags) <= set(spec.tags):
        return False
    if choice.last_run_state and (head.dag_id not in newest or newest[head.dag_id][1] not in choice.last_run_state):
        return False
    wanted = choice.search.casefold().split()
    text = " ".join((head.dag_id, spec.display_name or "", spec.description or "", *spec.tags)).casefold()
    return all(word in text for word in wanted)


def _cards(ops: Ops, conn: Any, heads: list[DagHead], outlines: dict[int, Outline]) -> list[DagCard]:
    bars = dag_lists.last_runs(conn, [head.dag_id for head in heads], LAST_RUNS)
    named, files = dag_lists.broken(conn)
    now = ops.now()
    return [
        DagCard(
            head=head,
            spec=outlines[head.version_id].spec,
            task_count=outlines[head.version_id].task_count,
            next_run_after=ops.catalogue.next_run_after(head, outlines[head.version_id], now),
            has_import_errors=head.dag_id in named or (head.bundle, head.rel_path) in files,
            last_runs=bars[head.dag_id],
        )
        for head in heads
    ]
