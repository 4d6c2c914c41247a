"""`airloom --server URL`: the commands on a server elsewhere, through its REST API."""

import importlib
import inspect
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from airloom.cli.remote.server import Server
from airloom.model.errors import AirloomError, SettingsError
from tests.faults.home import COMMAND, Home, home_at
from tests.waiting import DEADLINE, wait_for

NOUNS = ("connections", "dags", "explain", "pools", "runs", "tasks", "variables", "workers")
DAG_FILE = """
from airloom import dag, task


@dag(params={"name": "world"}, tags=["greeting"])
def hello():
    @task
    def greet(params=None):
        print(f"hello {params['name']}")
        return params["name"]

    @task
    def fail(name):
        raise ValueError(f"no {name}")

    fail(greet())


hello()
"""


@pytest.mark.parametrize("noun", NOUNS)
def test_a_remote_verb_is_called_as_the_local_one_is(noun: str) -> None:
    local = importlib.import_module(f"airloom.operations.{noun}")
    remote = importlib.import_module(f"airloom.cli.remote.{noun}")
    twins = [
        name
        for name, verb in vars(remote).items()
        if inspect.isfunction(verb) and verb.__module__ == remote.__name__ and hasattr(local, name) and name[0] != "_"
    ]
    assert twins
    for name in twins:
        theirs, ours = inspect.signature(getattr(local, name)), inspect.signature(getattr(remote, name))
        more = [p for p in list(theirs.parameters.values())[1:] if p.name not in ours.parameters]
        assert [name for name in theirs.parameters if name in ours.parameters] == list(ours.parameters), name
        assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in more), name
        assert theirs.return_annotation == ours.return_annotation, name


class Elsewhere:
    """The commands on a server that is reached by its address alone."""

    def __init__(self, home: Home, elsewhere: Path) -> None:
        address = re.search(r"http://\S+?(?=/login)", home.log.read_text())
        assert address is not None, home.log.read_text()
        made = home.airloom("tokens", "add", "admin", "test", "-o", "json")
        assert made.returncode == 0, made.stderr
        self.address = address.group()
        self.token = json.loads(made.stdout)["token"]
        # A home of its own, in which nothing is: whatever works, works by the server.
        self.env = {**home.env, "AIRLOOM_HOME": str(elsewhere), "AIRLOOM_TOKEN": self.token}

    def __call__(self, *args: str, status: int = 0) -> str:
        command = [*COMMAND, "--server", self.address, *args]
        done = subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=DEADLINE, stdin=subprocess.DEVNULL
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr


@pytest.fixture(scope="module")
def airloom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    """A server with one dag, and the commands on it."""
    folder = tmp_path_factory.mktemp("remote")
    with home_at(folder / "home") as home:
        home.write("hello.py", DAG_FILE)
        home.start()
        home.ready()
        wait_for(lambda: home.rows("SELECT 1 FROM dag WHERE dag_id = 'hello'"), "hello to be loaded")
        yield Elsewhere(home, folder / "elsewhere")
        home.stop()


def test_a_run_is_triggered_watched_read_explained_and_cleared(airloom: Elsewhere) -> None:
    assert [dag["dag_id"] for dag in json.loads(airloom("dags", "list", "-o", "json"))] == ["hello"]
    assert "greeting" in airloom("dags", "show", "hello")
    conf = json.dumps({"name": "moon"})
    airloom("dags", "trigger", "hello", "--run-id", "one", "--conf", conf, "--wait", status=1)
    (run,) = json.loads(airloom("runs", "list", "hello", "-o", "json"))
    assert (run["run_id"], run["state"], run["conf"]) == ("one", "failed", {"name": "moon"})
    states = {
        ti["task_id"]: ti["state"] for ti in json.loads(airloom("tasks", "list", "hello", "latest", "-o", "json"))
    }
    assert states == {"greet": "success", "fail": "failed"}
    assert "hello moon" in airloom("tasks", "logs", "hello", "one", "greet", "--follow")
    (ti,) = json.loads(airloom("tasks", "state", "hello", "one", "fail", "-o", "json"))
    assert [(one["try_number"], one["detail"]) for one in ti["tries"]] == [(1, "ValueError: no moon")]
    assert "has ended" in airloom("explain", "hello", "one", "fail")
    assert airloom("tasks", "clear", "hello", "one", "fail", "--dry-run").split() == ["fail"]


def test_pools_variables_and_connections_are_kept_there(airloom: Elsewhere) -> None:
    airloom("pools", "set", "printer", "2", "paper")
    assert json.loads(airloom("pools", "get", "printer", "-o", "json"))["slots"] == 2
    airloom("variables", "set", "region", "north")
    assert airloom("variables", "get", "region").strip() == "north"
    airloom("variables", "set", "api_key", "hush")
    assert "never leaves the server" in airloom("variables", "get", "api_key", status=2)
    airloom("connections", "add", "bank", "--uri", "postgres://ann:hush@example.org:5432/money")
    shown = airloom("connections", "get", "bank", "--show-secrets", "-o", "json")
    assert "hush" not in shown
    assert json.loads(shown)["login"] == "ann"
    assert airloom("pools", "delete", "printer") == "pool printer is deleted\n"


def test_workers_are_listed_and_ordered_there(airloom: Elsewhere) -> None:
    (local,) = json.loads(airloom("workers", "list", "-o", "json"))
    assert (local["executor"], local["state"]) == ("local", "running")
    assert "begins and ends with its scheduler" in airloom("workers", "drain", local["name"], status=2)
    assert "there is no worker 'gpu-1'" in airloom("workers", "resume", "gpu-1", status=3)
    assert airloom("workers", "stop", "gpu-1", status=3)


def test_what_goes_wrong_is_said_as_it_is_on_the_machine_itself(airloom: Elsewhere) -> None:
    assert "there is no dag 'helo'" in airloom("dags", "show", "helo", status=3)
    assert "has a run 'twice' already" in (
        airloom("dags", "trigger", "hello", "--run-id", "twice")
        and airloom("dags", "trigger", "hello", "--run-id", "twice", status=4)
    )
    assert "works on this machine only" in airloom("db", "check", status=2)


def test_a_server_that_is_none_or_refuses_is_named() -> None:
    with pytest.raises(SettingsError, match="is no address"):
        Server("example.org", "t")
    with pytest.raises(SettingsError, match="AIRLOOM_TOKEN"):
        Server("http://example.org", None)
    with pytest.raises(AirloomError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        Server("http://127.0.0.1:9", "t").get("/dags")


def test_a_wrong_token_is_refused_with_the_servers_reason(airloom: Elsewhere) -> None:
    with pytest.raises(AirloomError, match="refuses"):
        Server(airloom.address, "alm_wrong_token").get("/dags")


def test_an_address_that_is_not_that_of_an_api_is_said_to_be_none(airloom: Elsewhere) -> None:
    with pytest.raises(AirloomError, match="Airloom server"):
        Server(f"{airloom.address}/elsewhere", "alm_wrong_token").get("/dags")
