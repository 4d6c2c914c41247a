"""Sessions, users, tokens, the audit log."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from airloom.api.schemas.base import In, Moment, Out
from airloom.model.access import Role


def _label(value: Any) -> Any:
    return value.label if isinstance(value, Role) else value


#: A role's name; the model's Role is taken too.
RoleName = Annotated[Literal["viewer", "editor", "operator", "admin"], BeforeValidator(_label)]


class LoginWays(Out):
    """How one can log in here."""

    password: bool
    oidc: str | None = Field(default=None, description="The name of the OpenID Connect provider, if there is one.")


class Login(In):
    """Either a one-time code, or a name and a password."""

    code: str | None = Field(default=None, max_length=200)
    username: str | None = Field(default=None, max_length=250)
    password: str | None = Field(default=None, max_length=1000)


class Grant(Out):
    """A role on the dags whose id matches `pattern`, in which * stands for any text."""

    pattern: str
    role: RoleName


class GrantText(In):
    """A grant to be given."""

    pattern: str = Field(min_length=1, max_length=250)
    role: RoleName


class Session(Out):
    """Who is logged in."""

    username: str
    display_name: str
    role: RoleName | None
    grants: list[Grant]
    has_password: bool
    kind: Literal["session", "token"]
    csrf_token: str | None = Field(description="Send it as X-CSRF-Token with what changes something; tokens need none.")
    expires_at: Moment | None
    version: str


class PasswordChange(In):
    """A new password. `old` is needed if there is one."""

    old: str | None = Field(default=None, max_length=1000)
    new: str = Field(min_length=12, max_length=1000)


class User(Out):
    """A user."""

    username: str
    display_name: str
    email: str | None = None
    role: RoleName | None = Field(description="null: nothing but what the grants say")
    grants: list[Grant]
    active: bool
    has_password: bool
    oidc: bool
    created_at: Moment
    last_login_at: Moment | None = None


class UserNew(In):
    """A user to be made."""

    username: str = Field(min_length=1, max_length=250)
    display_name: str = Field(default="", max_length=250)
    email: str | None = Field(default=None, max_length=250)
    role: RoleName | None = "viewer"
    password: str | None = Field(default=None, min_length=12, max_length=1000)
    grants: list[GrantText] = []


class UserPatch(In):
    """What is to change; what is left out stays."""

    display_name: str | None = Field(default=None, max_length=250)
    email: str | None = Field(default=None, max_length=250)
    role: RoleName | None = None
    no_role: bool = Field(default=False, description="Take the role away; the grants stay.")
    active: bool | None = None
    password: str | None = Field(default=None, min_length=12, max_length=1000)
    grants: list[GrantText] | None = None


class LoginLink(Out):
    """A link that logs a user in, once."""

    path: str
    expires_at: Moment


class Token(Out):
    """An API token without its secret."""

    id: str
    name: str
    username: str
    role: RoleName | None = Field(description="Narrows its user's role; null: as the user")
    dags: list[str] | None = Field(description="Patterns of dag ids that it is good for; null: all")
    created_at: Moment
    expires_at: Moment | None
    used_at: Moment | None = None


class TokenNew(In):
    """A token to be made."""

    name: str = Field(min_length=1, max_length=250)
    role: RoleName | None = None
    dags: list[str] | None = None
    days: float | None = Field(default=90, gt=0, le=3650, description="null: it does not expire")


class TokenSecret(Token):
    """A token that has just been made: the secret is shown this once."""

    token: str


class AuditEntry(Out):
    """A change that somebody made."""

    id: int
    at: Moment
    by: str
    via: str
    action: str
    dag_id: str | None = None
    run_id: str | None = None
    subject: str | None = None
    detail: str | None = None
    address: str | None = None
