"""Authorisation: one table of what each route needs, and the one dependency that applies it.

Every route under /api/v1 passes here; one that is not in the table is refused to everybody.
"""

import dataclasses
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from airloom.api.problems import Refused
from airloom.api.security.authentication import CHALLENGE, authenticate
from airloom.api.state import Api, Served
from airloom.model.access import Identity, Role
from airloom.operations.dag_lists import require_dag
from airloom.operations.login import NOBODY
from airloom.operations.ops import Ops


@dataclass(frozen=True)
class Rule:
    """What a route needs. role None: none; with `login`, one has to be logged in all the same.

    dag: the role on the dag in the path is enough. some_dag: the role on any dag is; the route shows only what the
    caller sees. Otherwise it has to be the role on everything.
    """

    role: Role | None
    dag: bool = False
    some_dag: bool = False
    login: bool = False


PUBLIC = Rule(None)
_SEE_DAG, _EDIT_DAG, _OPERATE_DAG = (Rule(role, dag=True) for role in (Role.VIEWER, Role.EDITOR, Role.OPERATOR))
_SEE, _OPERATE, _ADMIN = (Rule(role) for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN))
#: whoever is logged in, whatever they see
_SELF = Rule(Role.VIEWER, some_dag=True)
#: whoever is logged in, even if they may do nothing
_LOGGED_IN = Rule(None, login=True)

#: (method, path under /api/v1) -> what it needs
RULES: dict[tuple[str, str], Rule] = {
    ("GET", "/health"): PUBLIC,
    ("GET", "/login"): PUBLIC,
    ("POST", "/session"): PUBLIC,
    ("GET", "/session/oidc"): PUBLIC,
    ("GET", "/session/oidc/callback"): PUBLIC,
    ("GET", "/session"): _LOGGED_IN,
    ("DELETE", "/session"): _LOGGED_IN,
    ("PUT", "/session/password"): _LOGGED_IN,
    ("GET", "/tokens"): _SELF,
    ("POST", "/tokens"): _SELF,
    ("DELETE", "/tokens/{token_id}"): _SELF,
    ("GET", "/users"): _ADMIN,
    ("POST", "/users"): _ADMIN,
    ("GET", "/users/{username}"): _ADMIN,
    ("PATCH", "/users/{username}"): _ADMIN,
    ("DELETE", "/users/{username}"): _ADMIN,
    ("POST", "/users/{username}/link"): _ADMIN,
    ("GET", "/audit"): _ADMIN,
    ("GET", "/events"): _SELF,
    ("GET", "/home"): _SELF,
    ("GET", "/dags"): _SELF,
    ("GET", "/tags"): _SELF,
    ("GET", "/dags/{dag_id}"): _SEE_DAG,
    ("PATCH", "/dags/{dag_id}"): _EDIT_DAG,
    ("DELETE", "/dags/{dag_id}"): _OPERATE_DAG,
    ("GET", "/dags/{dag_id}/versions"): _SEE_DAG,
    ("GET", "/dags/{dag_id}/versions/{number}/code"): _SEE_DAG,
    ("GET", "/dags/{dag_id}/structure"): _SEE_DAG,
    ("GET", "/dags/{dag_id}/grid"): _SEE_DAG,
    ("GET", "/dags/{dag_id}/durations"): _SEE_DAG,
    ("GET", "/dags/{dag_id}/calendar"): _SEE_DAG,
    ("GET", "/runs"): _SELF,
    ("GET", "/task-instances"): _SELF,
    ("GET", "/dags/{dag_id}/runs"): _SEE_DAG,
    ("POST", "/dags/{dag_id}/runs"): _EDIT_DAG,
    ("POST", "/dags/{dag_id}/clear"): _EDIT_DAG,
    ("POST", "/dags/{dag_id}/mark"): _EDIT_DAG,
    ("GET", "/dags/{dag_id}/runs/{run_id}"): _SEE_DAG,
    ("POST", "/dags/{dag_id}/runs/{run_id}/cancel"): _EDIT_DAG,
    ("POST", "/dags/{dag_id}/runs/{run_id}/mark"): _EDIT_DAG,
    ("PUT", "/dags/{dag_id}/runs/{run_id}/note"): _EDIT_DAG,
    ("GET", "/dags/{dag_id}/runs/{run_id}/gantt"): _SEE_DAG,
    ("GET", "/dags/{dag_id}/runs/{run_id}/tasks"): _SEE_DAG,
    ("GET", "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}"): _SEE_DAG,
    ("PUT", "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/note"): _EDIT_DAG,
    ("GET", "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/tries"): _SEE_DAG,
    ("GET", "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/tries/{try_number}/log"): _SEE_DAG,
    ("GET", "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/tries/{try_number}/log/stream"): _SEE_DAG,
    ("GET", "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/tries/{try_number}/log/download"): _SEE_DAG,
    ("GET", "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/tries/{try_number}/rendered"): _SEE_DAG,
    ("GET", "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/xcoms"): _SEE_DAG,
    ("GET", "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/xcoms/{key:path}"): _SEE_DAG,
    ("GET", "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/explain"): _SEE_DAG,
    ("GET", "/pools"): _SEE,
    ("GET", "/pools/{name}"): _SEE,
    ("PUT", "/pools/{name}"): _OPERATE,
    ("DELETE", "/pools/{name}"): _OPERATE,
    ("GET", "/queues"): _SEE,
    ("GET", "/queues/{name:path}"): _SEE,
    ("GET", "/workers"): _SEE,
    ("POST", "/workers/{name:path}/drain"): _OPERATE,
    ("POST", "/workers/{name:path}/resume"): _OPERATE,
    ("POST", "/workers/{name:path}/stop"): _OPERATE,
    ("GET", "/executors"): _SEE,
    ("GET", "/variables"): _OPERATE,
    ("GET", "/variables/{key:path}"): _OPERATE,
    ("PUT", "/variables/{key:path}"): _OPERATE,
    ("DELETE", "/variables/{key:path}"): _OPERATE,
    ("GET", "/connections"): _OPERATE,
    ("GET", "/connections/{conn_id:path}"): _OPERATE,
    ("PUT", "/connections/{conn_id:path}"): _OPERATE,
    ("DELETE", "/connections/{conn_id:path}"): _OPERATE,
    ("GET", "/import-errors"): _SELF,
}


