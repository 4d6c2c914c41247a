"""Authorisation, route by route: who may use what is what the table says, and nothing is outside the table."""

import dataclasses
import re

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from airloom.api.access import RULES, Rule
from airloom.api.app import make_app
from airloom.api.security.authentication import authenticate
from airloom.api.state import Api
from airloom.model.access import Grant, Identity, Role
from airloom.operations.ops import Ops
from tests.api.asgi import begin, json_body

PREFIX = "/api/v1"
#: what is no part of the public API, and who may have it is said where it is made
OUTSIDE = {f"{PREFIX}/openapi.json", "/health", "/metrics"}
V, E, O, A = Role.VIEWER, Role.EDITOR, Role.OPERATOR, Role.ADMIN  # noqa: E741

#: an identity, and what it amounts to: the role on everything, on the dag `flights`, and the highest on anything
Who = tuple[Identity | None, tuple[Role | None, Role | None, Role | None]]


def somebody(
    role: Role | None, *grants: Grant, ceiling: Role | None = None, dags: tuple[str, ...] | None = None
) -> Identity:
    return Identity(username="somebody", role=role, grants=grants, ceiling=ceiling, dags=dags, credential="test")


WHO: dict[str, Who] = {
    "nobody": (None, (None, None, None)),
    "viewer": (somebody(V), (V, V, V)),
    "editor": (somebody(E), (E, E, E)),
    "operator": (somebody(O), (O, O, O)),
    "admin": (somebody(A), (A, A, A)),
    "user without any right": (somebody(None), (None, None, None)),
    "user with a viewer's grant": (somebody(None, Grant(pattern="fl*", role=V)), (None, V, V)),
    "user with an operator's grant": (somebody(None, Grant(pattern="flights", role=O)), (None, O, O)),
    "user with a grant elsewhere": (somebody(None, Grant(pattern="weather", role=A)), (None, None, A)),
    "viewer with an editor's grant": (somebody(V, Grant(pattern="flights", role=E)), (V, E, E)),
    "admin's token for viewing": (somebody(A, ceiling=V), (V, V, V)),
    "admin's token for flights": (somebody(A, dags=("flights",)), (None, A, A)),
    "admin's token for weather": (somebody(A, dags=("weather",)), (None, None, A)),
    "editor's token for admins": (somebody(E, ceiling=A), (E, E, E)),
}


@pytest.fixture
def app(api: Api) -> FastAPI:
    """The API, with a scheduler that is not waited for."""
    ops: Ops = dataclasses.replace(api.ops, answer_timeout=0.0)
    return make_app(dataclasses.replace(api, ops=ops))


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    """Every method and path of the application, without HEAD, which goes with GET."""
    return {
        (method, context.path or "")
        for context in iter_route_contexts(app.routes)
        for method in (context.methods or set()) - {"HEAD"}
        if context.path not in OUTSIDE
    }


def expected(rule: Rule, who: Who) -> str:
    """What the table says, in the words of `found`."""
    identity, (everywhere, on_flights, highest) = who
    if identity is None:
        return "passes" if rule.role is None and not rule.login else "401"
    if rule.role is None:
        return "passes"
    if rule.dag and on_flights is None:
        return "hidden"
    has = highest if rule.some_dag else on_flights if rule.dag else everywhere
    return "passes" if has is not None and has >= rule.role else "403"


def found(app: FastAPI, method: str, path: str) -> str:
    """How a request ends. What is sent fits nothing, so that what passes changes nothing."""
    filled = re.sub(r"\{dag_id\}", "flights", path)
    filled = re.sub(r"\{(number|try_number)\}", "1", filled)
    filled = PREFIX + re.sub(r"\{(\w+)(:path)?\}", "x", filled)
    answer = begin(app, method, filled, **(json_body([]) if method != "GET" else {}))
    if answer.status in (401, 403):
        return str(answer.status)
    return "hidden" if answer.status == 404 and b"there is no dag" in answer.body else "passes"


def test_every_route_has_a_rule_and_every_rule_a_route(app: FastAPI) -> None:
    rules = {(method, PREFIX + path) for method, path in RULES}
    assert routes_of(app) == rules


@pytest.mark.parametrize("name", WHO)
def test_each_route_is_for_whom_the_table_says(app: FastAPI, name: str) -> None:
    who = WHO[name]
    app.dependency_overrides[authenticate] = lambda: who[0]
    wrong = {}
    for (method, path), rule in RULES.items():
        told, said = found(app, method, path), expected(rule, who)
        if told != said:
            wrong[f"{method} {path}"] = f"{told}, not {said}"
    assert wrong == {}


def test_lists_do_not_tell_of_dags_that_the_caller_may_not_see(app: FastAPI) -> None:
    only_weather = WHO["user with a grant elsewhere"][0]
    app.dependency_overrides[authenticate] = lambda: only_weather
    lists = [path for (method, path), rule in RULES.items() if method == "GET" and rule.some_dag and path != "/events"]
    telling = [path for path in lists if b"flights" in begin(app, "GET", PREFIX + path).body]
    assert telling == []
    assert b"weather" in begin(app, "GET", f"{PREFIX}/dags").body


def test_a_route_without_a_rule_is_refused_to_everybody(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RULES, ("GET", "/pools"))
    app.dependency_overrides[authenticate] = lambda: WHO["admin"][0]
    assert begin(app, "GET", f"{PREFIX}/pools").status == 403
