"""`airloom explain DAG RUN TASK`: why a task is not running."""

from datetime import tzinfo

import typer

from airloom.cli.opening import opened
from airloom.cli.output import Format, Output, console, moment, show_rows
from airloom.cli.times import date_time
from airloom.cli.verbs import explain as explaining
from airloom.decide.state import WorldConfig
from airloom.model.reasons import Explanation, Reason

app = typer.Typer()


@app.command()
def explain(
    dag_id: str = typer.Argument(help="The DAG's id."),
    run_id: str = typer.Argument(help="The run's id, the beginning of it, or `latest`."),
    task_id: str = typer.Argument(help="The task's id."),
    map_index: int | None = typer.Option(None, "--map-index", help="Only this instance of a mapped task.", min=-1),
    output: Output = Format.TABLE,
) -> None:
    """Say why a task is not running: each dependency, limit, pool, date or missing part that holds it.

    Example: airloom explain flights latest report
    """
    with opened() as here:
        core = here.settings.core
        config = WorldConfig(
            executors=core.executors,
            parallelism=core.parallelism,
            infrastructure_retries=core.infrastructure_retries,
            max_map_length=core.max_map_length,
        )
        found = explaining.explain(here.ops, dag_id, run_id, task_id, map_index, config=config)
        if output is not Format.TABLE:
            show_rows(_rows(found, output), ["task_id", "map_index", "state", "kind", "text"], output, here.zone)
            return
        screen = console()
        for one in found:
            for line in _lines(one, here.zone):
                screen.print(line, markup=False, soft_wrap=True)


def _rows(found: list[Explanation], form: Format) -> list[dict[str, object]]:
    """A row for each TI; in plain lines, for each reason."""
    heads = [
        {
            "dag_id": one.dag_id,
            "run_id": one.run_id,
            "task_id": one.task_id,
            "map_index": None if one.map_index < 0 else one.map_index,
            "state": one.state,
            "try_number": one.try_number,
        }
        for one in found
    ]
    if form is Format.PLAIN:
        return [{**head, **_reason(reason)} for head, one in zip(heads, found, strict=True) for reason in one.reasons]
    return [
        {**head, "reasons": [_reason(reason) for reason in one.reasons]} for head, one in zip(heads, found, strict=True)
    ]


def _reason(reason: Reason) -> dict[str, object]:
    return {
        "kind": reason.kind.value,
        "text": reason.text,
        "holders": list(reason.holders),
        "place": reason.place,
        "of": reason.of,
        "until": moment(reason.until),
    }


def _lines(one: Explanation, zone: tzinfo | None) -> list[str]:
    index = "" if one.map_index < 0 else f"[{one.map_index}]"
    lines = [f"{one.dag_id} / {one.run_id} / {one.task_id}{index}: {one.state.replace('_', ' ')}"]
    for reason in one.reasons:
        lines.append(f"  - {reason.text}")
        if reason.holders:
            lines.append(f"    held by: {', '.join(reason.holders)}")
        if reason.place is not None:
            lines.append(f"    place in line: {reason.place}{'' if reason.of is None else f' of {reason.of}'}")
        if reason.until is not None:
            lines.append(f"    until: {date_time(reason.until, zone)}")
    return lines if one.reasons else [*lines, "  nothing holds it"]