@dataclass(frozen=True)
class Caller:
    """Who called a route, and the verbs' Ops in their name."""

    identity: Identity
    ops: Ops

    def may(self, role: Role, dag_id: str | None = None) -> bool:
        """Whether they have that role: on one dag, or on everything."""
        has = self.identity.everywhere if dag_id is None else self.identity.role_on(dag_id)
        return has is not None and has >= role

    def sees(self, dag_id: str) -> bool:
        """Whether they may know of that dag."""
        return self.may(Role.VIEWER, dag_id)

    @property
    def sees_all(self) -> bool:
        """Whether no dag is hidden from them."""
        return self.identity.everywhere is not None


async def _authorise(
    request: Request, api: Served, identity: Annotated[Identity | None, Depends(authenticate)]
) -> Caller | None:
    path: str = request.scope["route"].path
    rule = RULES.get((request.method, path.removeprefix("/api/v1")))
    if rule is None:
        raise Refused(403, "Not allowed", "this route has no rule that says who may use it")
    if rule.role is None and not rule.login and identity is None:
        return None
    if identity is None:
        raise getattr(request.state, "refused", None) or _nobody()
    if rule.role is not None:
        _check(rule, rule.role, identity, request.path_params.get("dag_id"))
    return Caller(identity, dataclasses.replace(ops_for(request, api), by=identity.username))


def ops_for(request: Request, api: Api) -> Ops:
    """The verbs' Ops for a request whose sender is not known yet."""
    address = request.client.host if request.client else None
    return dataclasses.replace(api.ops, by=NOBODY, via="api", address=address)


def _check(rule: Rule, role: Role, identity: Identity, dag_id: str | None) -> None:
    if rule.some_dag:
        has = identity.highest
    elif rule.dag and dag_id is not None:
        has = identity.role_on(dag_id)
        if has is None:
            # Whether there is such a dag is not told to who may not see it.
            raise Refused(404, "Not found", f"there is no dag {dag_id!r}")
    else:
        has = identity.everywhere
    if has is None or has < role:
        raise Refused(403, "Not allowed", f"this needs the role {role.label}; ask an administrator for it")


def _nobody() -> Refused:
    detail = "log in, or send an API token as `Authorization: Bearer TOKEN`"
    return Refused(401, "Nobody is logged in", detail, CHALLENGE)


async def _somebody(caller: Annotated[Caller | None, Depends(_authorise)]) -> Caller:
    if caller is None:
        raise _nobody()
    return caller


#: on every router of the public API
authorise = Depends(_authorise)
#: the parameter of a route that needs to know who calls
By = Annotated[Caller, Depends(_somebody)]


def _there(dag_id: str, caller: By) -> None:
    require_dag(caller.ops, dag_id)


#: on routes about one dag whose verbs would offer the names of other dags when there is none of that id
dag_is_there = Depends(_there)
