"""`airloom tokens`: on the machine of the database, for whoever may read it."""

from pathlib import Path
from typing import Annotated

import typer

from airloom.cli.output import Format, Output, moment, show_record, show_rows
from airloom.cli.users import on_this_machine, role_option
from airloom.model.errors import InvalidRequest
from airloom.operations import credentials, remote_runners
from airloom.store.credentials import CredentialRow

app = typer.Typer(no_args_is_help=True)

_FOR_EVER = 0.0


@app.callback()
def _root() -> None:
    """List, add and delete API tokens: with one a program does what its user may do, or less."""


@app.command("list")
def list_tokens(
    user: str | None = typer.Option(None, "--user", help="Only this user's."), output: Output = Format.TABLE
) -> None:
    """List the tokens, without their secrets."""
    with on_this_machine() as here:
        rows = [_record(row) for row in credentials.list_tokens(here.ops, user)]
        columns = ["id", "username", "name", "role", "dags", "expires_at", "used_at"]
        show_rows(rows, columns, output, here.zone)


@app.command()
def add(
    username: Annotated[str, typer.Argument(help="Whose token it is.", show_default=False)],
    name: Annotated[str, typer.Argument(help="What it is for.", show_default=False)],
    role: Annotated[str | None, typer.Option("--role", help="No more than this role; default: as its user.")] = None,
    dag: Annotated[
        list[str] | None, typer.Option("--dag", help="Only dags that match, such as etl_*; repeat it.")
    ] = None,
    days: float = typer.Option(90.0, help="How many days it lasts; 0 = for ever.", min=0),
    output: Output = Format.TABLE,
) -> None:
    """Make a token and print it. This is the only time that it is shown.

    Example: airloom tokens add ada "nightly export" --role viewer --days 30
    """
    with on_this_machine() as here:
        made = credentials.make_token(
            here.ops,
            username,
            name,
            role=None if role is None else role_option(role),
            dags=tuple(dag) if dag else None,
            days=None if days == _FOR_EVER else days,
        )
        if output is Format.TABLE:
            typer.echo(made.text)
        else:
            show_record(_record(made.row) | {"token": made.text}, output, here.zone)


@app.command("add-runner")
def add_runner(
    name: Annotated[str, typer.Argument(help="Which runners it is for.", show_default=False)],
    from_file: Annotated[
        Path | None, typer.Option("--from-file", help="Register the token in this file, and print its id.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Make a token for runners on other machines and print it. This is the only time that it is shown.

    It opens nothing but the task API, and there only what goes with the tries that such a runner is given. With
    --from-file it may be run at each start: a token that is registered already stays so.

    Example: airloom tokens add-runner "gpu workers" > /etc/airloom/runner.token
    """
    text = "" if from_file is None else _token_in(from_file)
    with on_this_machine() as here:
        made = remote_runners.make_runner_token(here.ops, name, text)
        if output is not Format.TABLE:
            show_record(_record(made.row) | ({} if text else {"token": made.text}), output, here.zone)
        else:
            typer.echo(f"token {made.row.id} is registered" if text else made.text)


@app.command("list-runners")
def list_runners(output: Output = Format.TABLE) -> None:
    """List the tokens of runners, without their secrets."""
    with on_this_machine() as here:
        rows = [_record(row) for row in remote_runners.list_runner_tokens(here.ops)]
        show_rows(rows, ["id", "username", "name", "created_at"], output, here.zone)


@app.command("delete-runner")
def delete_runner(token_id: Annotated[str, typer.Argument(help="The token's id.", show_default=False)]) -> None:
    """Delete a token of runners; they are refused within seconds, and what they run is given to others."""
    with on_this_machine() as here:
        remote_runners.delete_runner_token(here.ops, token_id)
    typer.echo(f"token {token_id} is deleted")


@app.command()
def delete(token_id: Annotated[str, typer.Argument(help="The token's id.", show_default=False)]) -> None:
    """Delete a token; it is refused from then on."""
    with on_this_machine() as here:
        credentials.delete_token(here.ops, token_id)
    typer.echo(f"token {token_id} is deleted")


def _token_in(path: Path) -> str:
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    if not text:
        raise InvalidRequest(f"{path} is empty")
    return text


def _record(row: CredentialRow) -> dict[str, object]:
    return {
        "id": row.id,
        "username": row.username,
        "name": row.name,
        "role": None if row.role is None else row.role.label,
        "dags": None if row.dags is None else list(row.dags),
        "created_at": moment(row.created_at),
        "expires_at": moment(row.expires_at),
        "used_at": moment(row.used_at),
    }
