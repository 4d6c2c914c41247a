"""`airloom kubernetes`: the pods of tasks, and what they need of their clusters."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from airloom.cli.opening import load_settings
from airloom.cli.output import Format, Output, show_record, show_rows, to_yaml
from airloom.cli.statuses import Status
from airloom.operations.ops import Ops, open_ops
from airloom.wiring.parts import local_settings
from airloom.wiring.process import with_extra

app = typer.Typer(no_args_is_help=True)

_CHECKS = ["cluster", "namespace", "check", "verdict", "text"]
_LEFTOVERS = ["cluster", "namespace", "kind", "name", "why"]
_WHAT = ("airloom kubernetes", "kubernetes")


class _Told(NamedTuple):
    """What the commands work with; the modules are loaded when they are needed, for they need an extra's packages.

    parts: operations.kubernetes; settings: its KubernetesSettings; hook: the mutation hook, or None.
    """

    ops: Ops
    parts: Any
    settings: Any
    hook: Any


@contextmanager
def _told() -> Iterator[_Told]:
    parts, wired = (
        with_extra(module, *_WHAT) for module in ("airloom.operations.kubernetes", "airloom.wiring.kubernetes")
    )
    loaded = load_settings().settings
    with open_ops(loaded) as ops:
        runner = local_settings(loaded, ops.db, loaded.core.home, loaded.bundles)
        told = parts.with_namespaces(wired.kubernetes_settings(loaded, runner))
        with wired.mutation_hook(told) as hook:
            yield _Told(ops, parts, told, hook)


@app.callback()
def _root() -> None:
    """Show the pods of tasks, check the clusters, delete what is left over."""


@app.command("pod-spec")
def pod_spec(
    dag_id: Annotated[str, typer.Argument(help="The DAG's id.", show_default=False)],
    task_id: Annotated[str, typer.Argument(help="The task's id.", show_default=False)],
    run: Annotated[
        str | None, typer.Option("--run", help="As in this run: its id, the beginning of it, or latest.")
    ] = None,
    map_index: Annotated[int | None, typer.Option(help="Of a mapped task's, with --run.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Have the cluster say what it makes of it.")] = False,
    output: Annotated[Format, typer.Option("--output", "-o", help="yaml or json.")] = Format.YAML,
) -> None:
    """Show the pod that the executor would make for a task, as YAML: for `kubectl apply --dry-run=server -f -`, too.

    With --check it is what the cluster would keep, with its defaults and what its webhooks change; nothing is made.

    Example: airloom kubernetes pod-spec flights load --check
    """
    with _told() as (ops, parts, settings, hook):
        work = parts.example_work(ops, dag_id, task_id, run, map_index)
        pod = parts.pod_spec(work, settings, hook)
        if check:
            with parts.connected(settings) as apis:
                pod = parts.checked(pod, work, settings, apis)
    if output is Format.JSON:
        show_record(pod, output)
    else:
        typer.echo(to_yaml(pod), nl=False)


@app.command()
def doctor(
    pod: Annotated[bool, typer.Option(help="Run a pod that looks whether it reaches the API.")] = True,
    wait: Annotated[float, typer.Option(min=1.0, help="Seconds that the pod may take.")] = 180.0,
    output: Output = Format.TABLE,
) -> None:
    """Check each cluster and namespace: rights, quotas, and a pod that is like those of tasks. Exit status 1: something
    is wrong.

    Example: airloom kubernetes doctor --no-pod
    """
    with _told() as (_, parts, settings, hook):
        examination = with_extra("airloom.operations.kubernetes_doctor", *_WHAT)
        with parts.connected(settings) as apis:
            found = list(examination.examine(settings, apis, hook, wait if pod else 0.0))
    show_rows([msgspec.structs.asdict(one) for one in found], _CHECKS, output)
    if any(one.verdict is examination.Verdict.WRONG for one in found):
        raise typer.Exit(Status.FAILED)


@app.command()
def cleanup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be deleted.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Delete the pods of tries that are over, those kept for a look among them, and the Secrets that no pod uses.

    Nothing that lives is touched. The executor deletes what is left over itself; this is for what it cannot: it was
    taken out of the settings, say.

    Example: airloom kubernetes cleanup --dry-run
    """
    with _told() as (ops, parts, settings, _), parts.connected(settings) as apis:
        found = parts.clean_up(ops, settings, apis, dry_run=dry_run)
    show_rows([msgspec.structs.asdict(one) for one in found], _LEFTOVERS, output)
