"""The OpenAPI document is exact: whatever it lets one send is answered as it says, and never by a fault of the server.

Requests are made from the document, for every route of the table of access, with and without names that are there.
"""

import os
import time
from collections.abc import Iterator

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks, not_a_server_error

from airloom.api.access import RULES
from airloom.api.app import PREFIX, make_app
from airloom.api.security.authentication import authenticate
from airloom.api.state import Api
from airloom.operations.ops import open_ops
from airloom.wiring.parts import world_config
from tests.api.conftest import ADMIN
from tests.operations.leading import FLIGHTS, WEATHER, leading, make_home, save_dags
from tests.servers import PostgresServer

#: routes that are left out, and why
LEFT_OUT = {
    ("GET", "/events"): "it never ends",
    ("GET", "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/tries/{try_number}/log/stream"): "it never ends",
}
#: names that are there
THERE = {
    "dag_id": "flights",
    "run_id": "one",
    "task_id": "join",
    "try_number": 1,
    "number": 1,
    "name": "default_pool",
    "key": "airport",
    "conn_id": "warehouse",
    "username": "bob",
}
#: bodies whose names are there
BODIES = {
    ("POST", "/dags/{dag_id}/clear"): {"runs": ["one"], "tasks": ["join"], "downstream": True},
    ("POST", "/dags/{dag_id}/mark"): {"runs": ["one"], "tasks": ["join"], "state": "skipped"},
}
#: what reads comes first, and what deletes last
ORDER = ["GET", "POST", "PUT", "PATCH", "DELETE"]
#: requests for one route
EXAMPLES = int(os.environ.get("AIRLOOM_TEST_REQUESTS", "12"))

ROUTES = sorted(set(RULES) - set(LEFT_OUT), key=lambda route: (ORDER.index(route[0]), route[1]))

load_all_checks()
KEPT = [
    not_a_server_error,
    *CHECKS.get_by_names(
        [
            "status_code_conformance",
            "content_type_conformance",
            "response_headers_conformance",
            "response_schema_conformance",
        ]
    ),
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An administrator's client of a home in which there is one of everything, and a leader."""
    url = ""
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url(server.create(request.getfixturevalue("migrated_postgres")))
    made = make_home(tmp_path_factory.mktemp("openapi") / "home", url)
    save_dags(made, FLIGHTS, WEATHER)
    with open_ops(made) as ops, leading(made):
        api = Api(ops=ops, settings=made, world_config=world_config(made), now=time.time)
        app = make_app(api)
        app.dependency_overrides[authenticate] = lambda: ADMIN
        client = TestClient(app, base_url="http://127.0.0.1:8080", raise_server_exceptions=False)
        for method, path, body in (
            ("POST", "/dags/flights/runs", {"run_id": "one", "note": "x"}),
            ("PUT", "/variables/airport", {"value": "JFK"}),
            ("PUT", "/connections/warehouse", {"conn_type": "http", "password": "x"}),
            ("POST", "/users", {"username": ADMIN.username}),
            ("POST", "/users", {"username": "bob"}),
        ):
            answer = client.request(method, PREFIX + path, json=body)
            assert answer.is_success, answer.text
        yield client


@pytest.fixture(scope="module")
def document(client: TestClient) -> schemathesis.BaseSchema:
    """The document that the server gives."""
    return schemathesis.openapi.from_dict(client.get(f"{PREFIX}/openapi.json").json())


def test_the_document_has_the_routes_of_the_table_and_no_others(client: TestClient) -> None:
    paths = client.get(f"{PREFIX}/openapi.json").json()["paths"]
    found = {(method.upper(), path.removeprefix(PREFIX)) for path, item in paths.items() for method in item}
    assert found == {(method, _documented(path)) for method, path in RULES}


def _documented(path: str) -> str:
    """A route's path as the document has it: without the names of converters."""
    return path.replace(":path}", "}")


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_answer_is_as_the_document_says(
    client: TestClient, document: schemathesis.BaseSchema, method: str, path: str
) -> None:
    shown = _documented(path)
    operation = document[PREFIX + shown][method]
    names = {name: value for name, value in THERE.items() if f"{{{name}}}" in shown}
    strategies = [operation.as_strategy(), operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)]
    if names:
        strategies.append(operation.as_strategy(path_parameters=names))
    if (method, path) in BODIES:
        strategies.append(operation.as_strategy(path_parameters=names, body=BODIES[method, path]))

    @given(case=st.one_of(strategies))
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Case) -> None:
        request = case.as_transport_kwargs(base_url=str(client.base_url))
        del request["cookies"]
        if isinstance(request.get("data"), bytes | str):
            request["content"] = request.pop("data")
        answer = client.request(**request)
        case.validate_response(answer, checks=KEPT)

    check()
