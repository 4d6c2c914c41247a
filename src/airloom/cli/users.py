"""`airloom users`: on the machine of the database, for whoever may read it."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from msgspec import UNSET

from airloom.cli.opening import Opened, confirm, opened
from airloom.cli.output import Format, Output, moment, show_record, show_rows
from airloom.model.access import Grant, Role, role_named
from airloom.model.errors import InvalidRequest
from airloom.operations import users
from airloom.operations.ops import Ops
from airloom.operations.users import UserChange
from airloom.sections import ApiSection
from airloom.store.accounts import AccountRow

app = typer.Typer(no_args_is_help=True)

_NONE = "none"
_ROLES = ", ".join(role.label for role in Role)

Name = Annotated[str, typer.Argument(help="The user's name.", show_default=False)]
RoleName = Annotated[str | None, typer.Option("--role", help=f"{_ROLES}, or none: only what is granted.")]
Grants = Annotated[
    list[str] | None,
    typer.Option(
        "--grant", metavar="ROLE:DAGS", help="A role on the dags that match, such as editor:etl_*; repeat it."
    ),
]
Password = Annotated[
    bool, typer.Option("--password", help="Give a password: asked for, or read from stdin where that is no terminal.")
]
DisplayName = Annotated[str | None, typer.Option("--name", help="What people call them.")]
Email = Annotated[str | None, typer.Option("--email", help="Their address.")]


@app.callback()
def _root() -> None:
    """List, add, change and delete users, and make one-time links that let them in."""


@app.command("list")
def list_users(output: Output = Format.TABLE) -> None:
    """List the users."""
    with on_this_machine() as here:
        rows = [_record(user) for user in users.list_users(here.ops)]
        show_rows(rows, ["username", "role", "grants", "active", "login", "last_login_at"], output, here.zone)


@app.command()
def add(
    username: Name,
    role: RoleName = Role.VIEWER.label,
    grant: Grants = None,
    password: Password = False,
    name: DisplayName = None,
    email: Email = None,
) -> None:
    """Add a user. Without a password they come by a one-time link: `airloom users link`.

    Example: airloom users add ada --role editor --password
    """
    first = _change(role, grant, _read_password() if password else None, name, email)
    with on_this_machine() as here:
        users.add_user(here.ops, username, first)
    typer.echo(f"user {username} is added")


@app.command("set")
def set_user(
    username: Name,
    role: RoleName = None,
    grant: Annotated[
        list[str] | None,
        typer.Option("--grant", metavar="ROLE:DAGS", help="In the place of all before; repeat it, or give none once."),
    ] = None,
    password: Password = False,
    name: DisplayName = None,
    email: Email = None,
    active: bool | None = typer.Option(None, "--active/--inactive", help="Whether they may log in."),
) -> None:
    """Change what is given of a user. A new password ends their sessions; --inactive ends their tokens as well.

    Example: airloom users set ada --role operator --grant editor:etl_*
    """
    change = _change(role, grant, _read_password() if password else None, name, email, active)
    with on_this_machine() as here:
        users.change_user(here.ops, username, change)
    typer.echo(f"user {username} is changed")


@app.command()
def delete(username: Name, yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask.")) -> None:
    """Delete a user with their sessions and tokens. What they did stays in the audit log."""
    confirm(f"Delete user {username} with their sessions and tokens?", yes=yes)
    with on_this_machine() as here:
        users.delete_user(here.ops, username)
    typer.echo(f"user {username} is deleted")


@app.command()
def link(username: Name, output: Output = Format.TABLE) -> None:
    """Print a link that logs a user in, once, within a day; older links of theirs are void.

    Example: airloom users link admin
    """
    with on_this_machine() as here:
        made = users.make_link(here.ops, username)
        address = _base_url(here.settings.api, *users.served_at(here.ops)) + made.path
        if output is Format.TABLE:
            typer.echo(address)
        else:
            record = {"username": username, "link": address, "expires_at": moment(made.expires_at)}
            show_record(record, output, here.zone)


@contextmanager
def on_this_machine() -> Iterator[Opened]:
    """Settings and database. Raises InvalidRequest where a server elsewhere is named: who may read the database decides
    here who may log in."""
    with opened() as here:
        if not isinstance(here.ops, Ops):
            raise InvalidRequest(
                "users and tokens are managed on the machine of the database, or in the web UI: leave --server away"
            )
        yield here


def _base_url(api: ApiSection, served_at: str, host: str) -> str:
    if api.base_url:
        return api.base_url.rstrip("/")
    if served_at:
        if host != socket.gethostname():
            typer.echo(f"the API runs on {host}: this is how it is reached there, unless [api] base_url says", err=True)
        # Its command line may have named another place than the settings.
        return served_at
    typer.echo("no API runs now: the link is for one that is started as the settings say, at [api] port", err=True)
    if api.port == 0:
        # Any free port: the server has said which.
        return ""
    host = "127.0.0.1" if api.host in ("0.0.0.0", "::") else api.host
    return f"{'https' if api.tls_certificate else 'http'}://{f'[{host}]' if ':' in host else host}:{api.port}"


def _change(
    role: str | None,
    grants: list[str] | None,
    password: str | None,
    name: str | None,
    email: str | None,
    active: bool | None = None,
) -> UserChange:
    return UserChange(
        role=UNSET if role is None else role_option(role),
        grants=UNSET if grants is None else tuple(_grant(text) for text in grants if text != _NONE),
        password=UNSET if password is None else password,
        display_name=UNSET if name is None else name,
        email=UNSET if email is None else email,
        active=UNSET if active is None else active,
    )


def role_option(name: str) -> Role | None:
    """The role of that name; None for `none`. Raises InvalidRequest."""
    if name == _NONE:
        return None
    try:
        return role_named(name)
    except KeyError:
        raise InvalidRequest(f"{name!r} is no role: there are {_ROLES}") from None


def _grant(text: str) -> Grant:
    name, colon, pattern = text.partition(":")
    role = role_option(name) if colon else None
    if role is None:
        raise InvalidRequest(f"{text!r} is no grant: write it as ROLE:DAGS, such as editor:etl_*")
    return Grant(pattern=pattern, role=role)


def _read_password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\n")


def _record(user: AccountRow) -> dict[str, object]:
    ways = [way for way, there in (("password", user.has_password), ("OpenID Connect", user.oidc)) if there]
    return {
        "username": user.username,
        "display_name": user.display_name,
        "email": user.email,
        "role": None if user.role is None else user.role.label,
        "grants": [f"{grant.role.label}:{grant.pattern}" for grant in user.grants],
        "active": user.active,
        "login": ways or ["link"],
        "created_at": moment(user.created_at),
        "last_login_at": moment(user.last_login_at),
    }
