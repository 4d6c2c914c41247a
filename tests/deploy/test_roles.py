"""The whole compose project, brought up from an installed wheel: each part starts with what the compose file gives it,
is well by its own health check, and together they run a DAG on the workers of both queues.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.composing import PROJECTS, ROOT
from tests.deploy.container import why_not
from tests.deploy.dockerfile import read
from tests.deploy.project import Project, install_wheel
from tests.waiting import wait_for

WHY_NOT = why_not()
pytestmark = [
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT),
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("compose"),
]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with a short path that other users may look into."""
    path = Path(tempfile.mkdtemp(prefix="alc-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def venv(folder: Path) -> Path:
    """The installed wheel."""
    return install_wheel(folder)


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def project(request: pytest.FixtureRequest, folder: Path, venv: Path) -> Iterator[Project]:
    """The project with each broker, up and well."""
    project = Project(PROJECTS[request.param], venv, folder / request.param)
    try:
        project.up()
        yield project
    finally:
        project.down()


def test_the_image_starts_what_the_containers_of_this_test_start() -> None:
    (entrypoint,) = (
        one.rest for one in read((ROOT / "deploy/docker/Dockerfile").read_text()) if one.name == "ENTRYPOINT"
    )
    assert json.loads(entrypoint) == ["tini", "--", "airloom"]


def run_first(project: Project) -> str:
    """Run the DAG that comes with the project, to its good end; the id of the run."""
    run: str = json.loads(project.exec("airloom", "dags", "trigger", "first", "-o", "json"))["run_id"]

    def ended() -> str:
        runs = json.loads(project.exec("airloom", "runs", "list", "first", "-o", "json"))
        state = str({found["run_id"]: found["state"] for found in runs}[run])
        return state if state in ("success", "failed") else ""

    assert wait_for(ended, "the run to end") == "success"
    return run


def test_a_dag_runs_on_the_workers_of_both_queues(project: Project) -> None:
    wait_for(lambda: "first" in project.exec("airloom", "dags", "list"), "the DAG to be loaded")
    project.exec("airloom", "dags", "unpause", "first")
    run = run_first(project)
    log = project.exec("airloom", "tasks", "logs", "first", run, "add_up")
    assert "worker-default-1 measured, worker-heavy-1 adds up" in log


def test_every_part_is_known_and_well(project: Project) -> None:
    parts = json.loads(project.exec("airloom", "health", "-o", "json"))
    assert [part for part in parts if part["status"] != "ok"] == []
    kinds = [part["kind"] for part in parts]
    assert [kinds.count(kind) for kind in ("scheduler", "api", "loader")] == [2, 2, 1]
    workers = {
        worker["name"]: worker["queues"]
        for worker in json.loads(project.exec("airloom", "workers", "list", "-o", "json"))
    }
    assert workers == {"worker-default-1": ["default"], "worker-heavy-1": ["heavy"]}


def test_no_secret_is_in_what_the_parts_say(project: Project) -> None:
    secrets = [path.read_text().strip() for path in project.secrets.iterdir()]
    words = {
        word for secret in secrets for word in secret.replace("@", " ").replace(":", " ").split() if len(word) > 30
    }
    assert len(words) >= 4
    for one in project.all():
        assert [word for word in words if word in one.said()] == [], one.name
    for one in (*project.containers["worker-default"], *project.containers["flower"]):
        assert one.run("ls", "/run/secrets").stdout.split() != []
        assert "database_url" not in one.run("ls", "/run/secrets").stdout


def test_no_part_can_change_the_program_and_most_nothing_at_all(project: Project) -> None:
    for name in ("flower", "worker-default", "loader", "scheduler", "api"):
        one = project.containers[name][0]
        assert one.run("id", "--user").stdout.strip() == "10001"
        assert one.run("touch", "/opt/airloom/bin/airloom").returncode != 0
        assert one.run("touch", "/srv/airloom/dags/x.py").returncode != 0
        assert one.run("touch", "/var/lib/airloom/x").returncode == 0


def test_containers_that_were_killed_start_again_with_what_they_had(project: Project) -> None:
    killed = [project.containers[name][0] for name in ("worker-default", "loader", "broker")]
    for one in killed:
        one.remove()
    for one in killed:
        one.start_again()
    for one in killed:
        wait_for(one.healthy, f"{one.name} to be well again", 120)
    run_first(project)


def test_each_part_ends_in_good_order_when_it_is_stopped(project: Project) -> None:
    for name in ("flower", "worker-default", "worker-heavy", "loader", "scheduler", "api"):
        for one in project.containers[name]:
            # Flower knows no good order.
            assert one.stop() in ((0, 143) if name == "flower" else (0,)), f"{one.name}: {one.said()}"
