"""An API on a home with a real database, called in process as whoever a test wants to be."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from airloom.api.app import make_app
from airloom.api.security.authentication import authenticate
from airloom.api.state import Api
from airloom.model.access import Identity, Role
from airloom.model.events import TriggerRun
from airloom.model.report import TryKey
from airloom.operations import remote_runners
from airloom.operations.asking import ask
from airloom.operations.ops import Ops, open_ops
from airloom.operations.try_tokens import TryTokens, try_tokens
from airloom.sections import Settings
from airloom.store import runs
from airloom.wiring.parts import world_config
from tests.api.caller import Caller
from tests.operations.leading import FLIGHTS, WEATHER, leading, make_home, never_end, save_dags

ADMIN = Identity(username="ada", display_name="Ada", role=Role.ADMIN, credential="test")

#: makes a client that is somebody; None is nobody
As = Callable[[Identity | None], TestClient]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with a database and two dags; `weather` is paused."""
    settings = make_home(tmp_path / "home")
    save_dags(settings, FLIGHTS, WEATHER)
    return settings


@pytest.fixture
def ops(settings: Settings) -> Iterator[Ops]:
    """Ops on that home."""
    with open_ops(settings) as ops:
        yield ops


@pytest.fixture
def api(settings: Settings, ops: Ops) -> Api:
    """The API's state on that home."""
    return Api(ops=ops, settings=settings, world_config=world_config(settings), now=time.time)


@pytest.fixture
def as_(api: Api) -> As:
    """Clients whose identity is given, without a login."""

    def client(identity: Identity | None) -> TestClient:
        app = make_app(api)
        app.dependency_overrides[authenticate] = lambda: identity
        return TestClient(app, base_url="http://127.0.0.1:8080")

    return client


@pytest.fixture
def client(as_: As) -> TestClient:
    """A client that is an administrator."""
    return as_(ADMIN)


@pytest.fixture
def impatient(api: Api) -> TestClient:
    """An administrator's client of an API that waits for no scheduler's answer."""
    app = make_app(dataclasses.replace(api, ops=dataclasses.replace(api.ops, answer_timeout=0.05)))
    app.dependency_overrides[authenticate] = lambda: ADMIN
    return TestClient(app, base_url="http://127.0.0.1:8080")


# --- runners of other machines ----------------------------------------------------------------------------------------
@pytest.fixture
def tokens(ops: Ops) -> TryTokens:
    return try_tokens(ops)


@pytest.fixture
def worker(api: Api, ops: Ops) -> Caller:
    """A worker that has registered."""
    caller = Caller(api, remote_runners.make_runner_token(ops, "workers").text, executor="celery", queues=("gpu",))
    assert caller.greet().status_code == 200
    return caller


@pytest.fixture
def key(settings: Settings, ops: Ops) -> Iterator[TryKey]:
    """A live try; its scheduler goes on leading."""
    with leading(settings, never_end):
        run_id = ask(ops, TriggerRun(dag_id="flights", run_id="live"))["run_id"]
        with ops.db.reading() as conn:
            run = runs.find_run(conn, "flights", run_id)
            assert run is not None
            ti = next(ti for ti in runs.list_tis(conn, run.id) if ti.task_id == "load")
        yield TryKey(ti.id, 1)


@pytest.fixture
def alone(settings: Settings, ops: Ops) -> TryKey:
    """A live try whose scheduler has gone: what is reported stays in the inbox."""
    with leading(settings, never_end):
        ask(ops, TriggerRun(dag_id="flights", run_id="live"))
    with ops.db.reading() as conn:
        run = runs.find_run(conn, "flights", "live")
        assert run is not None
        return TryKey(next(ti for ti in runs.list_tis(conn, run.id) if ti.task_id == "load").id, 1)
