"""`airloom`: finds the command, loads its file, and turns errors into a sentence on stderr and an exit status."""

import errno
import importlib
import importlib.metadata
import os
import sys
import traceback
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from airloom.cli.elsewhere import named_server
from airloom.cli.statuses import Status, status_of
from airloom.model.errors import AirloomError, InvalidRequest

#: command -> the module of its typer app, its one-line help. A module is imported only when its command is used:
#: the database library alone takes longer to import than most commands take to run.
COMMANDS: dict[str, tuple[str, str]] = {
    "standalone": ("airloom.cli.standalone", "Run everything on this machine: scheduler, local executor, web UI."),
    "scheduler": ("airloom.cli.scheduler", "Run a scheduler; a second one stands by."),
    "loader": ("airloom.cli.loader", "Watch and parse DAG files; a second one stands by."),
    "api": ("airloom.cli.api", "Run the REST API and the web UI alone."),
    "worker": ("airloom.cli.worker", "Run the tasks of some queues on this machine, with Celery."),
    "pod": ("airloom.cli.pod", "Run the one try that a pod of Kubernetes was made for."),
    "flower": ("airloom.cli.flower", "Run Flower, Celery's monitor."),
    "run": ("airloom.cli.run", "Run one DAG file here and now, without a server or a database."),
    "bundles": ("airloom.cli.bundles", "List the bundles: folders and repositories of DAG files."),
    "dags": ("airloom.cli.dags", "List, show, trigger, pause and delete DAGs."),
    "runs": ("airloom.cli.runs", "List, show, clear and cancel runs."),
    "tasks": ("airloom.cli.tasks", "List task instances, show their states and logs, clear them."),
    "explain": ("airloom.cli.explain", "Say why a task is not running."),
    "pools": ("airloom.cli.pools", "List, set and delete pools."),
    "workers": ("airloom.cli.workers", "List, drain, resume and stop workers."),
    "kubernetes": ("airloom.cli.kubernetes", "Show the pods of tasks, check the clusters, delete what is left over."),
    "variables": ("airloom.cli.variables", "List, get, set, delete, import and export variables."),
    "connections": ("airloom.cli.connections", "List, get, add and delete connections."),
    "users": ("airloom.cli.users", "List, add, change and delete users; make one-time login links."),
    "tokens": ("airloom.cli.tokens", "List, add and delete API tokens."),
    "health": ("airloom.cli.health", "Show whether every part works, or check the one of this machine."),
    "db": ("airloom.cli.db", "Migrate, check, downgrade and clean the database."),
    "config": ("airloom.cli.config", "Show every setting, its value and where that comes from."),
    "version": ("airloom.cli.version", "Show the version of Airloom."),
}

#: the commands that work on a server elsewhere, too
REMOTE = ("dags", "runs", "tasks", "explain", "pools", "workers", "variables", "connections")

EPILOG = (
    "Exit statuses: 0 done; 1 the run or task failed; 2 wrong usage; 3 not found; 4 conflict; "
    "5 settings or database not usable; 6 no scheduler answered; 70 a fault in Airloom; 130 interrupted."
)

#: options that every app of typer's brings
_COMPLETION = ("install_completion", "show_completion")
#: what a disk that is full or broken says, mostly to where the output goes
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})


class LazyGroup(TyperGroup):
    """Knows its commands by name and help; imports the one that is used."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, (_, text) in COMMANDS.items():
            self.add_command(TyperCommand(name, help=text), name)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Replace the placeholder that was found by the real command."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in COMMANDS:
            loaded = importlib.import_module(COMMANDS[name][0]).app
            # In the others, what stands in brackets is markup of rich's: [worker] would vanish from a help.
            loaded.rich_markup_mode = "markdown"
            command = typer.main.get_command(loaded)
            # The shell's completion is installed once, for all of them.
            command.params = [param for param in command.params if param.name not in _COMPLETION]
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an AirloomError becomes its text on stderr and its exit status."""
        try:
            return super().invoke(ctx)
        except AirloomError as error:
            if os.environ.get("AIRLOOM_DEBUG"):
                traceback.print_exc()
            typer.echo(f"airloom: {error}", err=True)
            raise typer.Exit(status_of(error)) from None


app = typer.Typer(
    name="airloom",
    cls=LazyGroup,
    help="Run and watch DAGs of tasks.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(importlib.metadata.version("airloom"))
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=_show_version, is_eager=True),
    server: str | None = typer.Option(
        None,
        "--server",
        metavar="URL",
        help="Work on a server elsewhere, with the token in AIRLOOM_TOKEN. AIRLOOM_SERVER names one for good.",
    ),
) -> None:
    """Run and watch DAGs of tasks."""
    named_server.set(server)
    if server and context.invoked_subcommand not in REMOTE:
        raise InvalidRequest(
            f"{context.invoked_subcommand} works on this machine only; with --server there are {', '.join(REMOTE)}"
        )


def main() -> None:
    """The console script. AIRLOOM_DEBUG=1 shows the traceback of an error."""
    try:
        app(prog_name="airloom")
    except Exception as error:
        if os.environ.get("AIRLOOM_DEBUG"):
            raise
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            typer.echo(f"airloom: it cannot write: {error.strerror}", err=True)
            sys.exit(Status.FAILED)
        typer.echo(
            f"airloom: {type(error).__name__}: {error}\n"
            "This is a fault in Airloom. Please report it with the output of the same command under AIRLOOM_DEBUG=1.",
            err=True,
        )
        sys.exit(Status.DEFECT)
