"""Servers that cannot be started say why, and touch nothing."""

from pathlib import Path

import pytest

from tests.behaviour.server import Server
from tests.faults.home import Home


@pytest.mark.parametrize("command", ["standalone", "scheduler"])
def test_a_second_server_on_the_same_home_is_told_who_is_there(server: Server, command: str) -> None:
    assert server.home.server is not None
    second = server.home.airloom(command)
    assert second.returncode == 4
    assert f"process {server.home.server.pid} on" in second.stderr
    assert server.airloom("db", "check").status == 0


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"core__dags_folder": "/nowhere/dags"}, "the folder of DAG files /nowhere/dags does not exist"),
        ({"core__paralelism": 3}, "names no setting; did you mean AIRLOOM__CORE__PARALLELISM?"),
        ({"core__executors": "PodExecutor"}, "'PodExecutor' is no executor; there are local, sequential"),
        ({"database__url": "mysql://x/y"}, "no database of the kind 'mysql' can be used"),
    ],
)
def test_a_setting_that_cannot_be_stops_the_start(tmp_path: Path, setting: dict[str, object], text: str) -> None:
    home = Home(tmp_path / "home", **setting)
    done = home.airloom("standalone")
    assert done.returncode == 5
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert not home.database.exists()


def test_what_an_executor_lacks_stops_the_start(tmp_path: Path) -> None:
    done = Home(tmp_path / "home", core__executors="KubernetesExecutor").airloom("standalone")
    assert done.returncode == 5
    assert "[kubernetes]: server is missing: the address of the API as pods reach it" in done.stderr
    assert "Traceback" not in done.stderr
